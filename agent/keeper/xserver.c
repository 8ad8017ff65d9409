#include "agent/keeper/xserver.h"

#include <X11/Xauth.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/number.h"

#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"
#define COOKIE_BYTES 16
#define DISPLAY_MAX 65535

int xserver_write_authority(const char *path, struct error *err)
{
	AUTO(close_p) int fd = -1;
	AUTO(fclose_p) FILE *file = NULL;
	char name[] = COOKIE_NAME, cookie[COOKIE_BYTES], nothing[] = "";
	Xauth entry = {
		.family = FamilyWild,
		.address = nothing,
		.number = nothing,
		.name_length = sizeof(name) - 1,
		.name = name,
		.data_length = sizeof(cookie),
		.data = cookie,
	};

	if (getrandom(cookie, sizeof(cookie), 0) != sizeof(cookie))
		return error_errno(err, "getrandom");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return error_errno(err, "make %s", path);
	fd = -1; /* the stream's now */
	if (XauWriteAuth(file, &entry) != 1 || fflush(file) != 0)
		return error_errno(err, "write %s", path);
	return 0;
}

/* For the child. */
struct plan {
	char *argv[32];
	const char *authority;
	const struct xserver_start *start;
};

static int prepare(void *data, char ***ret_argv, struct error *err)
{
	struct plan *plan = data;

	if (xserver_write_authority(plan->authority, err) < 0)
		return error_blame_host(err);
	if (plan->start->check && plan->start->check(plan->start->check_data, err) < 0)
		return -1;
	*ret_argv = plan->argv;
	return 0;
}

static void plan_arguments(struct plan *plan, const struct xserver *x,
			   const struct xserver_start *start)
{
	const char *const arguments[] = {
		start->path,
		"-displayfd",
		"3",
		"-geometry",
		start->geometry,
		"-depth",
		"24",
		"-SecurityTypes",
		"None",
		"-rfbunixpath",
		x->rfb,
		"-rfbunixmode",
		"0600",
		"-rfbport",
		"-1",
		"-nolisten",
		"tcp",
		"-noreset",
		"-auth",
		x->authority,
		"-UseBlacklist",
		"0",
		"-desktop",
		start->session_id,
		NULL,
	};

	_Static_assert(sizeof(arguments) <= sizeof(plan->argv), "all arguments fit");
	_Static_assert(PROGRAM_PASSED_FD == 3, "the number in -displayfd");
	/* execve() promises not to write to them */
	memcpy(plan->argv, arguments, sizeof(arguments));
}

static int make_paths(struct xserver *x, const char *folder, struct error *err)
{
	if (asprintf(&x->authority, "%s/Xauthority", folder) < 0) {
		x->authority = NULL;
		return error_oom(err);
	}
	if (asprintf(&x->rfb, "%s/rfb", folder) < 0) {
		x->rfb = NULL;
		return error_oom(err);
	}
	if (strlen(x->rfb) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(err, ERR_TOO_LARGE, "path too long for a socket: %s", x->rfb);
	return 0;
}

int xserver_start(struct xserver *x, const struct program_context *context,
		  const struct xserver_start *start, struct error *err)
{
	AUTO(close_p) int write_fd = -1;
	struct plan plan = {.start = start};
	int fds[2];

	xsocket_make_folder();
	if (make_paths(x, start->owner_folder, err) < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	x->display_fd = fds[0];
	write_fd = fds[1];
	if (fcntl(x->display_fd, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "make a pipe");
	plan.authority = x->authority;
	plan_arguments(&plan, x, start);
	(void)snprintf(x->program.name, sizeof(x->program.name), "X server");
	return program_start(&x->program, context,
			     &(struct program_start){.source = "x",
						     .log_fd = start->log_fd,
						     .passed_fd = write_fd,
						     .prepare = prepare,
						     .data = &plan},
			     err);
}

int xserver_read_display(struct xserver *x, uid_t owner, struct error *err)
{
	ssize_t n = read(x->display_fd, x->text + x->text_len, sizeof(x->text) - 1 - x->text_len);
	long long display;
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close_p(&x->display_fd); /* it ends; its exit status will tell more */
		return 0;
	}
	x->text_len += (size_t)n;
	x->text[x->text_len] = '\0';
	end = strchr(x->text, '\n');
	if (!end && x->text_len < sizeof(x->text) - 1)
		return 0;
	close_p(&x->display_fd);
	if (end)
		*end = '\0';
	if (!end || !number_parse(x->text, 0, DISPLAY_MAX, &display))
		return error_set(err, ERR_SYSTEM, "X server did not say its display number");
	x->socket = xsocket_note((int)display, owner);
	return 0;
}

void xserver_describe_end(struct xserver *x, char *ret, size_t size)
{
	char status[64], last_line[OUTPUT_TAIL_LINE_MAX_BYTES + 1];

	program_describe_status(x->program.status, status, sizeof(status));
	output_tail(&x->program.output, 1, last_line, sizeof(last_line));
	if (strncmp(status, "killed", 6) == 0)
		(void)snprintf(ret, size, "X server was %s", status);
	else
		(void)snprintf(ret, size, "X server ended: %s%s%s", status,
			       last_line[0] ? ": " : "", last_line);
}

void xserver_done(struct xserver *x)
{
	program_done(&x->program);
	close_p(&x->display_fd);
	free(x->authority);
	free(x->rfb);
	*x = XSERVER_NONE;
}
