/** What the parts of our own engine know of each other: x11.c, x11-part.c, x11-keeper.c. */
#ifndef AGENT_ENGINES_X11_H
#define AGENT_ENGINES_X11_H

#include "agent/engines/capture.h"
#include "agent/engines/engine.h"
#include "agent/packet-socket.h"

#define X11_RETRY_MS 50       /* the listener's queue is full */
#define X11_RECONNECT_MS 1000 /* the listener is not there, or does not do what it is told */

struct x11_engine {
	struct engine engine; /* first */
	struct loop *loop;
	const struct agent_config *config;
	const char *keeper_socket, *run_dir;
	struct engine_events events;
	struct list parts;    /* struct engine_session::link */
	unsigned n_searching; /* parts that were found and have not said who they are */
	bool is_searched;
};

enum step {
	STEP_START,    /* "start" is to be said to the listener */
	STEP_CONTROL,  /* the control socket of `number` is to be connected */
	STEP_CLEAN,    /* "clean" is to be said to the listener */
	STEP_CONNECTED /* talking to the keeper */
};

struct engine_session {
	struct list link; /* x11_engine::parts */
	struct x11_engine *engine;
	struct session *session; /* NULL while it is not known who it is */
	enum step step;
	long long number; /* of its folder in RUN_DIR; -1: not known yet */
	int n_absent;     /* tries that found its folder without a control socket */
	int n_unanswered; /* orders to start after which the connection was closed */
	struct packet_socket *socket;
	struct timer *timer; /* for the next try, or the limit of adoption */
	struct capture *capture;
	struct list wishes; /* struct connection_wish::link */
	unsigned long long n_wishes;
	bool is_searching;
	char *render_node; /* the GPU that it has; NULL: none */
	char *end_reason;  /* it is to end; said to the keeper at the next connection */
};

/* --- parts (x11-part.c) ------------------------------------------------------------------------ */

/** It begins with no session and no step to take. */
struct engine_session *x11_part_new(struct x11_engine *x11, struct error *err);
void x11_part_free(struct engine_session *part);

/** Its last word: nothing of the session is left. The part is gone then. */
void x11_part_end(struct engine_session *part, const char *reason, enum error_code code);

/** It is not waited for any more when the agent starts. */
void x11_part_stop_searching(struct engine_session *part);

/** Nobody will get the connections that were wished for. */
void x11_part_fail_wishes(struct engine_session *part, const char *why);

/** Take the next step; again by itself until it succeeds or the part ends. */
void x11_part_advance(struct engine_session *part);

/** The first step alone, "start" said to the listener. ERR_UNAVAILABLE: try again. */
int x11_part_start(struct engine_session *part, struct error *err);

/* --- the keeper (x11-keeper.c) ------------------------------------------------------------------ */

/** Of a part's socket. */
extern const struct packet_socket_handler x11_keeper_handler;

/** Say @operation, with one field unless @value is NULL. */
int x11_send_text(struct engine_session *part, const char *operation, const char *name,
		  const char *value, struct error *err);
int x11_send_start(struct engine_session *part, struct error *err);

/** If it is to end, and there is a connection. */
void x11_say_end(struct engine_session *part);

/** Of its capture. */
int x11_want_capture(void *userdata, struct error *err);

#endif
