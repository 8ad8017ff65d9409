/* What is done as the owner for a peer, and answered with a descriptor: a capture program is started,
 * each with a socket for whoever asked, one that serves files to a viewer, or a connection made to the RFB
 * server for it.
 *
 * The latter is a process, too, because the server's socket lies where its owner may put whatever they
 * like in its place: what is connected to shall not take us for its peer. The child connects a socket
 * that we have made, and ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/keeper/session.h"
#include "common/cleanup.h"
#include "common/log.h"

static void answer(struct peer *peer, const char *event, const char *tag, int fd)
{
	AUTO(buf_done) struct buf packet = {0};

	if (peer && message_build(&packet, "EVENT", event, "TAG", tag, NULL))
		peer_send(peer, &packet, fd);
}

static void refuse(struct peer *peer, const char *event, const char *tag, const struct error *why)
{
	AUTO(buf_done) struct buf packet = {0};

	if (peer && message_build(&packet, "EVENT", event, "TAG", tag, "REASON", why->message,
				  "CODE", error_wire_name(why->code), NULL))
		peer_send(peer, &packet, -1);
}

/* A free one, unless so many that answer with this event are busy. */
static struct errand *find_free(struct session *s, const char *event, size_t n_max)
{
	struct errand *errand = NULL;
	size_t n = 0;

	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++) {
		struct errand *e = &s->errands[i];

		if (e->program.pid == 0 && e->program.exec_fd < 0)
			errand = errand ? errand : e;
		else
			n += strcmp(e->event, event) == 0;
	}
	return n < n_max ? errand : NULL;
}

/* @start makes a process, and sets reply_fd to what is handed over when it runs. */
static void run(struct session *s, struct peer *peer, const char *event, const char *tag,
		int (*start)(struct session *s, struct errand *errand, const char *folder,
			     struct error *err),
		const char *folder)
{
	struct errand *errand = find_free(s, event, SESSION_ERRANDS_PER_KIND);
	struct error err = {0};

	if (s->state != SESSION_READY || !errand) {
		(void)error_set(&err, ERR_UNAVAILABLE, "%s",
				errand ? "the session is not ready"
				       : "too many of these run already");
		refuse(peer, event, tag, &err);
		return;
	}
	program_done(&errand->program);
	*errand = (struct errand){
		.program = PROGRAM_NONE, .reply_fd = -1, .peer = peer->serial, .event = event};
	(void)snprintf(errand->tag, sizeof(errand->tag), "%s", tag);
	if (start(s, errand, folder, &err) < 0) {
		close_p(&errand->reply_fd);
		program_done(&errand->program);
		refuse(peer, event, tag, &err);
	}
}

/* --- programs ----------------------------------------------------------------------------------
 */

_Static_assert(PROGRAM_PASSED_FD == 3, "the number after --serve");

struct serving {
	const char *program;
	const char *folder; /* NULL: it takes none */
};

static int prepare_serving(void *data, char ***ret_argv, struct error *err)
{
	const struct serving *serving = data;
	char **argv = calloc(5, sizeof(*argv));

	if (!argv)
		return error_oom(err);
	argv[0] = strdup(serving->program);
	argv[1] = strdup("--serve");
	argv[2] = strdup("3");
	argv[3] = serving->folder ? strdup(serving->folder) : NULL;
	*ret_argv = argv;
	return argv[0] && argv[1] && argv[2] && (argv[3] || !serving->folder) ? 0 : error_oom(err);
}

static int start_serving(struct session *s, struct errand *errand, struct serving *serving,
			 struct error *err)
{
	AUTO(close_p) int theirs = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, "socketpair");
	errand->reply_fd = fds[0];
	theirs = fds[1];
	(void)snprintf(errand->program.name, sizeof(errand->program.name), "%s program",
		       errand->event);
	return program_start(&errand->program, &s->context,
			     &(struct program_start){.source = errand->event,
						     .log_fd = s->log_fd,
						     .passed_fd = theirs,
						     .prepare = prepare_serving,
						     .data = serving},
			     err);
}

static int start_capture(struct session *s, struct errand *errand, const char *folder,
			 struct error *err)
{
	struct serving serving = {s->options->screenshot_program, folder};

	return start_serving(s, errand, &serving, err);
}

void session_capture(struct session *s, struct peer *peer, const char *tag)
{
	run(s, peer, "capture", tag, start_capture, NULL);
}

static int start_files(struct session *s, struct errand *errand, const char *folder,
		       struct error *err)
{
	struct serving serving = {s->options->files_program, folder};

	return start_serving(s, errand, &serving, err);
}

void session_serve_files(struct session *s, struct peer *peer, const struct request *request)
{
	run(s, peer, "files", request->tag, start_files, request->folder);
}

/* --- connect -----------------------------------------------------------------------------------
 */

static int prepare_connection(void *data, char ***ret_argv, struct error *err)
{
	const struct session *s = data;
	bool is_console = s->request->is_console;
	long long until_ms = clock_ms() + SCRAPER_PATIENCE_MS;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)ret_argv; /* nothing is executed */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		       is_console ? s->scraper.rfb : s->xserver.rfb);
	while (connect(PROGRAM_PASSED_FD, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			return error_set(err, ERR_UNAVAILABLE,
					 "the session's RFB server has too much to do");
		/* not there yet, just bound, which it is without any rights, or of the one before */
		if (!is_console || (errno != ENOENT && errno != EACCES && errno != ECONNREFUSED))
			return error_errno(err, "connect to the session's RFB server");
		if (scraper_wait(&s->scraper, until_ms, err) < 0)
			return -1;
	}
	return 0;
}

static int run_scraper(struct session *s, struct error *err)
{
	return scraper_run(&s->scraper, &s->context,
			   &(struct scraper_start){.session_id = s->request->session_id,
						   .owner_folder = s->folder.owner_path,
						   .log_fd = s->log_fd},
			   err);
}

void session_scraper_decided(struct session *s)
{
	struct program *program = &s->scraper.program;
	struct error err = {0};

	if (program_runs(program, &err))
		session_note(s, "%s runs (pid=%d)", program->name, program->pid);
	else
		log_warning("session %s: %s: %s", s->request->session_id, program->name,
			    err.message);
}

static int start_connection(struct session *s, struct errand *errand, const char *folder,
			    struct error *err)
{
	(void)folder;
	errand->found_scraper = s->scraper.program.pid;
	if (s->request->is_console && run_scraper(s, err) < 0)
		return -1;
	/* it does not wait for a server that does not accept */
	errand->reply_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (errand->reply_fd < 0)
		return error_errno(err, "socket");
	(void)snprintf(errand->program.name, sizeof(errand->program.name), "viewer's connection");
	return program_start(&errand->program, &s->context,
			     &(struct program_start){.source = "viewer",
						     .log_fd = s->log_fd,
						     .passed_fd = errand->reply_fd,
						     .prepare = prepare_connection,
						     .data = s},
			     err);
}

/* The server that it found was ending: idle, or killed. Whoever comes at that moment gets the next one. */
static bool found_what_was_ending(struct session *s, const struct errand *errand)
{
	if (errand->found_scraper == 0 || s->state != SESSION_READY)
		return false;
	session_reap(s);
	return s->scraper.program.pid != errand->found_scraper;
}

void session_errand_decided(struct session *s, struct errand *errand)
{
	struct peer *peer = peers_find(&s->peers, errand->peer);
	struct error err = {0};

	if (program_runs(&errand->program, &err)) {
		answer(peer, errand->event, errand->tag, errand->reply_fd);
		close_p(&errand->reply_fd);
		return;
	}
	close_p(&errand->reply_fd);
	if (found_what_was_ending(s, errand)) {
		program_done(&errand->program);
		errand->program = PROGRAM_NONE;
		if (start_connection(s, errand, NULL, &err) == 0)
			return;
		close_p(&errand->reply_fd);
		program_done(&errand->program);
	}
	refuse(peer, errand->event, errand->tag, &err);
}

void session_connect(struct session *s, struct peer *peer, const char *tag)
{
	run(s, peer, "connect", tag, start_connection, NULL);
}
