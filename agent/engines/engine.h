/**
 * What can hold sessions: our own X servers (x11), or another product that the agent drives.
 *
 * An engine makes and ends sessions and tells what becomes of them; it decides nothing. Everything
 * that takes time is told by the events, later; an event never comes before the call that began it
 * has returned.
 */
#ifndef AGENT_ENGINES_ENGINE_H
#define AGENT_ENGINES_ENGINE_H

#include "agent/config.h"
#include "agent/session.h"
#include "common/call.h"
#include "common/loop.h"

struct engine;

/** What an engine tells of a session that was there already. Borrowed. */
struct found_session {
	const char *id, *owner;
	const char *type;           /* "CONSOLE" or "VIRTUAL" */
	const char *name;           /* "": none */
	long long creation_time_ms; /* 0: not known */
	bool is_host_made;          /* by other means, unless we know that it is ours */
};

struct engine_events {
	/**
	 * A session is there that this process did not begin, or not know to have begun. Returns
	 * the session it is, which the engine gives its part, or NULL to leave it alone.
	 */
	struct session *(*found)(const struct found_session *found, void *userdata);
	/**
	 * Everything that was there at the start has been found. While status.trouble is set that
	 * cannot be known, and the event comes again when it is.
	 */
	void (*searched)(void *userdata);
	/** The session does not wait any more: the time that its creation may take begins. */
	void (*starting)(struct session *session, void *userdata);
	void (*ready)(struct session *session, void *userdata);
	/** The session has begun to end by itself. */
	void (*ending)(struct session *session, const char *reason, void *userdata);
	/**
	 * Nothing of it is left; session->part is NULL. @reason may be NULL. @code: why it could
	 * not be created; ERR_NONE if it could, and if that is not known.
	 */
	void (*ended)(struct session *session, const char *reason, enum error_code code,
		      void *userdata);
	/** What usage() has found: CPU time of the session's processes so far; -1: not known. */
	void (*used)(struct session *session, long long cpu_ms, void *userdata);
	/** Something of a session or of the engine's status is not what it was. */
	void (*changed)(void *userdata);
	void *userdata;
};

/** What a report tells of an engine. Owned by it. */
struct engine_status {
	char *version;
	/* Of the API; NULL: none. An address that is missing is the host's. The web viewer's are set
	 * by guests.c. */
	json_t *endpoints;
	char *trouble; /* why no session can be reached or made now; NULL: all is well */
};

/** Bounds and format of a screenshot. Pixels, at least 1. */
struct screenshot_wish {
	long long max_width, max_height;
	const char *format;          /* "png" or "jpeg" */
	unsigned long long limit_ms; /* answer within this time */
};

/** Somebody waits for a connection to the server of a session's picture, or of its files. */
struct connection_wish {
	struct list link; /* the engine's, while it waits; list_remove() it to wait no longer */
	unsigned long long number; /* the engine's */
	const char *folder; /* to the program that serves what is below; NULL: to the picture's */
	/**
	 * Once. @fd: a connected socket, which is taken; -1: there is none, and @err tells why.
	 * ERR_UNAVAILABLE: soon, perhaps; ERR_UNSUPPORTED: the host cannot do
	 * that for this session.
	 */
	void (*give)(struct connection_wish *wish, int fd, const struct error *err);
};

struct engine_ops {
	const char *name;
	/**
	 * Look for sessions that are there already; ends with the event `searched`, perhaps before
	 * it returns. An error is one
	 * that an administrator must mend: to go on would mean to lose living sessions.
	 */
	int (*search)(struct engine *engine, struct error *err);
	/** Could a session be begun now? -1 with what is in the way. Asked often: does not wait. */
	int (*check)(struct engine *engine, struct error *err);
	/** Begin a session. After success it has a part, and an event will tell more. */
	int (*create)(struct engine *engine, struct session *session, struct error *err);
	/** End a session that has a part. May be said again. */
	void (*end)(struct engine *engine, struct session *session, const char *reason);
	/** Answer with the SuccessfulList entry of GetSessionScreenshots. */
	void (*screenshot)(struct engine *engine, struct session *session,
			   const struct screenshot_wish *wish, struct answer *answer);
	/**
	 * Give a session that lives the permissions of a file, base64. @answer: a success is an
	 * empty object. NULL: the engine has no need to be told.
	 */
	void (*set_permissions)(struct engine *engine, struct session *session,
				const char *permissions, struct answer *answer);
	/**
	 * Connect to the session's RFB server, or have its files served, as its owner. May be
	 * answered before it returns. NULL: the engine has a web client of its own.
	 */
	void (*connect)(struct engine *engine, struct session *session,
			struct connection_wish *wish);
	/**
	 * Look how much CPU time the session's processes have used; the event `used` follows, or
	 * nothing. NULL: the engine does not know which they are.
	 */
	void (*usage)(struct engine *engine, struct session *session);
	/** Show the owner a text in the session. NULL: the engine has no way to. */
	int (*notify)(struct engine *engine, struct session *session, const char *text,
		      struct error *err);
	/** Let go of every part without ending a session. */
	void (*free)(struct engine *engine);
};

/** The beginning of every engine's own struct. */
struct engine {
	const struct engine_ops *ops;
	struct engine_status status;
};

void engine_status_done(struct engine_status *status);

/** Which one the settings ask for on this host: the Amazon DCV server, or else our own. */
bool engine_is_dcv(const struct agent_config *config);

struct x11_options {
	struct loop *loop;
	const struct agent_config *config;
	const char *keeper_socket; /* the keepers' listener */
	const char *keeper_run_dir;
	struct engine_events events;
};

/** Sessions on X servers of our own and the one at the local seat, each with a keeper. Borrows strings. */
struct engine *x11_engine_new(const struct x11_options *options, struct error *err);

struct dcv_options {
	struct loop *loop;
	const struct agent_config *config;
	const char *handover_folder; /* for files that the DCV server and the owners read */
	const char *session_init;    /* the program dcv-session-init */
	struct engine_events events;
};

/** Sessions of an Amazon DCV server, which is driven by its command. Strings are borrowed. */
struct engine *dcv_engine_new(const struct dcv_options *options, struct error *err);

#endif
