/*
 * A double of any number of agents: simulated servers that are linked to a real broker over TLS and
 * WebSocket, with real registration, and whose sessions are a few words in memory. For tests of the
 * broker and of clients of its API, and for measuring; nothing of it is installed.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/number.h"
#include "common/ready.h"
#include "tests/doubles/fleet/control.h"
#include "tests/doubles/fleet/fleet.h"

#define COUNT_MAX 1000000
#define STATEMENT_MAX_BYTES 65536
#define FDS_BESIDE_LINKS 256

struct options {
	long long count, interval_s, parallel;
	char *host; /* owned */
	long long port;
	const char *ca_file, *statement_file, *control_path, *file;
	int ready_fd;
};

/* What main owns. */
struct program {
	struct options options;
	struct buf statement;
	struct template_list templates;
	struct loop loop;
	struct http_client *client;
	struct fleet fleet;
	struct control *control;
	unsigned long long started_ms;
};

/* --- options -----------------------------------------------------------------------------------
 */

static void print_help(void)
{
	puts("Usage: fleet [OPTION...] FILE\n"
	     "Simulate the agents of the servers in FILE, a JSON array in the shape of\n"
	     "DescribeServers; \"Behaviour\" of a server tells how it behaves.\n\n"
	     "  --broker-url URL           https://host:port of the broker's agent connector\n"
	     "  --ca-file FILE             authority of its certificate (those of the system)\n"
	     "  --software-statement FILE  to register with\n"
	     "  --count N                  so many agents of each server (1)\n"
	     "  --interval S               seconds between reports (30)\n"
	     "  --parallel N               connect so many at a time (64)\n"
	     "  --control PATH             take commands at a Unix socket\n"
	     "  --ready-fd N               write \"ready\" to descriptor N when all are linked\n"
	     "  -h, --help\n"
	     "  --version");
}

static int read_number(const char *option, const char *text, long long min, long long max,
		       long long *ret, struct error *err)
{
	if (number_parse(text, min, max, ret))
		return 0;
	return error_set(err, ERR_USAGE, "--%s: '%s' is not a whole number from %lld to %lld",
			 option, text, min, max);
}

/* https://host:port, the host perhaps an IPv6 address in brackets. */
static int read_url(const char *url, struct options *o, struct error *err)
{
	static const char scheme[] = "https://";
	const char *host = url + strlen(scheme), *colon = strrchr(url, ':');
	AUTO(free_p) char *port = colon ? strdup(colon + 1) : NULL;
	size_t len = port ? strlen(port) : 0;

	if (len > 0 && port[len - 1] == '/')
		port[len - 1] = '\0';
	if (strncmp(url, scheme, strlen(scheme)) != 0 || !port || colon <= host ||
	    !number_parse(port, 1, 65535, &o->port))
		return error_set(err, ERR_USAGE, "--broker-url: '%s' is not https://host:port",
				 url);
	len = (size_t)(colon - host);
	if (host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	free(o->host);
	o->host = strndup(host, len);
	return o->host ? 0 : error_oom(err);
}

enum { URL = 256, CA, STATEMENT, COUNT, INTERVAL, PARALLEL, CONTROL, READY_FD, SHOW_VERSION };

static int read_option(int option, struct options *o, struct error *err)
{
	switch (option) {
	case URL:
		return read_url(optarg, o, err);
	case CA:
		o->ca_file = optarg;
		return 0;
	case STATEMENT:
		o->statement_file = optarg;
		return 0;
	case COUNT:
		return read_number("count", optarg, 1, COUNT_MAX, &o->count, err);
	case INTERVAL:
		return read_number("interval", optarg, 1, 86400, &o->interval_s, err);
	case PARALLEL:
		return read_number("parallel", optarg, 1, 10000, &o->parallel, err);
	case CONTROL:
		o->control_path = optarg;
		return 0;
	case READY_FD:
		return ready_parse(optarg, &o->ready_fd, err);
	default:
		return error_set(err, ERR_USAGE, "see fleet --help");
	}
}

static int check_options(const struct options *o, int n_files, struct error *err)
{
	if (!o->host)
		return error_set(err, ERR_USAGE, "--broker-url is missing");
	if (!o->statement_file)
		return error_set(err, ERR_USAGE, "--software-statement is missing");
	if (n_files != 1)
		return error_set(err, ERR_USAGE, "one FILE with servers is needed, not %d",
				 n_files);
	return 0;
}

/* 1: all is said already. */
static int read_options(int argc, char **argv, struct options *o, struct error *err)
{
	static const struct option table[] = {
		{"broker-url", required_argument, NULL, URL},
		{"ca-file", required_argument, NULL, CA},
		{"software-statement", required_argument, NULL, STATEMENT},
		{"count", required_argument, NULL, COUNT},
		{"interval", required_argument, NULL, INTERVAL},
		{"parallel", required_argument, NULL, PARALLEL},
		{"control", required_argument, NULL, CONTROL},
		{"ready-fd", required_argument, NULL, READY_FD},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, SHOW_VERSION},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		if (option == 'h' || option == SHOW_VERSION) {
			if (option == 'h')
				print_help();
			else
				puts("fleet " VERSION);
			return 1;
		}
		if (read_option(option, o, err) < 0)
			return -1;
	}
	o->file = argv[optind];
	return check_options(o, argc - optind, err);
}

/* --- the parts ---------------------------------------------------------------------------------
 */

static int read_statement(struct program *p, struct error *err)
{
	struct buf *text = &p->statement;

	if (file_read(p->options.statement_file, STATEMENT_MAX_BYTES, text, err) < 0)
		return -1;
	while (text->len > 0 && strchr(" \t\r\n", text->data[text->len - 1]))
		buf_truncate(text, text->len - 1);
	if (text->len == 0)
		return error_set(err, ERR_INVALID, "%s is empty", p->options.statement_file);
	return 0;
}

/* Each agent has a descriptor. Before the loop starts: it makes tables for as many as are allowed.
 */
static int raise_limit(const struct program *p, struct error *err)
{
	unsigned long long n_agents = p->templates.n_templates *
				      (unsigned long long)p->options.count;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_errno(err, "getrlimit");
	if (n_agents + FDS_BESIDE_LINKS > limit.rlim_max)
		return error_set(err, ERR_LIMIT,
				 "%llu agents need more descriptors than the %llu allowed here "
				 "(ulimit -Hn)",
				 n_agents, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_errno(err, "setrlimit");
	return 0;
}

static void on_settled(void *userdata)
{
	struct program *p = userdata;

	log_info("all %zu agents are linked (ms=%llu)", p->fleet.n_agents,
		 loop_now_ms(&p->loop) - p->started_ms);
	ready_tell(&p->options.ready_fd);
}

static void on_stop(void *userdata)
{
	struct program *p = userdata;

	control_stop(p->control);
	fleet_stop(&p->fleet);
}

static int build(struct program *p, struct error *err)
{
	const struct http_client_options options = {
		.ca_file = p->options.ca_file, .is_strict = true, .ws = &agent_ws_handler};

	p->loop.on_stop = on_stop;
	p->loop.userdata = p;
	p->client = http_client_new(&p->loop, &options, err);
	if (!p->client)
		return -1;
	p->fleet.loop = &p->loop;
	p->fleet.broker = (struct broker){p->client, p->options.host, (int)p->options.port,
					  p->statement.data};
	p->fleet.interval_ms = (unsigned long long)p->options.interval_s * 1000;
	p->fleet.parallel = (unsigned)p->options.parallel;
	p->fleet.on_settled = on_settled;
	p->fleet.userdata = p;
	if (fleet_init(&p->fleet, &p->templates, (unsigned)p->options.count, err) < 0)
		return -1;
	if (!p->options.control_path)
		return 0;
	p->control = control_new(&p->fleet, p->options.control_path, err);
	return p->control ? 0 : -1;
}

static int run(struct program *p, struct error *err)
{
	int result;

	if (template_list_read(&p->templates, p->options.file, err) < 0 ||
	    read_statement(p, err) < 0 || raise_limit(p, err) < 0 || loop_init(&p->loop, err) < 0)
		return -1;
	p->started_ms = loop_now_ms(&p->loop);
	result = build(p, err);
	if (result == 0) {
		fleet_start(&p->fleet);
		loop_run(&p->loop);
	}
	loop_done(&p->loop);
	fleet_done(&p->fleet);
	http_client_free(p->client);
	control_free(p->control);
	return result;
}

int main(int argc, char **argv)
{
	static struct program p = {
		.options = {.count = 1, .interval_s = 30, .parallel = 64, .ready_fd = -1},
	};
	struct error err = {0};
	int result = read_options(argc, argv, &p.options, &err);

	if (result == 0)
		result = run(&p, &err);
	if (result < 0)
		fprintf(stderr, "fleet: %s\n", err.message);
	template_list_done(&p.templates);
	buf_done(&p.statement);
	free(p.options.host);
	return result < 0 ? error_exit_status(err.code) : 0;
}
