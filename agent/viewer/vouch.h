/**
 * The agent, as the viewer knows it: it vouches for those who show a token. It may be away for a while;
 * who is inside stays there, and is told of when it is back. See protocol.h.
 */
#ifndef AGENT_VIEWER_VOUCH_H
#define AGENT_VIEWER_VOUCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/viewer/protocol.h"
#include "common/error.h"
#include "common/loop.h"

struct vouch;
struct visitor; /* somebody whose token was shown */

struct admittance {
	const char *user; /* borrowed */
	uint32_t features;
	bool is_owner;
	bool is_console; /* the session */
	bool has_files;  /* it has a folder for them */
	int fd;          /* the RFB server's; taken */
};

struct vouch_events {
	/** Not let in, or only asked about. @status: of HTTP. The visitor is gone. */
	void (*judged)(int status, void *userdata);
	void (*admitted)(const struct admittance *admittance, void *userdata);
	void (*features)(uint32_t features, void *userdata);
	/** What vouch_want_files() asked for; @fd is taken, -1: there is none now. */
	void (*files)(int fd, void *userdata);
	/** They have to leave. The visitor is gone. */
	void (*put_out)(enum viewer_end reason, void *userdata);
};

/** What the agent tells of a certificate by the broker; texts are borrowed. */
struct vouch_certificate_events {
	/** @authority, in hex, or NULL and @reason why there is none now. */
	void (*host)(const char *names, const char *authority, const char *reason, void *userdata);
	/** @certificate, as PEM, or NULL and @reason. */
	void (*answered)(const char *certificate, const char *reason, void *userdata);
};

struct vouch_options {
	const char *socket; /* the agent's; borrowed */
	int port;
	const char *web_url_path;
	const struct vouch_certificate_events *certificate; /* NULL: none is wanted */
	void *certificate_userdata;
};

struct vouch *vouch_new(struct loop *loop, const struct vouch_options *options, struct error *err);

/** When the loop stops, and when it has stopped. Both take NULL. */
void vouch_stop(struct vouch *vouch);
void vouch_free(struct vouch *vouch);

/** Ask for a certificate; answered() follows, unless the agent goes away: then host() does when it is back. */
int vouch_ask_certificate(struct vouch *vouch, const char *request, struct error *err);

struct vouch_question {
	const char *token;
	const char *session_id; /* NULL: only ask */
	const char *address;
	const struct vouch_events *events; /* borrowed */
	void *userdata;
};

/** Show a token; an event follows, never before this returns. NULL and an error: it cannot be done now. */
struct visitor *vouch_ask(struct vouch *vouch, const struct vouch_question *question,
			  struct error *err);

/**
 * For one who is inside: connect to the program that serves the session's files. An event follows, never
 * before this returns.
 */
int vouch_want_files(struct visitor *visitor, struct error *err);

/** They have left, or do not wait any more. No event comes after this. Takes NULL. */
void vouch_leave(struct visitor *visitor);

#endif
