/** What the parts of the DCV engine know of each other: dcv.c, dcv-part.c, dcv-status.c. */
#ifndef AGENT_ENGINES_DCV_H
#define AGENT_ENGINES_DCV_H

#include "agent/engines/dcv-command.h"
#include "agent/engines/dcv-reader.h"
#include "agent/engines/engine.h"

/** Does the server take --user? Not every one does, and which one is not public. */
enum dcv_user_option { DCV_USER_UNKNOWN, DCV_USER_TAKEN, DCV_USER_REFUSED };

struct dcv_engine {
	struct engine engine; /* first */
	struct loop *loop;
	const struct agent_config *config;
	const char *handover_folder, *session_init;
	struct engine_events events;
	struct dcv_commands *commands;
	struct list parts; /* struct engine_session::link */
	enum dcv_user_option user_option;
	struct timer *poll_timer;
	struct timer *status_timer;
	struct dcv_command *listing; /* the list of sessions that is under way */
	unsigned long long n_lists;  /* begun so far */
	bool is_list_text;           /* the server knows no JSON for lists */
	bool is_poll_wanted;         /* once more, when the one under way is there */
	bool is_searched;            /* a first answer, or none in time */
};

enum dcv_step {
	DCV_PREPARING, /* owner and files are looked at */
	DCV_CREATING,  /* create-session runs */
	DCV_UNSURE,    /* it has not answered: a list will tell */
	DCV_STARTING,  /* made, not usable yet */
	DCV_READY,
	DCV_CLOSING /* close-session is ordered; over when a list lacks it */
};

struct dcv_preparation;

/* A part: what the engine knows of a session. */
struct engine_session {
	struct list link; /* dcv_engine::parts */
	struct dcv_engine *dcv;
	struct session *session;
	enum dcv_step step;
	char *handover_name; /* of its folder; the id, if that can name one */
	char *init_path;     /* for --init; NULL: the server's own */
	char *end_reason;    /* it is to end */
	struct dcv_preparation *preparation;
	struct dcv_command *command; /* the change that is under way */
	bool has_user_option;        /* of that command */
	char *complaint;             /* of the creation with --user */
	unsigned long long since;    /* only lists with a higher number tell of the present step */
	unsigned long long since_ms;
	bool was_listed;
	bool has_new_permissions; /* the server is being told of them */
	unsigned n_missing;       /* lists in a row that lack it */
};

/* --- dcv-part.c: one session's life ------------------------------------------------------------ */

struct engine_session *dcv_part_new(struct dcv_engine *dcv, struct session *session,
				    enum dcv_step step, struct error *err);

/** The session has no part any more; its files stay. */
void dcv_part_free(struct engine_session *part);

/** Begin to create: what follows is told by the events. */
int dcv_part_create(struct engine_session *part, struct error *err);

/** See that it ends, whatever it is doing. */
void dcv_part_close(struct engine_session *part);

/** A list that tells of the part's present step has it as @found. */
void dcv_part_is_listed(struct engine_session *part, const struct dcv_session *found);

/** A list that tells of the part's present step lacks it. The part may be gone afterwards. */
void dcv_part_is_missing(struct engine_session *part);

/** Write the permission file that the server is to read. *ret_path belongs to the caller. */
int dcv_part_write_permissions(struct engine_session *part, const char *base64, char **ret_path,
			       struct error *err);

/** Must its next list come soon? */
bool dcv_part_is_moving(const struct engine_session *part);

/* --- dcv-status.c: the server ------------------------------------------------------------------ */

/** Ask for version and endpoints. */
void dcv_status_refresh(struct dcv_engine *dcv);

/** The server answers (@trouble NULL), or not, and why. */
void dcv_status_set_trouble(struct dcv_engine *dcv, const char *trouble);

/* --- dcv.c ------------------------------------------------------------------------------------- */

/** Look at the sessions soon. */
void dcv_poll_soon(struct dcv_engine *dcv);

#endif
