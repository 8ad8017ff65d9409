/* The one loop of a keeper: what it waits for in each state, and what it does when that comes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper/protocol.h"
#include "agent/keeper/session.h"
#include "common/cleanup.h"
#include "common/log.h"

#define OTHERS_MAX 48
#define POLLED_MAX (OTHERS_MAX + PEERS_MAX + PROCESSES_WATCHED_MAX)

/* What one turn waits for. Made anew each turn; a handler may close what comes later in the list,
 * so each looks whether its descriptor is still the one that was polled. */
struct turn {
	struct pollfd fds[POLLED_MAX];
	struct {
		void (*ready)(struct session *session, void *data);
		void *data;
		const int *fd;
	} targets[POLLED_MAX];
	size_t n;
};

static void await(struct turn *turn, const int *fd,
		  void (*ready)(struct session *session, void *data), void *data)
{
	if (*fd < 0 || turn->n == POLLED_MAX)
		return;
	turn->fds[turn->n] = (struct pollfd){.fd = *fd, .events = POLLIN};
	turn->targets[turn->n].ready = ready;
	turn->targets[turn->n].data = data;
	turn->targets[turn->n].fd = fd;
	turn->n++;
}

/* --- children -----------------------------------------------------------------------------------
 */

static struct program *find_program(struct session *s, pid_t pid)
{
	struct program *programs[] = {&s->xserver.program, &s->init,           &s->autorun,
				      &s->notice,          &s->console.finder, &s->scraper.program};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (programs[i]->pid == pid)
			return programs[i];
	}
	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++) {
		if (s->errands[i].program.pid == pid)
			return &s->errands[i].program;
	}
	return NULL;
}

static void child_ended(struct session *s, pid_t pid, int status)
{
	struct program *program = find_program(s, pid);
	struct error err = {0};
	char text[64];

	if (pid == s->xlock.helper && xlock_helper_ended(&s->xlock, status, &err) < 0)
		session_fail(s, ERR_SYSTEM, err.message);
	for (size_t i = 0; i < s->n_bystanders; i++) {
		if (s->bystanders[i] == pid)
			s->bystanders[i] = 0; /* somebody else may get the pid */
	}
	if (!program)
		return;
	program->pid = 0;
	program->status = status;
	program_describe_status(status, text, sizeof(text));
	log_debug("session %s: %s: %s", s->request->session_id, program->name, text);
	if (program == &s->scraper.program)
		session_note(s, "%s ended: %s", program->name, text);
}

void session_reap(struct session *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(s, pid, status);
}

static void signals_arrived(struct session *s, void *data)
{
	struct signalfd_siginfo info;

	(void)data;
	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			session_stop(s, "the session's keeper was told to stop");
	}
	session_reap(s);
}

/* --- programs -----------------------------------------------------------------------------------
 */

static void display_told(struct session *s, void *data)
{
	struct error err = {0};

	(void)data;
	if (xserver_read_display(&s->xserver, s->owner.uid, &err) < 0)
		session_fail(s, ERR_SYSTEM, err.message);
}

static void console_display_told(struct session *s, void *data)
{
	struct error err = {0};

	(void)data;
	if (console_read_display(&s->console, &s->environment, &err) < 0)
		session_fail(s, err.code, err.message);
}

static void console_changed(struct session *s, void *data)
{
	char reason[512];

	(void)data;
	if (console_is_over(&s->console, s->owner.name, reason, sizeof(reason)))
		session_stop(s, reason);
}

static void exec_decided(struct session *s, void *data)
{
	struct program *program = data;
	struct error err = {0};

	if (!program_runs(program, &err))
		session_fail(s, err.code, err.message);
	else
		session_note(s, "%s runs (pid=%d)", program->name, program->pid);
}

static void errand_decided(struct session *s, void *data)
{
	session_errand_decided(s, data);
}

static void scraper_decided(struct session *s, void *data)
{
	(void)data;
	session_scraper_decided(s);
}

static void notice_decided(struct session *s, void *data)
{
	(void)data;
	session_notice_decided(s);
}

static void output_arrived(struct session *s, void *data)
{
	(void)s;
	output_read(data);
}

static void await_programs(struct session *s, struct turn *turn)
{
	struct program *programs[] = {&s->xserver.program, &s->init, &s->autorun,
				      &s->console.finder};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		await(turn, &programs[i]->exec_fd, exec_decided, programs[i]);
		await(turn, &programs[i]->output.fd, output_arrived, &programs[i]->output);
	}
	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++) {
		struct errand *errand = &s->errands[i];

		await(turn, &errand->program.exec_fd, errand_decided, errand);
		await(turn, &errand->program.output.fd, output_arrived, &errand->program.output);
	}
	await(turn, &s->notice.exec_fd, notice_decided, NULL);
	await(turn, &s->notice.output.fd, output_arrived, &s->notice.output);
	await(turn, &s->scraper.program.exec_fd, scraper_decided, NULL);
	await(turn, &s->scraper.program.output.fd, output_arrived, &s->scraper.program.output);
	await(turn, &s->xserver.display_fd, display_told, NULL);
}

/* Of no interest any more once the session ends, and then readable for ever. */
static void await_console(struct session *s, struct turn *turn)
{
	if (s->state > SESSION_READY)
		return;
	await(turn, &s->console.answer_fd, console_display_told, NULL);
	await(turn, &s->console.seat.monitor_fd, console_changed, NULL);
	await(turn, &s->console.seat.pidfd, console_changed, NULL);
	await(turn, &s->console.server_pidfd, console_changed, NULL);
}

/* --- peers --------------------------------------------------------------------------------------
 */

void session_handle(struct session *s, struct peer *peer, const struct request *request)
{
	switch (request->operation) {
	case OPERATION_STOP:
		session_stop(s, request->reason ? request->reason : "stopped on request");
		return;
	case OPERATION_CAPTURE:
		session_capture(s, peer, request->tag);
		return;
	case OPERATION_CONNECT:
		session_connect(s, peer, request->tag);
		return;
	case OPERATION_FILES:
		session_serve_files(s, peer, request);
		return;
	case OPERATION_USAGE:
		session_tell_usage(s, peer);
		return;
	case OPERATION_NOTIFY:
		session_notify(s, request->text);
		return;
	case OPERATION_START:
	case OPERATION_CLEAN:
	case OPERATION_CHECK:
		break;
	}
	log_warning("session %s: peer dropped: this connection belongs to a session already",
		    s->request->session_id);
	peer_drop(peer);
}

static void peer_spoke(struct session *s, void *data)
{
	static char packet[KEEPER_MESSAGE_MAX_BYTES];
	AUTO(request_done) struct request request = {0};
	struct peer *peer = data;
	struct error err = {0};
	long len = socket_receive(peer->fd, packet, sizeof(packet), &err);

	if (len == 0)
		return;
	if (len > 0 && request_parse(&request, packet, (size_t)len, &err) == 0) {
		session_handle(s, peer, &request);
		return;
	}
	if (err.code != ERR_UNREACHABLE)
		log_warning("session %s: peer dropped: %s", s->request->session_id, err.message);
	peer_drop(peer);
}

static void peer_connects(struct session *s, void *data)
{
	AUTO(close_p) int fd = accept4(s->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)data;
	if (fd >= 0 && peer_may_talk(fd, s->options))
		session_tell_state(s, peers_add(&s->peers, TAKE_FD(fd)));
}

/* --- the loop -----------------------------------------------------------------------------------
 */

static void watched_ended(struct session *s, void *data)
{
	(void)data;
	(void)processes_watch(&s->ending.processes);
}

static void await_watched(struct session *s, struct turn *turn)
{
	struct processes *processes = &s->ending.processes;

	for (size_t i = 0; i < processes->n_watched; i++)
		await(turn, &processes->watched[i].pidfd, watched_ended, NULL);
}

static int timeout_ms(const struct session *s)
{
	long long left;

	if (s->state == SESSION_READY)
		return -1;
	if (s->state == SESSION_ENDING)
		left = ending_timeout_ms(&s->ending);
	else if (s->state == SESSION_SETTLING && s->settling.next_look_ms < s->deadline_ms)
		left = s->settling.next_look_ms - clock_ms();
	else
		left = s->deadline_ms - clock_ms();
	return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

static void one_turn(struct session *s, struct turn *turn)
{
	turn->n = 0;
	await(turn, &s->signal_fd, signals_arrived, NULL);
	await_programs(s, turn);
	await_console(s, turn);
	await(turn, &s->control_fd, peer_connects, NULL);
	for (size_t i = 0; i < PEERS_MAX; i++)
		await(turn, &s->peers.peers[i].fd, peer_spoke, &s->peers.peers[i]);
	await_watched(s, turn);
	if (poll(turn->fds, turn->n, timeout_ms(s)) < 0) {
		if (errno != EINTR)
			log_error("poll: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < turn->n; i++) {
		if (turn->fds[i].revents && *turn->targets[i].fd == turn->fds[i].fd)
			turn->targets[i].ready(s, turn->targets[i].data);
	}
}

void session_loop(struct session *s)
{
	static struct turn turn;

	session_advance(s);
	while (s->state != SESSION_GONE) {
		one_turn(s, &turn);
		session_advance(s);
	}
}
