/**
 * The part that one client has in the files of a session: a key, which its browser shows with every
 * request for them, and what is under way with it.
 *
 * The key is good as long as the client is inside. It follows from the token, so that who comes again by
 * the same one has the same: a browser can go on with a download that was interrupted.
 */
#ifndef AGENT_VIEWER_SHARE_H
#define AGENT_VIEWER_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/viewer/storage.h"
#include "common/list.h"

#define SHARE_KEY_BYTES 32    /* letters of it */
#define SHARE_TRANSFERS_MAX 8 /* of one user in a session, whatever the number of their clients */

/** Those that are open now, and the secret that their keys are made with. */
struct shares {
	struct list list; /* struct share::link */
	unsigned char secret[32];
};

struct share {
	struct list link; /* shares::list, while it is open */
	char key[SHARE_KEY_BYTES + 1];
	uint32_t features;
	struct storage *storage;
	struct visitor *visitor;
	const char *session_id, *user; /* borrowed, for the log */
	struct list transfers;         /* struct transfer::link */
	size_t n_transfers;
};

int shares_init(struct shares *shares, struct error *err);

/** The key of a token, before it is known whether that is good. */
void share_make_key(const struct shares *shares, const char *session_id, const char *token,
		    struct share *share);

/** The client is inside: @share has everything but its links and transfers. */
void share_open(struct shares *shares, struct share *share);

/** The open one of a key, or NULL. */
struct share *share_find(const struct shares *shares, const char *key);

/** What its user has under way in the session, with this client and others. */
size_t share_count_transfers(const struct shares *shares, const struct share *share);

/** The client has other features: what is under way without its own is broken off. */
void share_set_features(struct share *share, uint32_t features);

/** The client leaves. Harmless when it is not open. */
void share_close(struct share *share);

#endif
