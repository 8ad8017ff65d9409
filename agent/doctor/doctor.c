#include "agent/doctor/doctor.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/keeper/protocol.h"
#include "agent/paths.h"
#include "common/cleanup.h"
#include "common/finding.h"
#include "common/json.h"
#include "common/log.h"

static const char help[] =
	"Usage: dcv-session-manager-agent doctor [OPTION...]\n"
	"Look whether this host is fit for sessions; print what was found as JSON. dcvctl doctor\n"
	"prints it for people, with what a running agent tells.\n\n"
	"As the agent is started with:\n"
	"  --conf FILE, --state-dir DIR, --socket PATH, --keeper-socket PATH\n"
	"As the keeper is:\n"
	"  --keeper-log-dir DIR, --pam-dir DIR, --xserver PROGRAM, --agent-user NAME\n"
	"And:\n"
	"  --owner USER           also try whether this user could have a session\n";

/* The numbers are places in the texts of read_options(). */
static const struct option known_options[] = {
	{"conf", required_argument, NULL, 0},
	{"state-dir", required_argument, NULL, 1},
	{"socket", required_argument, NULL, 2},
	{"keeper-socket", required_argument, NULL, 3},
	{"keeper-log-dir", required_argument, NULL, 4},
	{"pam-dir", required_argument, NULL, 5},
	{"xserver", required_argument, NULL, 6},
	{"agent-user", required_argument, NULL, 7},
	{"owner", required_argument, NULL, 8},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* 0: examine; else exit with that status minus 1. */
static int read_options(int argc, char **argv, struct doctor_options *o)
{
	const char **const texts[] = {&o->conf,          &o->state_folder,   &o->socket,
				      &o->keeper_socket, &o->keeper_log_dir, &o->pam_dir,
				      &o->xserver,       &o->agent_user,     &o->owner};
	int option;

	while ((option = getopt_long(argc, argv, "h", known_options, NULL)) != -1) {
		if (option >= 0 && option < (int)ARRAY_SIZE(texts)) {
			*texts[option] = optarg;
			continue;
		}
		if (option == 'h')
			(void)fputs(help, stdout);
		return option == 'h' ? 1 : 3;
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "unexpected argument '%s'\n", argv[optind]);
	return 3;
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
	struct doctor_options options = {
		.conf = AGENT_CONFIG_PATH,
		.state_folder = AGENT_STATE_FOLDER,
		.socket = AGENT_SOCKET_PATH,
		.keeper_socket = KEEPER_LISTEN_SOCKET,
		.keeper_log_dir = KEEPER_LOG_DIR,
		.xserver = KEEPER_XSERVER,
		.agent_user = AGENT_USER,
	};
	struct doctor d = {.options = &options};
	int status = read_options(argc, argv, &options);

	if (status > 0)
		return status - 1;
	log_set_level(LOG_LEVEL_ERROR);
	d.findings = json_array();
	examine(&d);
	status = print(&d);
	json_decref(d.findings);
	agent_config_done(&d.config);
	account_done(&d.agent);
	return status;
}
