/* Capture programs: started on request, as the owner, each with a socket for whoever asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/keeper/session.h"
#include "common/cleanup.h"
#include "common/log.h"

static void answer(struct peer *peer, const char *tag, const char *reason, int fd)
{
	AUTO(buf_done) struct buf packet = {0};

	if (peer && message_build(&packet, "EVENT", "capture", "TAG", tag, "REASON", reason, NULL))
		peer_send(peer, &packet, fd);
}

static int prepare(void *data, char ***ret_argv, struct error *err)
{
	const struct session *s = data;
	char **argv = calloc(4, sizeof(*argv));

	if (!argv)
		return error_oom(err);
	_Static_assert(PROGRAM_PASSED_FD == 3, "the number in --serve");
	argv[0] = strdup(s->options->screenshot_program);
	argv[1] = strdup("--serve");
	argv[2] = strdup("3");
	*ret_argv = argv;
	return argv[0] && argv[1] && argv[2] ? 0 : error_oom(err);
}

static struct capture *find_free(struct session *s)
{
	for (size_t i = 0; i < SESSION_CAPTURES_MAX; i++) {
		if (s->captures[i].program.pid == 0 && s->captures[i].program.exec_fd < 0)
			return &s->captures[i];
	}
	return NULL;
}

static int start(struct session *s, struct capture *capture, struct error *err)
{
	AUTO(close_p) int theirs = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, "socketpair");
	capture->reply_fd = fds[0];
	theirs = fds[1];
	(void)snprintf(capture->program.name, sizeof(capture->program.name), "capture program");
	return program_start(&capture->program, &s->context,
			     &(struct program_start){.source = "capture",
						     .log_fd = s->log_fd,
						     .passed_fd = theirs,
						     .prepare = prepare,
						     .data = s},
			     err);
}

void session_capture(struct session *s, struct peer *peer, const char *tag)
{
	struct capture *capture = find_free(s);
	struct error err = {0};

	if (s->state != SESSION_READY) {
		answer(peer, tag, "the session is not ready", -1);
		return;
	}
	if (!capture) {
		answer(peer, tag, "too many capture programs run already", -1);
		return;
	}
	program_done(&capture->program);
	*capture = (struct capture){.program = PROGRAM_NONE, .reply_fd = -1, .peer = peer->serial};
	(void)snprintf(capture->tag, sizeof(capture->tag), "%s", tag);
	if (start(s, capture, &err) < 0) {
		close_p(&capture->reply_fd);
		program_done(&capture->program);
		answer(peer, tag, err.message, -1);
	}
}

void session_capture_decided(struct session *s, struct capture *capture)
{
	struct peer *peer = peers_find(&s->peers, capture->peer);
	struct error err = {0};

	if (program_runs(&capture->program, &err))
		answer(peer, capture->tag, NULL, capture->reply_fd);
	else
		answer(peer, capture->tag, err.message, -1);
	close_p(&capture->reply_fd);
}
