/**
 * A session on this host: what was asked for, and the state it is in.
 *
 * The life of a session is a table of states and events (session.c); what the table lacks is
 * refused. Every state that is not final has a deadline, which session-list.c watches.
 * Source of states and fields: the API reference, "Life cycle of a session" and "Session".
 */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/idle-rule.h"
#include "common/error.h"
#include "common/list.h"
#include "common/requests.h"

enum session_state {
	SESSION_CREATING,
	SESSION_READY,
	SESSION_DELETING,
	SESSION_DELETED,
	N_SESSION_STATES
};

enum session_event {
	SESSION_EVENT_FOUND, /* the engine: it lives */
	SESSION_EVENT_READY, /* the engine: it accepts clients */
	SESSION_EVENT_ENDED, /* the engine: nothing of it is left */
	SESSION_EVENT_END,   /* somebody, or a deadline, wants it gone */
	N_SESSION_EVENTS
};

/* Only an engine knows what is in it. */
struct engine_session;

struct permissions;

struct session {
	struct list link; /* session_list::sessions */
	char *id, *name, *owner;
	char *account; /* the owner's name in name services, see session_is_of(); NULL: not known */
	const char *type;               /* "CONSOLE" or "VIRTUAL" */
	char *init_file, *autorun_file; /* relative to their folders; NULL: none */
	json_t *autorun_arguments;      /* array of strings, or NULL */
	char *permissions;              /* base64, as given; NULL: the default */
	struct permissions *rights;     /* what they say; NULL: nobody may do anything */
	char *storage_root;
	long long max_concurrent_clients; /* 0: no limit */
	bool is_gl_wanted;                /* DcvGlEnabled is true, ... */
	bool is_gl_unwanted;              /* ... or false; neither: as the engine does */
	bool is_host_made;                /* by other means; it has no record */
	bool serves_files;                /* the engine can, as it tells */
	bool is_starting;                 /* CREATING without it: it waits */
	long long n_connections;          /* as the engine tells */
	long long disconnection_time_ms;  /* when the last client left, since 1970; 0: never */
	long long attempt;                /* which order of the broker made it; 0: none */
	struct idle_state idle;           /* idle.c keeps it */
	enum session_state state;
	char *state_reason;
	bool was_ready;
	enum error_code failure; /* why it ended before it was ready; ERR_NONE: not known */
	/* "running", "exit status 1" and so on, as the engine tells; NULL: not known. */
	char *init_status, *autorun_status;
	json_t *log;                    /* what we have to tell of it (session-log.h) */
	long long n_leaked;             /* its processes that do not end, while it is DELETING */
	long long creation_time_ms;     /* since 1970 */
	long long end_time_ms;          /* when it became DELETED; 0 before */
	unsigned long long deadline_ms; /* loop_now_ms() when somebody must act; 0: final state */
	struct engine_session *part;    /* the engine's; NULL when it has none */
};

/** A session as requested, CREATING. @id and the time come from the broker or from the caller. */
struct session *session_new(const char *id, const struct create_session_request *request,
			    long long creation_time_ms, struct error *err);

/** Takes NULL. The engine's part must be gone. */
void session_free(struct session *session);

/**
 * Is @name the owner's? A user of a directory may be known by several names: that of the account whose
 * session was asked for as "CORP\mira" may be "mira@corp.example". Both are the owner's, once the
 * engine has told which account it is.
 */
bool session_is_of(const struct session *session, const char *name);

/** Without memory it stays unknown. NULL tells nothing. */
void session_set_account(struct session *session, const char *account);

/** "CREATING" and so on. */
const char *session_state_name(enum session_state state);

/**
 * Let an event happen. @reason becomes the StateReason unless one is there already; NULL: none.
 * ERR_CONFLICT when the table does not have it; the session is then as it was.
 */
int session_apply(struct session *session, enum session_event event, const char *reason,
		  struct error *err);

/** Note whose fault it is that the session ends. Has an effect only if it was never ready. */
void session_set_failure(struct session *session, enum error_code code);

/** What a program's status is until it has ended. One that has not, ends with the session. */
#define SESSION_STATUS_RUNNING "running"

/** Note how its init file (or desktop), or its autorun file, runs or has ended. */
void session_set_status(char **status, const char *text);

/** Of its programs, beyond the API: "Init" and "Autorun". NULL without memory. */
json_t *session_programs_to_json(const struct session *session);

/** As the API shows it, without "Server". NULL without memory. */
json_t *session_to_json(const struct session *session);

/** All that must survive the agent, and back. NULL without memory. */
json_t *session_to_record(const struct session *session);
struct session *session_from_record(const json_t *record, struct error *err);

#endif
