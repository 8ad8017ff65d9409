/**
 * The life of one session, from the request to the last word.
 *
 *     WAITING    for its turn, which is the host-wide lock around display numbers
 *     XSERVER    the X server has been started, its display number is awaited
 *     INIT       the init file (or the host's desktop) has been started, its exec is awaited
 *     AUTORUN    the same for the autorun file
 *     SETTLING   the programs run; whether that makes a desktop is watched (settling.h)
 *     READY
 *     ENDING     processes are ended (ending.h)
 *     CLEARING   for the lock again, because the X server left its socket behind
 *     GONE
 *
 * A console session (console.h) goes from WAITING to XSERVER, where its display is looked for, to
 * READY; it starts no programs but those that capture, and for viewers that of scraper.h, and nothing
 * else is ever ended with it.
 *
 * Only its turn begins the time that a start may take: how long others take is no fault of its own.
 *
 * Everything that can go wrong, and every request to stop, leads to ENDING at once. While starting,
 * a failure makes the last word "failed", otherwise it is "ended".
 */
#ifndef AGENT_KEEPER_SESSION_H
#define AGENT_KEEPER_SESSION_H

#include "agent/account.h"
#include "agent/config.h"
#include "agent/keeper/cgroup.h"
#include "agent/keeper/console.h"
#include "agent/keeper/ending.h"
#include "agent/keeper/environment.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/options.h"
#include "agent/keeper/pam.h"
#include "agent/keeper/peers.h"
#include "agent/keeper/program.h"
#include "agent/keeper/request.h"
#include "agent/keeper/scraper.h"
#include "agent/keeper/settling.h"
#include "agent/keeper/xlock.h"
#include "agent/keeper/xserver.h"

#define SESSION_ERRANDS_PER_KIND 4
#define SESSION_ERRANDS_MAX (3 * SESSION_ERRANDS_PER_KIND)
#define SESSION_BYSTANDERS_MAX 64

enum session_state {
	SESSION_WAITING,
	SESSION_XSERVER,
	SESSION_INIT,
	SESSION_AUTORUN,
	SESSION_SETTLING,
	SESSION_READY,
	SESSION_ENDING,
	SESSION_CLEARING,
	SESSION_GONE
};

struct session {
	const struct options *options;
	const struct agent_config *config;
	const struct request *request;
	enum session_state state;
	enum error_code failure; /* the last word is "failed" with this code; ERR_NONE: "ended" */
	int rival;               /* number of the session that has our id already; 0: none */
	char reason[1100];
	long long deadline_ms; /* of WAITING, of the start, or of CLEARING */
	struct settling settling;

	struct account owner;
	struct pam pam;
	struct cgroup cgroup;
	struct environment environment;
	struct program_context context;
	struct folder folder;
	struct peers peers;
	int control_fd;
	int signal_fd;
	int log_fd;

	struct xlock xlock;
	struct xserver xserver;
	struct console console;
	struct scraper scraper; /* of a console session */
	struct program init;
	struct program autorun;
	struct errand {
		struct program program;
		int reply_fd;      /* for the peer, until the program runs */
		const char *event; /* of the answer */
		char tag[72];
		unsigned long peer;  /* its serial */
		pid_t found_scraper; /* of a connection: what ran already; 0: nothing */
	} errands[SESSION_ERRANDS_MAX];
	struct program notice;                    /* shows the owner a text */
	pid_t bystanders[SESSION_BYSTANDERS_MAX]; /* children that PAM modules started */
	size_t n_bystanders;
	struct ending ending;
};

/** Serve "start": the whole life. @fd is the connection it came from, which is taken over. */
int session_run(const struct options *options, const struct agent_config *config,
		const struct request *request, int fd);

/** Begin to end, with the reason that is told; a later reason changes nothing. */
void session_stop(struct session *session, const char *reason);

/** The same, because something went wrong; the code tells whose fault it was. */
void session_fail(struct session *session, enum error_code code, const char *reason);

/* the parts of session_run() */

/** Everything before the first process of the session (session-open.c). */
int session_open(struct session *session, int fd, struct error *err);

/** And after the last: remove what was made, say the last word. */
void session_close(struct session *session);

/** Do what is possible now in this state (session.c). */
void session_advance(struct session *session);

/** One step of the start, if it can be made now (session-start.c). */
int session_advance_start(struct session *session, struct error *err);

/** Handle events until the session is gone (session-loop.c). */
void session_loop(struct session *session);

/** One request of a peer. */
void session_handle(struct session *session, struct peer *peer, const struct request *request);

/** Start the capture program for a peer, or tell it why not (session-errand.c). */
void session_capture(struct session *session, struct peer *peer, const char *tag);

/** Connect to the session's RFB server for a peer, or tell it why not. */
void session_connect(struct session *session, struct peer *peer, const char *tag);

/** Start the program that serves the files below a folder, or tell the peer why not. */
void session_serve_files(struct session *session, struct peer *peer, const struct request *request);

/** The exec of the console's RFB server is decided. */
void session_scraper_decided(struct session *session);

/** Take note of the children that have ended. */
void session_reap(struct session *session);

/** What comes of it is decided: hand over its socket, or tell why there is none. */
void session_errand_decided(struct session *session, struct errand *errand);

/** Tell a peer how much CPU time the session has used (session-idle.c). */
void session_tell_usage(struct session *session, struct peer *peer);

/** Show the owner a text. What goes wrong is logged. */
void session_notify(struct session *session, const char *text);

/** The exec of the program that shows it is decided. */
void session_notice_decided(struct session *session);

/** Write a line into the session's log, of what nobody else needs to know. */
void session_note(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Tell one peer how the session stands ("state"). */
void session_tell_state(struct session *session, struct peer *peer);

/** Tell all peers of an event, with the reason if there is one. @left: see protocol.h, or NULL. */
void session_tell_all(struct session *session, const char *event, const char *left);

#endif
