/* The keeper and the broker are asked at the same time, on a loop that ends with the last answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/doctor/doctor.h"
#include "agent/link.h"
#include "agent/packet-socket.h"
#include "common/cleanup.h"
#include "common/finding.h"
#include "common/http-client.h"
#include "common/text.h"

#define LIMIT_S 10
#define HEALTH_PATH "/health"
#define SECONDS_PER_DAY 86400
#define DAYS_FEW 30

struct peers {
	struct doctor *d;
	struct loop loop;
	struct timer *limit, *end; /* the loop is not to be stopped from within what runs on it */
	struct packet_socket *keeper;
	struct http_client *broker;
	int n_open; /* that have not answered yet */
};

static void answered(struct peers *p)
{
	if (--p->n_open == 0)
		timer_start(p->end, 0, 0);
}

/* --- the keeper --------------------------------------------------------------------------------
 */

static const char keeper_advice[] = "Start it as root: dcv-session-keeper --listen PATH, or the "
				    "systemd socket. It accepts root and "
				    "the user of its --agent-user.";

static void tell_refusal(struct peers *p, const char *why)
{
	packet_socket_free(TAKE(p->keeper));
	finding_add(p->d->findings, "keeper", FINDING_ERROR, keeper_advice,
		    "the keeper at %s does not talk to us: %s", p->d->options->keeper_socket, why);
}

static void on_keeper_packet(const struct message *message, int *fd, void *userdata)
{
	struct peers *p = userdata;
	const char *event = message_get(message, "EVENT"), *reason = message_get(message, "REASON");
	struct stat st = {0};

	(void)fd;
	(void)stat(p->d->options->keeper_socket, &st);
	if (!event || strcmp(event, "checked") != 0) {
		tell_refusal(p, reason ? reason : "its answer is not understood");
		answered(p);
		return;
	}
	packet_socket_free(TAKE(p->keeper));
	if (st.st_uid == 0)
		finding_add(p->d->findings, "keeper", FINDING_OK, NULL, "the keeper answers at %s",
			    p->d->options->keeper_socket);
	else
		finding_add(p->d->findings, "keeper", FINDING_WARNING,
			    "Start it as root to serve everybody.",
			    "the keeper at %s is run by uid %u and serves that user alone",
			    p->d->options->keeper_socket, (unsigned)st.st_uid);
	answered(p);
}

static void on_keeper_closed(const struct error *why, void *userdata)
{
	struct peers *p = userdata;

	tell_refusal(p, why->message);
	answered(p);
}

static int ask_keeper(struct peers *p, struct error *err)
{
	static const struct packet_socket_handler handler = {on_keeper_packet, on_keeper_closed};
	AUTO(buf_done) struct buf packet = {0};

	if (message_add(&packet, "OPERATION", "check", err) < 0)
		return -1;
	p->keeper = packet_socket_connect(&p->loop, p->d->options->keeper_socket, &handler, p, err);
	if (!p->keeper || packet_socket_send(p->keeper, &packet, err) < 0)
		return -1;
	p->n_open++;
	return 0;
}

static void check_keeper(struct peers *p)
{
	struct error err = {0};

	if (p->d->has_config && engine_is_dcv(&p->d->config)) {
		finding_add(p->d->findings, "keeper", FINDING_OK, NULL,
			    "an Amazon DCV server holds the sessions: no keeper is needed");
		return;
	}
	if (ask_keeper(p, &err) == 0)
		return;
	if (p->keeper) { /* it has hung up before we could speak */
		tell_refusal(p, err.message);
		return;
	}
	if (err.code == ERR_DENIED && geteuid() != 0)
		finding_add(p->d->findings, "keeper", FINDING_NOT_CHECKED, "Ask as root.",
			    "the keeper is there for root and the agent only: %s", err.message);
	else
		finding_add(p->d->findings, "keeper", FINDING_ERROR, keeper_advice,
			    "no keeper can be reached: %s", err.message);
}

/* --- the broker --------------------------------------------------------------------------------
 */

static void check_certificate(struct peers *p)
{
	long long end_s = http_client_certificate_end(p->broker);
	long long days = (end_s - time_now_ms() / 1000) / SECONDS_PER_DAY;

	if (!p->d->config.tls_strict)
		finding_add(p->d->findings, "certificate", FINDING_WARNING,
			    "Name the broker's authority as ca_file and set tls_strict = true.",
			    "the broker's certificate is not verified (tls_strict = false)");
	if (end_s > 0)
		finding_add(p->d->findings, "certificate",
			    days < DAYS_FEW ? FINDING_WARNING : FINDING_OK,
			    days < DAYS_FEW
				    ? "The broker renews its own certificates; one of yours "
				      "is to be replaced there."
				    : NULL,
			    "the broker's certificate is good for %lld more days", days);
}

static void check_clock(struct peers *p)
{
	long long time_s = http_client_server_time(p->broker);
	long long skew_s = time_now_ms() / 1000 - time_s;

	if (time_s == 0)
		finding_add(p->d->findings, "clock", FINDING_NOT_CHECKED, NULL,
			    "the broker does not tell its time");
	else
		finding_add(
			p->d->findings, "clock",
			llabs(skew_s) > LINK_CLOCK_SKEW_MOST_MS / 1000 ? FINDING_ERROR : FINDING_OK,
			llabs(skew_s) > LINK_CLOCK_SKEW_MOST_MS / 1000
				? "Set the clocks of both by NTP (timedatectl, chronyc tracking): "
				  "tokens and certificates depend on them."
				: NULL,
			"the clock of this host is %lld s %s the broker's", llabs(skew_s),
			skew_s < 0 ? "behind" : "before");
}

static void on_broker(int status, const char *body, size_t len, const struct error *err,
		      void *userdata)
{
	struct peers *p = userdata;
	const struct agent_config *config = &p->d->config;

	(void)body;
	(void)len;
	if (status == 0)
		finding_add(p->d->findings, "broker", FINDING_ERROR,
			    "See broker_host, broker_port and ca_file in agent.conf, the firewall "
			    "between, and the broker's log.",
			    "the broker cannot be reached: %s", err->message);
	else if (status != 200)
		finding_add(p->d->findings, "broker", FINDING_WARNING,
			    status == 503 ? "See the broker's log."
					  : "Is broker_port the broker's port for agents (8445)?",
			    "%s port %lld answers %d to the question for its health",
			    config->broker_host, config->broker_port, status);
	else
		finding_add(p->d->findings, "broker", FINDING_OK, NULL,
			    "the broker %s port %lld is reached by TLS and is well",
			    config->broker_host, config->broker_port);
	if (status != 0) {
		check_certificate(p);
		check_clock(p);
	}
	answered(p);
}

static int ask_broker(struct peers *p, struct error *err)
{
	const struct agent_config *config = &p->d->config;
	const struct http_client_options options = {
		.ca_file = config->ca_file, .is_strict = config->tls_strict, .timeout_s = LIMIT_S};
	const struct http_client_request request = {
		.host = config->broker_host, .port = (int)config->broker_port, .path = HEALTH_PATH};

	p->broker = http_client_new(&p->loop, &options, err);
	if (!p->broker || http_client_get(p->broker, &request, on_broker, p, err) < 0)
		return -1;
	p->n_open++;
	return 0;
}

static void check_broker(struct peers *p)
{
	struct error err = {0};

	if (!p->d->has_config)
		return;
	if (!p->d->config.broker_host)
		finding_add(p->d->findings, "broker", FINDING_OK, NULL,
			    "no broker_host in %s: this host works by itself", p->d->options->conf);
	else if (ask_broker(p, &err) < 0)
		finding_add(p->d->findings, "broker", FINDING_ERROR, "See ca_file in agent.conf.",
			    "the broker cannot be asked: %s", err.message);
}

/* --- both --------------------------------------------------------------------------------------
 */

static void on_limit(void *userdata)
{
	struct peers *p = userdata;

	if (p->keeper) {
		packet_socket_free(TAKE(p->keeper));
		finding_add(p->d->findings, "keeper", FINDING_ERROR, keeper_advice,
			    "the keeper at %s takes a connection and does not answer",
			    p->d->options->keeper_socket);
		answered(p);
	}
	/* what the broker does not answer, its client tells */
}

static void on_end(void *userdata)
{
	struct peers *p = userdata;

	loop_stop(&p->loop);
}

static void on_stop(void *userdata)
{
	struct peers *p = userdata;

	packet_socket_free(TAKE(p->keeper));
	timer_free(TAKE(p->limit));
	timer_free(TAKE(p->end));
}

void doctor_check_peers(struct doctor *d)
{
	struct peers p = {.d = d};
	struct error err = {0};

	p.loop.on_stop = on_stop;
	p.loop.userdata = &p;
	if (loop_init(&p.loop, &err) < 0) {
		finding_add(d->findings, "keeper", FINDING_NOT_CHECKED, NULL, "%s", err.message);
		return;
	}
	p.limit = timer_new(&p.loop, on_limit, &p);
	p.end = timer_new(&p.loop, on_end, &p);
	if (p.limit && p.end) {
		timer_start(p.limit, LIMIT_S * 1000, 0);
		check_keeper(&p);
		check_broker(&p);
		if (p.n_open == 0)
			timer_start(p.end, 0, 0);
		loop_run(&p.loop);
	} else {
		on_stop(&p);
	}
	loop_done(&p.loop);
	http_client_free(p.broker);
}
