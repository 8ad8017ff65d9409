#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/doctor/doctor.h"
#include "agent/ec2.h"
#include "agent/guests.h"
#include "agent/join.h"
#include "agent/keeper/protocol.h"
#include "agent/link.h"
#include "agent/paths.h"
#include "agent/trust.h"
#include "agent/viewer/protocol.h"
#include "agent/watch.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/metrics-port.h"
#include "common/program-options.h"
#include "common/ready.h"
#include "common/service.h"

#define HANDOVER_FOLDER "/var/lib/dcv-session-manager-agent/dcv"
#define SESSION_INIT "/usr/libexec/dcv-session-manager/dcv-session-init"

#define UPDATE_INTERVAL_MOST_S 120

struct options {
	const char *conf, *state_folder, *socket, *keeper_socket, *keeper_run_dir;
	const char *handover_folder, *session_init, *keeper_log_dir, *viewer_socket;
	int ready_fd;
};

/* What main owns. */
struct program {
	struct options options;
	struct agent_config config;
	struct loop loop;
	struct agent agent;
	struct control *control;
	struct watch *watch;
	struct ec2 *ec2;
	struct metrics_port metrics_port;
	struct service service;
	int lock_fd;
};

/* --print-settings, and for a part of the manual pages --print-manual. */
static int print_settings(const char *part, struct error *err)
{
	if (part && strcmp(part, "settings") != 0)
		return error_set(err, ERR_USAGE, "--print-manual: there is no part '%s'", part);
	agent_config_print(part ? SETTINGS_MANUAL : SETTINGS_FILE, stdout);
	return 0;
}

static int read_options(int argc, char **argv, struct options *o)
{
	const struct program_option table[] = {
		{"conf", "FILE", "settings", AGENT_CONFIG_PATH, .text = &o->conf},
		{"state-dir", "DIR", "what survives a restart", AGENT_STATE_FOLDER,
		 .text = &o->state_folder},
		{"socket", "PATH", "where the API is served", AGENT_SOCKET_PATH,
		 .text = &o->socket},
		{"keeper-socket", "PATH", "the session keepers' listener", KEEPER_LISTEN_SOCKET,
		 .text = &o->keeper_socket},
		{"keeper-run-dir", "DIR", "where the keepers are", KEEPER_RUN_DIR,
		 .text = &o->keeper_run_dir},
		{"keeper-log-dir", "DIR", "their sessions' logs", KEEPER_LOG_DIR,
		 .text = &o->keeper_log_dir},
		{"viewer-socket", "PATH",
		 "where the web viewer is awaited (default: " VIEWER_SOCKET_NAME " beside the API)",
		 .text = &o->viewer_socket},
		{"handover-dir", "DIR", "files for Amazon DCV sessions", HANDOVER_FOLDER,
		 .text = &o->handover_folder},
		{"session-init", "PATH", "what starts programs in them", SESSION_INIT,
		 .text = &o->session_init},
		{"print-settings", NULL,
		 "print a settings file with every default and what it means",
		 .print = print_settings},
		{"print-manual", "PART", .print = print_settings},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-manager-agent [OPTION...]\n"
		       "       dcv-session-manager-agent join [OPTION...] URL TOKEN\n"
		       "       dcv-session-manager-agent doctor [OPTION...]\n"
		       "Manage the remote desktop sessions of this host; join: enrol it at a\n"
		       "broker; doctor: see dcvctl doctor. These two have a --help of their own.\n",
		.table = table,
		.ready_fd = &o->ready_fd,
	};

	return program_options_read(&options, argc, argv);
}

/* One word of standard input, so that a token need not be seen in the list of processes. */
static const char *read_word(char *ret, size_t size)
{
	size_t len = fread(ret, 1, size - 1, stdin);

	ret[len] = '\0';
	ret[strcspn(ret, " \t\r\n")] = '\0';
	return ret;
}

static int run_join(int argc, char **argv)
{
	struct join_options join;
	const struct program_option table[] = {
		{"conf", "FILE", "settings", AGENT_CONFIG_PATH, .text = &join.conf},
		{"state-dir", "DIR", "what survives a restart", AGENT_STATE_FOLDER,
		 .text = &join.state_folder},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-manager-agent join [OPTION...] URL TOKEN\n"
		       "Enrol this host at a broker, with a token that create-join-token has\n"
		       "printed there (\"-\": it is read from standard input).\n",
		.table = table,
		.n_arguments = 2,
	};
	int status = program_options_read(&options, argc, argv);
	struct error err = {0};
	char word[256];

	if (status >= 0)
		return status;
	join.url = argv[argc - 2];
	join.token = strcmp(argv[argc - 1], "-") == 0 ? read_word(word, sizeof(word))
						      : argv[argc - 1];
	log_set_level(LOG_LEVEL_WARNING);
	umask(027);
	if (join_broker(&join, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.message);
	return error_exit_status(err.code);
}

/* Sessions can be had without it. */
static void await_viewer(struct program *p)
{
	const char *socket = p->options.socket, *slash = strrchr(socket, '/');
	int folder_len = slash ? (int)(slash - socket) + 1 : 0;
	AUTO(free_p) char *beside = NULL;
	struct error err;

	if (!p->agent.engine->ops->connect)
		return;
	if (asprintf(&beside, "%.*s" VIEWER_SOCKET_NAME, folder_len, socket) < 0) {
		beside = NULL;
		return;
	}
	p->agent.guests = guests_new(
		&p->agent, p->options.viewer_socket ? p->options.viewer_socket : beside, &err);
	if (!p->agent.guests)
		log_error("web viewer: %s", err.message);
}

static void on_ready(void *userdata)
{
	struct program *p = userdata;

	await_viewer(p);
	log_info("agent is ready (server=%s)", p->agent.server.id);
	if (p->agent.link)
		link_start(p->agent.link);
	service_start(&p->service, &p->loop);
	ready_tell(&p->options.ready_fd);
}

static void on_change(void *userdata)
{
	struct program *p = userdata;

	link_report_soon(p->agent.link);
}

static void on_ec2(json_t *aws, void *userdata)
{
	struct program *p = userdata;

	inventory_set_aws(&p->agent.server.inventory, aws);
	on_change(p);
}

static void on_stop(void *userdata)
{
	struct program *p = userdata;

	log_info("agent stops; its sessions go on");
	service_stopping();
	service_stop(&p->service);
	link_stop(p->agent.link);
	ec2_stop(p->ec2);
	watch_stop(p->watch);
	guests_stop(p->agent.guests);
	agent_done(&p->agent);
}

static void on_reload(void *userdata)
{
	(void)userdata;
	service_reloading();
	log_reopen_file();
	service_reloaded();
}

/* What is run for other people is root's alone: not even this agent's user may change it. An ordinary
 * user's agent serves that user only. */
static int check_folders(const struct agent_config *config, struct error *err)
{
	uid_t trusted = geteuid() >= config->minimum_uid ? geteuid() : 0;

	if (trust_check_path(config->init_folder, trusted, err) < 0)
		return error_prefix(err, "agent.init_folder");
	if (trust_check_path(config->autorun_folder, trusted, err) < 0)
		return error_prefix(err, "agent.autorun_folder");
	return 0;
}

/* One agent at a time: two would fight over records and sockets. */
static int lock_state(struct program *p, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (file_make_folder(p->options.state_folder, 0700, err) < 0)
		return -1;
	if (asprintf(&path, "%s/lock", p->options.state_folder) < 0) {
		path = NULL;
		return error_oom(err);
	}
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->lock_fd < 0)
		return error_errno(err, "open %s", path);
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_set(err, ERR_CONFLICT, "another agent works in %s",
					   p->options.state_folder)
			       : error_errno(err, "lock %s", path);
	return 0;
}

/* What is allowed, and seldom meant. */
static void warn_of_config(const struct program *p)
{
	const char *interface = p->config.preferred_network_interface;

	if (p->config.broker_update_interval > UPDATE_INTERVAL_MOST_S)
		log_warning("%s: agent.broker_update_interval is %lld: the broker may take this "
			    "host for gone; %d or less is advised",
			    p->options.conf, p->config.broker_update_interval,
			    UPDATE_INTERVAL_MOST_S);
	if (interface && if_nametoindex(interface) == 0)
		log_warning("%s: agent.preferred_network_interface: there is no '%s' now",
			    p->options.conf, interface);
}

static int read_config(struct program *p, struct error *err)
{
	struct log_rotation rotation;
	enum log_level level;

	log_hold();
	if (agent_config_load(&p->config, p->options.conf, err) < 0)
		return -1;
	if (log_level_from_name(p->config.log_level, &level))
		log_set_level(level);
	rotation = (struct log_rotation){
		.is_hourly = strcmp(p->config.log_rotation, "hourly") == 0,
		.max_bytes = (unsigned long long)p->config.log_max_bytes,
		.n_kept = (unsigned)p->config.log_kept,
	};
	if (log_open_file(p->config.log_directory, "agent.log", &rotation, err) < 0)
		return -1;
	warn_of_config(p);
	return check_folders(&p->config, err);
}

static int build(struct program *p, struct error *err)
{
	const struct agent_options options = {
		.state_folder = p->options.state_folder,
		.keeper_socket = p->options.keeper_socket,
		.keeper_run_dir = p->options.keeper_run_dir,
		.keeper_log_dir = p->options.keeper_log_dir,
		.handover_folder = p->options.handover_folder,
		.session_init = p->options.session_init,
		.on_ready = on_ready,
		.on_change = on_change,
		.userdata = p,
	};

	p->loop.on_stop = on_stop;
	p->loop.on_reload = on_reload;
	p->loop.userdata = p;
	if (agent_init(&p->agent, &p->loop, &p->config, &options, err) < 0)
		return -1;
	p->control = control_new(&p->agent, p->options.socket, err);
	p->watch = watch_new(&p->agent, err);
	p->ec2 = ec2_new(&p->loop, on_ec2, p, err);
	if (!p->control || !p->watch || !p->ec2)
		return -1;
	if (metrics_port_open(&p->metrics_port, &p->loop, p->config.metrics_bind_host,
			      p->config.metrics_port, metrics_append, &p->agent, err) < 0)
		return error_prefix(err, "agent.metrics_port");
	if (!p->config.broker_host) {
		log_info("no broker_host in %s: this host works by itself", p->options.conf);
		return 0;
	}
	p->agent.link = link_new(&p->agent, p->options.state_folder, err);
	return p->agent.link ? 0 : -1;
}

static int run(struct program *p, struct error *err)
{
	int result;

	if (read_config(p, err) < 0 || lock_state(p, err) < 0 || loop_init(&p->loop, err) < 0)
		return -1;
	result = build(p, err);
	if (result == 0)
		result = agent_start(&p->agent, err);
	if (result == 0)
		loop_run(&p->loop);
	loop_done(&p->loop);
	metrics_port_done(&p->metrics_port);
	control_free(p->control);
	link_free(p->agent.link);
	ec2_free(p->ec2);
	watch_free(p->watch);
	guests_free(p->agent.guests);
	return result;
}

int main(int argc, char **argv)
{
	static struct program p = {.lock_fd = -1};
	struct error err = {0};
	int status;

	if (argc > 1 && strcmp(argv[1], "join") == 0)
		return run_join(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "doctor") == 0)
		return doctor_main(argc - 1, argv + 1);
	status = read_options(argc, argv, &p.options);
	if (status >= 0)
		return status;
	status = 0;
	umask(027);
	if (run(&p, &err) < 0) {
		log_error("%s", err.message);
		status = error_exit_status(err.code);
	}
	agent_config_done(&p.config);
	log_close();
	close_p(&p.lock_fd);
	return status;
}
