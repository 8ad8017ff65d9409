#include "agent/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

#include "agent/keeper/protocol.h"
#include "agent/paths.h"
#include "common/cleanup.h"
#include "common/finding.h"
#include "common/json.h"
#include "common/log.h"
#include "common/program-options.h"

static int read_options(int argc, char **argv, struct doctor_options *o)
{
	const struct program_option table[] = {
		{"conf", "FILE", "settings", AGENT_CONFIG_PATH, .text = &o->conf},
		{"state-dir", "DIR", "the agent's state", AGENT_STATE_FOLDER,
		 .text = &o->state_folder},
		{"socket", "PATH", "where it serves the API", AGENT_SOCKET_PATH,
		 .text = &o->socket},
		{"keeper-socket", "PATH", "the session keepers' listener", KEEPER_LISTEN_SOCKET,
		 .text = &o->keeper_socket},
		{"keeper-log-dir", "DIR", "logs of sessions", KEEPER_LOG_DIR,
		 .text = &o->keeper_log_dir},
		{"pam-dir", "DIR", "folder of the PAM service file (default: the system's)",
		 .text = &o->pam_dir},
		{"xserver", "PROGRAM", "X server", KEEPER_XSERVER, .text = &o->xserver},
		{"agent-user", "NAME", "user that the agent runs as", AGENT_USER,
		 .text = &o->agent_user},
		{"owner", "USER", "also try whether this user could have a session",
		 .text = &o->owner},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-manager-agent doctor [OPTION...]\n"
		       "Look whether this host is fit for sessions; print what was found as JSON.\n"
		       "dcvctl doctor prints it for people, with what a running agent tells. Give\n"
		       "the options that the agent and the keeper are started with.\n",
		.table = table,
	};

	return program_options_read(&options, argc, argv);
}

static void examine(struct doctor *d)
{
	doctor_check_settings(d);
	doctor_check_accounts(d);
	doctor_check_folders(d);
	doctor_check_disks(d);
	doctor_check_programs(d);
	doctor_check_pam(d);
	doctor_check_peers(d);
	doctor_check_viewer(d);
	doctor_check_owner(d);
}

static int print(const struct doctor *d)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *object = json_pack("{s:O}", "Findings", d->findings);
	struct error err;

	if (json_append(&text, object, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	return puts(text.data) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}

int doctor_main(int argc, char **argv)
{
	struct doctor_options options;
	struct doctor d = {.options = &options};
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	log_set_level(LOG_LEVEL_ERROR);
	d.findings = json_array();
	examine(&d);
	status = print(&d);
	json_decref(d.findings);
	agent_config_done(&d.config);
	account_done(&d.agent);
	return status;
}
