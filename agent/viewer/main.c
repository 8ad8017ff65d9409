#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "agent/config.h"
#include "agent/viewer/door.h"
#include "agent/viewer/identity.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/program-options.h"
#include "common/ready.h"
#include "common/service.h"

#define STATE_FOLDER "/var/lib/dcv-session-viewer"
#define PAGE_FOLDER "/usr/share/dcv-session-viewer"
#define NOVNC_FOLDER "/usr/share/novnc"

struct options {
	const char *conf, *state_folder, *agent_socket, *page_folder, *novnc_folder;
	int ready_fd;
};

/* What main owns. */
struct program {
	struct options options;
	struct agent_config config;
	struct loop loop;
	struct tls_server *tls;
	struct site *site;
	struct client_host host;
	struct door *door;
	struct identity *identity;
	struct service service;
	char *path; /* with a slash at both ends */
};

static int read_options(int argc, char **argv, struct options *o)
{
	const struct program_option table[] = {
		{"conf", "FILE", "settings, the table [viewer]", AGENT_CONFIG_PATH,
		 .text = &o->conf},
		{"state-dir", "DIR", "for a certificate of its own", STATE_FOLDER,
		 .text = &o->state_folder},
		{"agent-socket", "PATH", "where the agent waits for it", VIEWER_SOCKET,
		 .text = &o->agent_socket},
		{"page-dir", "DIR", "its page", PAGE_FOLDER, .text = &o->page_folder},
		{"novnc-dir", "DIR", "noVNC", NOVNC_FOLDER, .text = &o->novnc_folder},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-viewer [OPTION...]\n"
		       "Show the sessions of this host in browsers. Needs no privileges, and a\n"
		       "running agent.\n",
		.table = table,
		.ready_fd = &o->ready_fd,
	};

	return program_options_read(&options, argc, argv);
}

static void on_stop(void *userdata)
{
	struct program *p = userdata;

	log_info("viewer stops");
	service_stopping();
	service_stop(&p->service);
	identity_stop(p->identity);
	refusals_stop(p->host.refusals);
	vouch_stop(p->host.vouch);
}

static void on_reload(void *userdata)
{
	struct program *p = userdata;

	service_reloading();
	identity_look(p->identity);
	service_reloaded();
}

/* The page's addresses are relative to it, so it must end in a slash. */
static int make_path(struct program *p, struct error *err)
{
	const char *path = p->config.viewer_web_url_path;
	size_t len = strlen(path);

	if (path[0] != '/' || strpbrk(path, "?# \"<>\\") || strstr(path, "//"))
		return error_set(err, ERR_CONFIG,
				 "viewer.web_url_path: expected a path such as '/' or '/desktop/', "
				 "got '%.40s'",
				 path);
	if (asprintf(&p->path, "%s%s", path, path[len - 1] == '/' ? "" : "/") < 0) {
		p->path = NULL;
		return error_oom(err);
	}
	return 0;
}

static int build(struct program *p, struct error *err)
{
	const struct identity_options identity = {.loop = &p->loop,
						  .tls = p->tls,
						  .config = &p->config,
						  .state_folder = p->options.state_folder,
						  .vouch = &p->host.vouch};
	struct vouch_options vouch = {
		.socket = p->options.agent_socket,
		.port = (int)p->config.viewer_port,
		.web_url_path = p->path,
	};
	const struct door_options door = {.bind_host = p->config.viewer_bind_host,
					  .port = (int)p->config.viewer_port,
					  .path = p->path,
					  .tls = p->tls,
					  .site = p->site,
					  .host = &p->host};

	p->loop.on_stop = on_stop;
	p->loop.on_reload = on_reload;
	p->loop.userdata = p;
	p->host.loop = &p->loop;
	list_init(&p->host.rooms);
	if (shares_init(&p->host.shares, err) < 0)
		return -1;
	p->host.refusals = refusals_new(&p->loop, err);
	if (!p->host.refusals)
		return -1;
	p->identity = identity_new(&identity, err);
	if (!p->identity)
		return -1;
	p->door = door_new(&p->loop, &door, err);
	if (!p->door && err->code == ERR_CONFLICT)
		return error_set(err, ERR_CONFLICT,
				 "%s; a broker on the same host has port 8443: give the viewer "
				 "another, as port = 8444 under [viewer] in %s",
				 err->message, p->options.conf);
	if (!p->door)
		return -1;
	vouch.certificate = identity_events(p->identity);
	vouch.certificate_userdata = p->identity;
	/* last: from then on the agent tells others that we are here */
	p->host.vouch = vouch_new(&p->loop, &vouch, err);
	return p->host.vouch ? 0 : -1;
}

static int prepare(struct program *p, struct error *err)
{
	enum log_level level;

	if (agent_config_load(&p->config, p->options.conf, err) < 0)
		return -1;
	if (log_level_from_name(p->config.log_level, &level))
		log_set_level(level);
	if (make_path(p, err) < 0)
		return -1;
	p->site = site_load(p->options.page_folder, p->options.novnc_folder, err);
	p->tls = p->site ? tls_server_new(err) : NULL;
	if (!p->tls)
		return -1;
	return loop_init(&p->loop, err);
}

static int run(struct program *p, struct error *err)
{
	int result;

	/* whoever gets hold of it does not get hold of more */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "give up privileges");
	if (prepare(p, err) < 0)
		return -1;
	result = build(p, err);
	if (result == 0) {
		log_info("viewer is ready (address=%s, port=%lld)", p->config.viewer_bind_host,
			 p->config.viewer_port);
		service_start(&p->service, &p->loop);
		ready_tell(&p->options.ready_fd);
		loop_run(&p->loop);
	}
	identity_stop(p->identity);
	refusals_stop(p->host.refusals);
	loop_done(&p->loop);
	door_free(p->door);
	vouch_free(p->host.vouch);
	identity_free(p->identity);
	refusals_free(p->host.refusals);
	buf_done(&p->host.out);
	return result;
}

int main(int argc, char **argv)
{
	static struct program p;
	struct error err = {0};
	int status = read_options(argc, argv, &p.options);

	if (status >= 0)
		return status;
	status = 0;
	umask(077);
	if (run(&p, &err) < 0) {
		log_error("%s", err.message);
		status = error_exit_status(err.code);
	}
	tls_server_free(p.tls);
	site_free(p.site);
	free(p.path);
	agent_config_done(&p.config);
	log_close();
	return status;
}
