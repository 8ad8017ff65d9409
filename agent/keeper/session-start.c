/* From the turn to start until the session is ready: what is started, one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/session.h"
#include "agent/render-node.h"
#include "agent/session-file.h"
#include "common/cleanup.h"
#include "common/log.h"

/* Look at the files before anything is started for nothing. As the owner, in the X server's child.
 */
static int check_files(void *data, struct error *err)
{
	const struct session *s = data;
	AUTO(free_p) char *init = NULL;
	AUTO(free_p) char *autorun = NULL;

	if (s->request->render_node &&
	    render_node_try(s->request->render_node, s->owner.name, err) < 0)
		return -1;
	if (s->request->init_file && session_file_find("init file", s->config->init_folder,
						       s->request->init_file, &init, err) < 0)
		return -1;
	if (s->request->autorun_file &&
	    session_file_find("autorun file", s->config->autorun_folder, s->request->autorun_file,
			      &autorun, err) < 0)
		return -1;
	return 0;
}

static int start_xserver(struct session *s, struct error *err)
{
	AUTO(free_p) char *program = NULL;

	if (program_find(s->options->xserver, &program, err) < 0)
		return error_prefix(err, "X server");
	return xserver_start(&s->xserver, &s->context,
			     &(struct xserver_start){
				     .path = program,
				     .geometry = s->config->geometry,
				     .session_id = s->request->session_id,
				     .owner_folder = s->folder.owner_path,
				     .log_fd = s->log_fd,
				     .check = check_files,
				     .check_data = s,
			     },
			     err);
}

/* In the child: the file, or the desktop of the host when no file was named. */
static int prepare_init(void *data, char ***ret_argv, struct error *err)
{
	const struct session *s = data;
	char **argv = calloc(4, sizeof(*argv));
	struct error ignored = {0};
	char *path;

	if (!argv)
		return error_oom(err);
	*ret_argv = argv;
	if (s->request->init_file)
		return session_file_find("init file", s->config->init_folder, s->request->init_file,
					 &argv[0], err);
	if (program_find(s->config->default_session, &path, err) < 0)
		return error_prefix(err, "no init file, and the default session");
	/* A bus of its own, or two sessions of one user would share one. */
	if (program_find("dbus-run-session", &argv[0], &ignored) < 0) {
		argv[0] = path;
		return 0;
	}
	argv[1] = strdup("--");
	argv[2] = path;
	return argv[1] ? 0 : error_oom(err);
}

static int prepare_autorun(void *data, char ***ret_argv, struct error *err)
{
	const struct session *s = data;
	const struct request *request = s->request;
	char **argv = calloc(request->n_arguments + 2, sizeof(*argv));

	if (!argv)
		return error_oom(err);
	*ret_argv = argv;
	if (request->n_arguments > 0) /* execve() promises not to write to them */
		memcpy(argv + 1, request->arguments, request->n_arguments * sizeof(*argv));
	return session_file_find("autorun file", s->config->autorun_folder, request->autorun_file,
				 &argv[0], err);
}

static int start_init(struct session *s, struct error *err)
{
	if (s->request->init_file)
		(void)snprintf(s->init.name, sizeof(s->init.name), "init file '%.70s'",
			       s->request->init_file);
	else
		(void)snprintf(s->init.name, sizeof(s->init.name), "desktop");
	return program_start(&s->init, &s->context,
			     &(struct program_start){.source = "init",
						     .log_fd = s->log_fd,
						     .passed_fd = -1,
						     .prepare = prepare_init,
						     .data = s,
						     .is_requested = s->request->init_file},
			     err);
}

static int start_autorun(struct session *s, struct error *err)
{
	(void)snprintf(s->autorun.name, sizeof(s->autorun.name), "autorun file '%.70s'",
		       s->request->autorun_file);
	return program_start(&s->autorun, &s->context,
			     &(struct program_start){.source = "autorun",
						     .log_fd = s->log_fd,
						     .passed_fd = -1,
						     .prepare = prepare_autorun,
						     .data = s,
						     .is_requested = true},
			     err);
}

static int write_record(struct session *s, int display, struct error *err)
{
	const struct xsocket *socket = &s->xserver.socket;
	const struct record record = {.session_id = (char *)(size_t)s->request->session_id,
				      .owner = s->owner.name,
				      .cgroup = s->cgroup.path,
				      .uid = s->owner.uid,
				      .pid = getpid(),
				      .display = display,
				      .x_dev = (long long)socket->dev,
				      .x_ino = (long long)socket->ino,
				      .x_born_ns = socket->born_ns};

	return folder_write_record(&s->folder, &record, err);
}

/* The display is known: let others start theirs, and write it down. */
static int display_is_known(struct session *s, struct error *err)
{
	char display[16];

	xlock_release(&s->xlock);
	(void)snprintf(display, sizeof(display), ":%d", s->xserver.socket.display);
	session_note(s, "X server runs (display=%s, pid=%d)", display, s->xserver.program.pid);
	if (environment_set(&s->environment, "DISPLAY", display, err) < 0 ||
	    environment_set(&s->environment, "XAUTHORITY", s->xserver.authority, err) < 0)
		return -1;
	return write_record(s, s->xserver.socket.display, err);
}

static void become_ready(struct session *s)
{
	AUTO(buf_done) struct buf packet = {0};
	const char *display = environment_get(&s->environment, "DISPLAY");

	s->state = SESSION_READY;
	log_info("session %s ready (display=%s)", s->request->session_id, display);
	if (message_build(&packet, "EVENT", "ready", "DISPLAY", display, "XAUTHORITY",
			  environment_get(&s->environment, "XAUTHORITY"), NULL))
		peers_send_all(&s->peers, &packet);
}

static void begin_to_settle(struct session *s)
{
	long long deadline_ms = clock_ms() + s->config->start_timeout * 1000;

	s->state = SESSION_SETTLING;
	if (deadline_ms < s->deadline_ms)
		s->deadline_ms = deadline_ms;
	settling_begin(&s->settling, s->config->settle_time * 1000, clock_ms());
}

static void take_turn(struct session *s)
{
	s->state = SESSION_XSERVER;
	s->deadline_ms = clock_ms() + s->config->create_timeout * 1000;
	session_tell_all(s, "starting", NULL);
}

/* Its socket is another's: the record has none, and so nobody will remove it. */
static int advance_console_start(struct session *s, struct error *err)
{
	if (s->state == SESSION_WAITING) {
		take_turn(s);
		if (console_start(&s->console, &s->context, s->log_fd, err) < 0)
			session_fail(s, err->code, err->message);
		return 0;
	}
	if (s->console.display < 0)
		return 0;
	if (write_record(s, s->console.display, err) < 0)
		return -1;
	become_ready(s);
	return 0;
}

int session_advance_start(struct session *s, struct error *err)
{
	if (s->request->is_console)
		return advance_console_start(s, err);
	if (s->state == SESSION_WAITING && s->xlock.is_held) {
		take_turn(s);
		return start_xserver(s, err);
	}
	if (s->state == SESSION_XSERVER && s->xserver.program.started &&
	    s->xserver.socket.display >= 0) {
		s->state = SESSION_INIT;
		return display_is_known(s, err) < 0 ? -1 : start_init(s, err);
	}
	if (s->state == SESSION_INIT && s->init.started && s->request->autorun_file) {
		s->state = SESSION_AUTORUN;
		return start_autorun(s, err);
	}
	if ((s->state == SESSION_INIT && s->init.started) ||
	    (s->state == SESSION_AUTORUN && s->autorun.started))
		begin_to_settle(s);
	if (s->state == SESSION_SETTLING && clock_ms() >= s->settling.next_look_ms &&
	    settling_look(&s->settling, clock_ms(),
			  settling_display_is_open("/proc/net/unix", s->xserver.socket.display),
			  settling_is_busy(s->init.pid)))
		become_ready(s);
	return 0;
}
