/* What the agent's idle policy asks of a keeper: what the session's processes have used, and to tell the
 * owner that it will be ended. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/processes.h"
#include "agent/keeper/session.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"

#define ENVIRON_MAX_BYTES (1024UL * 1024)
#define BUS "DBUS_SESSION_BUS_ADDRESS"
#define CHILDREN_MAX 64

void session_tell_usage(struct session *s, struct peer *peer)
{
	const struct processes processes = {.cgroup = &s->cgroup,
					    .session_id = s->request->session_id,
					    .owner = s->owner.uid,
					    .with_descendants = true};
	AUTO(buf_done) struct buf packet = {0};
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", processes_cpu_ms(&processes));
	/* Of a console session we have none of the processes, and who sits there is not idle. */
	if (message_build(&packet, "EVENT", "usage", "CPU_MS", s->request->is_console ? NULL : text,
			  NULL))
		peer_send(peer, &packet, -1);
}

/* --- the notice --------------------------------------------------------------------------------
 */

/* The bus of the desktop, from the environment of a process that is in it. Read as the owner, and of
 * use to the owner's programs only. */
static void borrow_bus(pid_t pid, struct environment *environment)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (file_read(path, ENVIRON_MAX_BYTES, &text, &err) < 0)
		return;
	for (const char *p = text.data; p && p < text.data + text.len; p += strlen(p) + 1) {
		if (strncmp(p, BUS "=", strlen(BUS "=")) == 0)
			(void)environment_set(environment, BUS, p + strlen(BUS "="), &err);
	}
}

/* dbus-run-session makes the bus for its child, which is the desktop. */
static void find_bus(const struct session *s)
{
	pid_t children[CHILDREN_MAX];
	size_t n = s->init.pid > 0 ? processes_children_of(s->init.pid, children, CHILDREN_MAX) : 0;

	for (size_t i = 0; i < n; i++)
		borrow_bus(children[i], s->context.environment);
}

struct notice {
	const struct session *session;
	const char *text;
};

/* In the child. xmessage needs nothing but the display, so it comes first. */
static int prepare(void *data, char ***ret_argv, struct error *err)
{
	const struct notice *notice = data;
	const char *own = notice->session->config->idle_notice_program;
	char **argv = calloc(5, sizeof(*argv));
	struct error ignored;
	size_t n = 1;

	if (!argv)
		return error_oom(err);
	*ret_argv = argv;
	if (own && program_find(own, &argv[0], err) < 0)
		return error_prefix(err, "agent.idle_notice_program");
	if (!own && program_find("xmessage", &argv[0], &ignored) == 0) {
		argv[n++] = strdup("-center");
	} else if (!own && program_find("notify-send", &argv[0], &ignored) == 0) {
		find_bus(notice->session);
		argv[n++] = strdup("--urgency=critical");
	} else if (!own) {
		return error_set(err, ERR_NOT_FOUND,
				 "neither agent.idle_notice_program, xmessage nor notify-send");
	}
	argv[n] = strdup(notice->text);
	return argv[n] && argv[n - 1] ? 0 : error_oom(err);
}

static void tell_failure(const struct session *s, const struct error *err)
{
	log_warning("session %s: the owner is not told that it is idle: %s", s->request->session_id,
		    err->message);
}

void session_notify(struct session *s, const char *text)
{
	struct notice notice = {s, text};
	struct error err = {0};

	if (s->state != SESSION_READY || s->notice.exec_fd >= 0)
		return;
	if (s->notice.pid > 0)
		return; /* an older text is still shown, and says what this one says */
	program_done(&s->notice);
	s->notice = PROGRAM_NONE;
	(void)snprintf(s->notice.name, sizeof(s->notice.name), "notice");
	if (program_start(&s->notice, &s->context,
			  &(struct program_start){.source = "notice",
						  .log_fd = s->log_fd,
						  .passed_fd = -1,
						  .prepare = prepare,
						  .data = &notice},
			  &err) < 0) {
		program_done(&s->notice);
		tell_failure(s, &err);
	}
}

void session_notice_decided(struct session *s)
{
	struct error err = {0};

	if (!program_runs(&s->notice, &err))
		tell_failure(s, &err);
}
