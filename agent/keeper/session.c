#include "agent/keeper/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/keeper/shutdown.h"
#include "agent/keeper/xsession-errors.h"
#include "agent/sentence.h"
#include "common/cleanup.h"
#include "common/log.h"

#define CLEARING_MS 10000

static const char *const state_names[] = {
	[SESSION_WAITING] = "waiting",   [SESSION_XSERVER] = "starting",
	[SESSION_INIT] = "starting",     [SESSION_AUTORUN] = "starting",
	[SESSION_SETTLING] = "starting", [SESSION_READY] = "ready",
	[SESSION_ENDING] = "ending",     [SESSION_CLEARING] = "ending",
	[SESSION_GONE] = "ending",
};

void session_note(struct session *s, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	output_tell(s->log_fd, "keeper", text);
}

/* How a program that has run has ended; NULL: it has not. */
static const char *status_of(const struct program *program, char *ret, size_t size)
{
	if (!program->end_told)
		return NULL;
	program_describe_status(program->status, ret, size);
	return ret;
}

void session_tell_state(struct session *s, struct peer *peer)
{
	AUTO(buf_done) struct buf packet = {0};
	bool is_ready = s->state >= SESSION_READY && s->state != SESSION_GONE;
	char number[16], init[64], autorun[64];

	(void)snprintf(number, sizeof(number), "%d", s->folder.number);
	if (peer &&
	    message_build(
		    &packet, "EVENT", "state", "NUMBER", number, "SESSION_ID",
		    s->request->session_id, "OWNER", s->request->owner, "TYPE",
		    s->request->is_console ? "console" : "virtual", "STATE", state_names[s->state],
		    "DISPLAY", is_ready ? environment_get(&s->environment, "DISPLAY") : NULL,
		    "XAUTHORITY", is_ready ? environment_get(&s->environment, "XAUTHORITY") : NULL,
		    "INIT", status_of(&s->init, init, sizeof(init)), "AUTORUN",
		    status_of(&s->autorun, autorun, sizeof(autorun)), "REASON",
		    s->reason[0] ? s->reason : NULL, "RENDER_NODE", s->request->render_node,
		    "ACCOUNT", s->owner.name, "FILES", "1", NULL))
		peer_send(peer, &packet, -1);
}

void session_tell_all(struct session *s, const char *event, const char *left)
{
	AUTO(buf_done) struct buf packet = {0};

	if (message_build(&packet, "EVENT", event, "REASON", s->reason[0] ? s->reason : NULL,
			  "LEFT", left, NULL))
		peers_send_all(&s->peers, &packet);
}

/* --- what has failed or ended -------------------------------------------------------------------
 */

/* "; the last it printed: a | b", or nothing. */
static void add_tail(struct program *program, char *reason, size_t size)
{
	char tail[OUTPUT_TAIL_LINES * (OUTPUT_TAIL_LINE_MAX_BYTES + 3) + 1];
	size_t len = strlen(reason);

	output_tail(&program->output, OUTPUT_TAIL_LINES, tail, sizeof(tail));
	if (tail[0])
		(void)snprintf(reason + len, size - len, "; the last it printed: %s", tail);
}

/* What the desktop of the host has written elsewhere, for log and reason. */
static void take_errors(struct session *s)
{
	long long lasted_ms = clock_ms() - s->settling.begin_ms;
	char text[2048];
	size_t len;

	if (s->request->init_file)
		return;
	/* Its first moments were before that; file systems count the time in large steps. */
	len = xsession_errors_read(&s->owner, time(NULL) - lasted_ms / 1000 - 2, text,
				   sizeof(text));
	output_add(&s->init.output, text, len);
}

/* Who named the file is told that it does not do; a desktop of the host may be slow with the host. */
static void fail_to_settle(struct session *s)
{
	char reason[sizeof(s->reason)];

	take_errors(s);
	(void)snprintf(reason, sizeof(reason),
		       "%s has not started within %lld s: it opens no display and does not rest",
		       s->init.name, (clock_ms() - s->settling.begin_ms) / 1000);
	add_tail(&s->init, reason, sizeof(reason));
	session_fail(s, s->request->init_file ? ERR_INVALID : ERR_TIMEOUT, reason);
}

static void check_deadline(struct session *s)
{
	static const char *const what[] = {
		[SESSION_XSERVER] = "X server",
		[SESSION_INIT] = "the session's first program",
		[SESSION_AUTORUN] = "the autorun file",
	};
	char reason[160];

	if (s->state > SESSION_SETTLING || clock_ms() < s->deadline_ms)
		return;
	if (s->state == SESSION_SETTLING) {
		fail_to_settle(s);
		return;
	}
	if (s->state == SESSION_WAITING)
		(void)snprintf(reason, sizeof(reason),
			       "the session's turn to start did not come within %lld s: other "
			       "sessions are being started",
			       s->config->queue_timeout);
	else if (s->request->is_console)
		(void)snprintf(reason, sizeof(reason),
			       "the X server of the local seat did not answer within %lld s",
			       s->config->create_timeout);
	else
		(void)snprintf(reason, sizeof(reason), "%s did not start within %lld s",
			       what[s->state], s->config->create_timeout);
	session_fail(s, ERR_TIMEOUT, reason);
}

static bool has_ended(const struct program *program)
{
	/* As long as exec_fd is open it may have a better reason to tell. */
	return program->pid == 0 && program->exec_fd < 0;
}

/* Whether a child is none of those that serve the session without being its purpose. */
static bool is_purpose(const struct session *s, pid_t pid)
{
	if (pid == s->xserver.program.pid || pid == s->xlock.helper || pid == s->notice.pid)
		return false;
	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++) {
		if (pid == s->errands[i].program.pid)
			return false;
	}
	for (size_t i = 0; i < s->n_bystanders; i++) {
		if (pid == s->bystanders[i])
			return false;
	}
	return true;
}

static bool is_empty(const struct session *s)
{
	pid_t children[1024];
	size_t n = processes_children(children, ARRAY_SIZE(children));

	for (size_t i = 0; i < n; i++) {
		if (is_purpose(s, children[i]))
			return false;
	}
	return true;
}

static void describe_end(struct session *s, char *reason, size_t size)
{
	long long lasted_ms = clock_ms() - s->settling.begin_ms;
	char status[64], within[48] = "";

	program_describe_status(s->init.status, status, sizeof(status));
	if (lasted_ms < s->settling.settle_ms)
		(void)snprintf(within, sizeof(within), " within %lld s", lasted_ms / 1000 + 1);
	if (WIFSIGNALED(s->init.status))
		(void)snprintf(reason, size, "%s was %s%s", s->init.name, status, within);
	else
		(void)snprintf(reason, size, "%s ended%s: %s", s->init.name, within, status);
	take_errors(s);
	add_tail(&s->init, reason, size);
}

/* An init file may leave the desktop running behind it, the host's desktop may not; and one that says
 * that it has failed has. */
static bool has_failed_to_settle(const struct session *s)
{
	return has_ended(&s->init) &&
	       (!s->request->init_file || s->init.status != 0 || is_empty(s));
}

/* While it is looked for; then others tell when it is over. */
static void check_console(struct session *s)
{
	char reason[200], status[64];

	if (s->state != SESSION_XSERVER || !has_ended(&s->console.finder) ||
	    s->console.answer_fd >= 0 || s->console.display >= 0)
		return;
	program_describe_status(s->console.finder.status, status, sizeof(status));
	(void)snprintf(reason, sizeof(reason), "%s ended: %s", s->console.finder.name, status);
	session_fail(s, ERR_SYSTEM, reason);
}

/* The session lives as long as its X server and any of its programs. */
static void check_alive(struct session *s)
{
	char reason[sizeof(s->reason)];

	if (s->request->is_console) {
		check_console(s);
		return;
	}
	if (s->state >= SESSION_XSERVER && has_ended(&s->xserver.program)) {
		xserver_describe_end(&s->xserver, reason, sizeof(reason));
		if (s->state == SESSION_READY)
			session_stop(s, reason);
		else
			session_fail(s, ERR_SYSTEM, reason);
	} else if (s->state == SESSION_SETTLING && s->settling.settle_ms > 0 &&
		   has_failed_to_settle(s)) {
		/* Of the owner's making, mostly: a host is not to be avoided for it. */
		describe_end(s, reason, sizeof(reason));
		session_fail(s, ERR_INVALID, reason);
	} else if (s->state == SESSION_READY && has_ended(&s->init) && is_empty(s)) {
		describe_end(s, reason, sizeof(reason));
		session_stop(s, reason);
	}
}

/* That a program has ended by itself, and how, for who wants to know; the session may go on. */
static void tell_exit(struct session *s, struct program *program, const char *which)
{
	AUTO(buf_done) struct buf packet = {0};
	char status[64];

	if (!program->started || !has_ended(program) || program->end_told)
		return;
	program->end_told = true;
	program_describe_status(program->status, status, sizeof(status));
	session_note(s, "%s ended: %s", program->name, status);
	if (s->state < SESSION_ENDING &&
	    message_build(&packet, "EVENT", "exited", "PROGRAM", which, "STATUS", status, NULL))
		peers_send_all(&s->peers, &packet);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void begin_to_end(struct session *s)
{
	s->ending.processes.cgroup = &s->cgroup;
	s->ending.processes.session_id = s->request->session_id;
	s->ending.processes.owner = s->owner.uid;
	s->ending.processes.with_descendants = true;
	/* The X server may be making its socket: keep the lock until it has ended, or stop waiting.
	 */
	if (!s->xlock.is_held)
		xlock_release(&s->xlock);
	s->state = SESSION_ENDING;
	ending_begin(&s->ending, ENDING_PROGRAMS, s->xserver.program.pid, s->config->delete_grace);
	session_tell_all(s, "ending", NULL);
}

void session_stop(struct session *s, const char *reason)
{
	if (s->state >= SESSION_ENDING)
		return;
	/* Then the X server may end before we are told to. */
	if (s->state == SESSION_READY && shutdown_is_under_way())
		reason = "the host was shut down or rebooted";
	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	sentence_make_valid(s->reason);
	log_info("session %s ending: %s", s->request->session_id, s->reason);
	begin_to_end(s);
}

void session_fail(struct session *s, enum error_code code, const char *reason)
{
	if (s->state < SESSION_ENDING)
		s->failure = code;
	session_stop(s, reason);
}

static void tell_overdue(struct session *s)
{
	char reason[sizeof(s->reason)], left[24];

	log_error("session %s does not end: %zu processes are left", s->request->session_id,
		  s->ending.processes.n_watched);
	memcpy(reason, s->reason, sizeof(reason));
	(void)snprintf(s->reason, sizeof(s->reason), "%zu processes do not end; first: %.900s",
		       s->ending.processes.n_watched, reason);
	(void)snprintf(left, sizeof(left), "%zu", s->ending.processes.n_watched);
	session_tell_all(s, "ending", left);
	memcpy(s->reason, reason, sizeof(reason));
}

static void advance_ending(struct session *s)
{
	struct error err = {0};

	s->ending.xserver = s->xserver.program.pid;
	if (ending_is_overdue(&s->ending))
		tell_overdue(s);
	if (!ending_advance(&s->ending))
		return;
	s->state = SESSION_CLEARING;
	s->deadline_ms = clock_ms() + CLEARING_MS;
	if (!s->xlock.is_held && xsocket_is_left(&s->xserver.socket) &&
	    xlock_request(&s->xlock, s->options->run_dir, &err) < 0) {
		log_warning("session %s: X socket left behind: %s", s->request->session_id,
			    err.message);
		s->state = SESSION_GONE;
	}
}

static void advance_clearing(struct session *s)
{
	bool is_left = xsocket_is_left(&s->xserver.socket);

	if (s->xlock.is_held && s->xserver.socket.display < 0)
		xsocket_remove_dead(s->owner.uid);
	else if (s->xlock.is_held)
		xsocket_remove(&s->xserver.socket);
	else if (is_left && s->xlock.helper && clock_ms() < s->deadline_ms)
		return;
	else if (is_left)
		log_warning("session %s: X socket left behind: no lock", s->request->session_id);
	s->state = SESSION_GONE;
}

void session_advance(struct session *s)
{
	enum session_state before;
	struct error err = {0};

	do {
		before = s->state;
		tell_exit(s, &s->init, "init");
		tell_exit(s, &s->autorun, "autorun");
		check_alive(s);
		check_deadline(s);
		/* What the request names is looked at in the children: this is ours. */
		if (s->state < SESSION_READY && session_advance_start(s, &err) < 0)
			session_fail(s, ERR_SYSTEM, err.message);
		if (s->state == SESSION_ENDING)
			advance_ending(s);
		if (s->state == SESSION_CLEARING)
			advance_clearing(s);
	} while (s->state != before && s->state != SESSION_GONE);
}

static void session_init(struct session *s, const struct options *options,
			 const struct agent_config *config, const struct request *request)
{
	*s = (struct session){
		.options = options,
		.config = config,
		.request = request,
		.deadline_ms = clock_ms() + config->queue_timeout * 1000,
		.folder = FOLDER_NONE,
		.control_fd = -1,
		.signal_fd = -1,
		.log_fd = -1,
		.xlock = XLOCK_NONE,
		.xserver = XSERVER_NONE,
		.init = PROGRAM_NONE,
		.autorun = PROGRAM_NONE,
		.console = CONSOLE_NONE,
		.scraper = SCRAPER_NONE,
		.notice = PROGRAM_NONE,
	};
	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++)
		s->errands[i] =
			(struct errand){.program = PROGRAM_NONE, .reply_fd = -1, .event = ""};
}

static int begin(struct session *s, int fd, struct error *err)
{
	if (session_open(s, fd, err) < 0)
		return -1;
	if (s->request->is_console) /* it starts no X server */
		return 0;
	if (xlock_request(&s->xlock, s->options->run_dir, err) < 0)
		return error_blame_host(err);
	if (!s->xlock.is_held)
		session_note(s, "waits for its turn: other sessions are being started");
	return 0;
}

int session_run(const struct options *options, const struct agent_config *config,
		const struct request *request, int fd)
{
	AUTO(free_p) struct session *s = malloc(sizeof(*s));
	struct error err = {0};

	if (!s) {
		(void)close(fd);
		log_error("session %s: out of memory", request->session_id);
		return 1;
	}
	session_init(s, options, config, request);
	if (begin(s, fd, &err) < 0) {
		(void)snprintf(s->reason, sizeof(s->reason), "%s", err.message);
		sentence_make_valid(s->reason);
		s->failure = err.code;
	} else {
		session_loop(s);
	}
	session_close(s);
	return s->failure != ERR_NONE;
}
