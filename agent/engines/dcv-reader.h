/**
 * What the `dcv` command prints, understood. The reference is silent on much of it, so every
 * plausible form is accepted; all forms are in dcv-reader.c and nowhere else. Source: dcv-cli.md 4,
 * 6.
 *
 * Every function fails with ERR_INVALID for what cannot be understood.
 */
#ifndef AGENT_ENGINES_DCV_READER_H
#define AGENT_ENGINES_DCV_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/list.h"

/** Texts that were not told are NULL, numbers 0. */
struct dcv_session {
	struct list link; /* dcv_sessions::sessions */
	char *id, *owner;
	char *user; /* as whom it runs */
	char *name, *storage_root;
	bool is_console;
	bool has_display;
	long long n_connections;
	long long creation_time_ms, disconnection_time_ms;
};

struct dcv_sessions {
	struct list sessions;
	bool is_partial; /* something in it was no session: what is not listed may still be there */
};

/** `list-sessions`, with or without --json. End with dcv_sessions_done(), also on failure. */
int dcv_read_sessions(const char *text, size_t len, struct dcv_sessions *ret, struct error *err);
void dcv_sessions_done(struct dcv_sessions *sessions);

/** `list-endpoints --json`, as the API's Endpoints, HTTP first; an address may be missing. */
int dcv_read_endpoints(const char *text, size_t len, json_t **ret, struct error *err);

/**
 * The same from the text of dcv.conf, for a server that does not list its endpoints: what is not
 * set there has its default. At any address: the host's. Fails without memory only.
 */
int dcv_read_config_endpoints(const char *text, json_t **ret, struct error *err);

/** `version`, with or without --json. *ret belongs to the caller. */
int dcv_read_version(const char *text, size_t len, char **ret, struct error *err);

/** `get-screenshot --json`: the bytes of the picture; *ret_format is "png" or "jpeg". */
int dcv_read_screenshot(const char *text, size_t len, struct buf *ret, const char **ret_format,
			struct error *err);

#endif
