#include "agent/keeper/listener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper/folder.h"
#include "agent/keeper/keeper.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/ready.h"

struct listener {
	const struct options *options;
	int fd;
	int signal_fd;
	int ready_fd;
	sigset_t signals;
};

/* A socket that nobody listens at is what a listener left that was killed. */
static int remove_dead_socket(const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
	if (!S_ISSOCK(st.st_mode) || strlen(path) >= sizeof(address.sun_path))
		return error_set(err, ERR_CONFLICT, "%s is there already", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, "make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED)
		return error_set(err, ERR_CONFLICT, "another keeper listens at %s", path);
	return unlink(path) < 0 ? error_errno(err, "remove %s", path) : 0;
}

static int make_parent(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	AUTO(free_p) char *parent = NULL;

	if (!slash || slash == path)
		return 0;
	parent = strndup(path, (size_t)(slash - path));
	return parent ? file_make_folder(parent, 0711, err) : error_oom(err);
}

/* The agent looks for living keepers here when it starts; nobody else has anything to see. */
static int open_run_dir(const struct options *options, struct error *err)
{
	const char *path = options->run_dir;

	if (file_make_folder(path, 0711, err) < 0)
		return -1;
	if (options->is_root && (chown(path, 0, options->agent_gid) < 0 || chmod(path, 0751) < 0))
		return error_errno(err, "%s", path);
	return 0;
}

static int listener_open(struct listener *l, struct error *err)
{
	const char *path = l->options->listen_path;

	(void)sigemptyset(&l->signals);
	(void)sigaddset(&l->signals, SIGCHLD);
	(void)sigaddset(&l->signals, SIGTERM);
	(void)sigaddset(&l->signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &l->signals, NULL) < 0)
		return error_errno(err, "block signals");
	l->signal_fd = signalfd(-1, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signal_fd < 0)
		return error_errno(err, "signalfd");
	if (make_parent(path, err) < 0 || open_run_dir(l->options, err) < 0 ||
	    remove_dead_socket(path, err) < 0)
		return -1;
	return folder_listen(path, l->options->agent_gid, &l->fd, err);
}

/* In the new process: nothing of the listener's is left but the connection. */
_Noreturn static void serve(struct listener *l, int fd)
{
	close_p(&l->fd);
	close_p(&l->signal_fd);
	(void)setsid(); /* a terminal's ^C is for the listener */
	exit(keeper_serve(l->options, fd));
}

static void accept_one(struct listener *l)
{
	AUTO(close_p) int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd signals = {.fd = l->signal_fd, .events = POLLIN};
	pid_t pid;

	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		log_error("accept: %s", strerror(errno));
		(void)poll(&signals, 1, 1000); /* or we would say so as fast as we can */
	}
	if (fd < 0)
		return;
	pid = fork();
	if (pid == 0)
		serve(l, TAKE_FD(fd));
	if (pid < 0)
		log_error("connection closed: fork: %s", strerror(errno));
}

/* True if it is time to go. */
static bool signals_arrived(struct listener *l)
{
	struct signalfd_siginfo info;
	bool is_over = false;

	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		is_over = is_over || info.ssi_signo != SIGCHLD;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return is_over;
}

int listener_run(const struct options *options)
{
	struct listener l = {.options = options, .fd = -1, .signal_fd = -1};
	struct pollfd fds[2];
	struct error err = {0};
	bool is_over = false;

	(void)umask(022); /* folders are made with the modes we say */
	if (listener_open(&l, &err) < 0) {
		log_error("%s", err.message);
		return error_exit_status(err.code);
	}
	log_info("listening at %s", options->listen_path);
	l.ready_fd = options->ready_fd;
	ready_tell(&l.ready_fd);
	fds[0] = (struct pollfd){.fd = l.signal_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = l.fd, .events = POLLIN};
	while (!is_over) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			is_over = signals_arrived(&l);
		if (fds[1].revents && !is_over)
			accept_one(&l);
	}
	(void)unlink(options->listen_path);
	close_p(&l.fd);
	close_p(&l.signal_fd);
	return 0;
}
