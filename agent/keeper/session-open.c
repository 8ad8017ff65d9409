/* What surrounds a session's processes: account, PAM, folder, sockets; made here and removed here.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/keeper/guard.h"
#include "agent/keeper/preflight.h"
#include "agent/keeper/protocol.h"
#include "agent/keeper/session.h"
#include "agent/render-node.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

#define PAM_TIMEOUT_MAX_S 30
#define HOME_TIMEOUT_MAX_MS 12000

/* A home folder that has to be mounted first is not worth the whole time for a session to start. */
static int patience_ms(const struct session *s)
{
	long long ms = s->config->create_timeout * 1000 / 3;

	return ms < HOME_TIMEOUT_MAX_MS ? (int)ms : HOME_TIMEOUT_MAX_MS;
}

static void guard_peers(struct session *s, const struct buf *last_word)
{
	long long seconds = s->config->create_timeout < PAM_TIMEOUT_MAX_S
				    ? s->config->create_timeout
				    : PAM_TIMEOUT_MAX_S;
	int fds[PEERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (s->peers.peers[i].fd >= 0)
			fds[n++] = s->peers.peers[i].fd;
	}
	guard_begin((unsigned)seconds, fds, n, last_word->data, last_word->len);
}

static int open_pam(struct session *s, struct error *err)
{
	if (pam_open(&s->pam, &s->owner, s->options->pam_dir, err) < 0)
		return -1;
	output_tell(s->log_fd, "pam", "the session is open");
	return 0;
}

/* The owner of a console session is logged in already. PAM would note one more login of theirs, which
 * nobody has made, so all that is left to do is what else comes with it: the groups. */
static int take_groups(struct session *s, struct error *err)
{
	if (!s->options->is_root || initgroups(s->owner.name, s->owner.gid) == 0)
		return 0;
	(void)error_errno(err, "set the groups of user %s", s->owner.name);
	return error_blame_host(err);
}

static int open_login(struct session *s, struct error *err)
{
	if (s->options->is_root && open_pam(s, err) < 0)
		return -1;
	return preflight(&s->owner, patience_ms(s), err);
}

/* Account and PAM: code of others, which may hang. */
static int open_owner(struct session *s, struct error *err)
{
	AUTO(buf_done) struct buf last_word = {0};
	int rc;

	if (!message_build(&last_word, "EVENT", "failed", "REASON",
			   "name services or PAM modules did not answer in time", "CODE",
			   error_wire_name(ERR_TIMEOUT), NULL))
		return error_oom(err);
	guard_peers(s, &last_word);
	pam_init(&s->pam);
	cgroup_note_origin(&s->cgroup);
	rc = account_find(&s->owner, s->request->owner, s->config, ACCOUNT_TO_BECOME, err);
	if (rc == 0 && s->request->is_console)
		rc = take_groups(s, err);
	else if (rc == 0)
		rc = open_login(s, err);
	guard_end();
	return rc;
}

/* Where no module makes a folder for the time of the log-in, that of the session does; an ordinary
 * user's keeper lives in theirs. */
static const char *runtime_folder(const struct session *s)
{
	const char *own = getenv("XDG_RUNTIME_DIR");

	return !s->options->is_root && own ? own : s->folder.owner_path;
}

/* VirtualGL (vglrun) takes its GPU from VGL_DISPLAY; what uses EGL by itself can be told the other. */
static int name_gpu(struct session *s, struct error *err)
{
	const char *node = s->request->render_node;
	char display[RENDER_NODE_DISPLAY_SIZE];

	if (!node)
		return 0;
	if (!render_node_is_allowed(s->config->gl_render_nodes, node))
		return error_set(err, ERR_CONFIG, "%s is none of gl_render_nodes", node);
	render_node_display("", node, display);
	if (environment_set(&s->environment, "VGL_DISPLAY", display, err) < 0)
		return -1;
	return environment_set(&s->environment, "DCV_SESSION_RENDER_NODE", node, err);
}

static int make_environment(struct session *s, struct error *err)
{
	AUTO(pam_variables_freep) char **variables = pam_variables(&s->pam);
	const struct environment_sources sources = {
		.from_pam = variables,
		.locale_files = environment_locale_files,
		.owner = &s->owner,
		.session_id = s->request->session_id,
		.is_console = s->request->is_console,
		.runtime_folder = runtime_folder(s),
	};

	if (environment_init(&s->environment, &sources, err) < 0)
		return -1;
	return name_gpu(s, err);
}

static int claim_folder(struct session *s, struct error *err)
{
	/* the record borrows here */
	const struct record record = {.session_id = (char *)(size_t)s->request->session_id,
				      .owner = s->owner.name,
				      .cgroup = s->cgroup.path,
				      .uid = s->owner.uid,
				      .pid = getpid(),
				      .display = -1};
	AUTO(free_p) char *control = NULL;

	if (folder_claim(&s->folder, s->options->run_dir, &record, s->peers.peers[0].fd, err) < 0) {
		if (err->code == ERR_CONFLICT)
			s->rival = folder_find(s->options->run_dir, record.session_id);
		return -1;
	}
	if (folder_make_owner(&s->folder, &s->owner, err) < 0)
		return -1;
	if (asprintf(&control, "%s/" KEEPER_CONTROL_SOCKET, s->folder.path) < 0) {
		control = NULL;
		return error_oom(err);
	}
	return folder_listen(control, s->options->agent_gid, &s->control_fd, err);
}

static int open_signals(struct session *s, struct error *err)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return error_errno(err, "block signals");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a log that may not grow is no reason to die */
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return error_errno(err, "signalfd");
	/* Whatever our programs leave behind becomes our child. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_errno(err, "become subreaper");
	return 0;
}

/* All that this process has to say is of its session. */
static void on_logged(enum log_level level, const char *text, void *userdata)
{
	const struct session *s = userdata;

	(void)level;
	if (text_skip(&text, PAM_SAYS))
		output_tell(s->log_fd, "pam", text);
	else
		output_tell(s->log_fd, "keeper", text);
}

/* Before anything else, which may fail. A session without a log is better than none. */
static void open_log(struct session *s)
{
	struct error err = {0};

	if (output_open_log(s->options->log_dir, s->request->session_id, s->options->agent_gid,
			    &s->log_fd, &err) < 0)
		log_warning("session %s: its programs' output is lost: %s", s->request->session_id,
			    err.message);
	else
		log_set_listener(on_logged, s);
}

int session_open(struct session *s, int fd, struct error *err)
{
	peers_init(&s->peers);
	(void)peers_add(&s->peers, fd);
	open_log(s);
	session_note(s, "a session for %s is asked for (pid=%d)", s->request->owner, getpid());
	if (open_signals(s, err) < 0)
		return error_blame_host(err);
	if (open_owner(s, err) < 0)
		return -1;
	s->n_bystanders = processes_children(s->bystanders, SESSION_BYSTANDERS_MAX);
	cgroup_find(&s->cgroup);
	if (claim_folder(s, err) < 0 || make_environment(s, err) < 0)
		return error_blame_host(err);
	s->context = (struct program_context){.owner = &s->owner,
					      .pam = &s->pam,
					      .cgroup = &s->cgroup,
					      .environment = &s->environment};
	log_info("session %s starting (number=%d, owner=%s, uid=%u, pid=%d)",
		 s->request->session_id, s->folder.number, s->owner.name, s->owner.uid, getpid());
	session_tell_state(s, peers_find(&s->peers, 1));
	return 0;
}

void session_close(struct session *s)
{
	bool has_failed = s->failure != ERR_NONE;
	AUTO(buf_done) struct buf last_word = {0};
	char rival[16];

	(void)snprintf(rival, sizeof(rival), "%d", s->rival);
	xlock_release(&s->xlock);
	xserver_done(&s->xserver);
	program_done(&s->init);
	program_done(&s->autorun);
	console_done(&s->console);
	scraper_done(&s->scraper);
	program_done(&s->notice);
	for (size_t i = 0; i < SESSION_ERRANDS_MAX; i++) {
		program_done(&s->errands[i].program);
		close_p(&s->errands[i].reply_fd);
	}
	cgroup_remove(&s->cgroup);
	folder_remove(&s->folder, s->options->run_dir);
	close_p(&s->control_fd);
	if (message_build(&last_word, "EVENT", has_failed ? "failed" : "ended", "REASON", s->reason,
			  "CODE", has_failed ? error_wire_name(s->failure) : NULL, "NUMBER",
			  s->rival > 0 ? rival : NULL, NULL)) {
		/* Last because it may hang, and then ends this process: all else is done. */
		guard_peers(s, &last_word);
		if (s->pam.is_open)
			output_tell(s->log_fd, "pam", "the session is being closed");
		pam_done(&s->pam);
		guard_end();
		peers_send_all(&s->peers, &last_word);
	}
	log_info("session %s %s: %s", s->request->session_id, has_failed ? "failed" : "ended",
		 s->reason);
	log_set_listener(NULL, NULL);
	close_p(&s->log_fd);
	peers_done(&s->peers);
	processes_forget(&s->ending.processes);
	environment_done(&s->environment);
	cgroup_done(&s->cgroup);
	account_done(&s->owner);
	folder_done(&s->folder);
	close_p(&s->signal_fd);
}
