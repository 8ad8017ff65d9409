#include "broker-lite/certification.h"

#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/audit.h"
#include "broker-lite/authority.h"
#include "broker-lite/fleet.h"
#include "common/boot-id.h"
#include "common/certificate-request.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/subject-names.h"

#define HOUR_MS 3600000ULL
#define REQUEST_MAX_BYTES (CERTIFICATE_REQUEST_MAX_CHARACTERS + 64)

/* A certificate on its way. */
struct job {
	struct certification *certification;
	struct client *client; /* who asks; clients stay */
	struct certificate_request request;
	struct certificate_terms terms;
	STACK_OF(X509) * certificates;
	struct error err;
};

static void job_free(struct job *job)
{
	certificate_request_done(&job->request);
	sk_X509_pop_free(job->certificates, X509_free);
	free(job);
}

static void job_p(struct job **job)
{
	if (*job)
		job_free(*job);
}

/* --- whose name is it? -------------------------------------------------------------------------
 */

static bool is_name(const json_t *value, const char *entry)
{
	const char *name = json_string_value(value);

	return name && subject_name_is(entry, name);
}

/* Has @server reported @entry? */
static bool has_reported(const struct server *server, const char *entry)
{
	static const char *const members[] = {"Hostname", "DefaultDnsName", "Ip"};
	const json_t *endpoint;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(members); i++) {
		if (is_name(json_object_get(server->report, members[i]), entry))
			return true;
	}
	json_array_foreach(json_object_get(server->report, "Endpoints"), i, endpoint)
	{
		if (is_name(json_object_get(endpoint, "IpAddress"), entry))
			return true;
	}
	return false;
}

/* NULL: no other agent has it. */
static const struct client *find_other(const struct certification *c, const struct agent *agent,
				       const char *entry)
{
	const struct sorted *servers = &c->agents->fleet->servers.by_id;
	const struct sorted *clients = &c->clients->by_id;

	for (size_t i = 0; i < clients->n; i++) {
		const struct client *client = clients->items[i];

		if (client != agent->client && client_has_certificate(client) &&
		    subject_names_has(client->certificate_names, entry))
			return client;
	}
	for (size_t i = 0; i < servers->n; i++) {
		const struct server *server = servers->items[i];

		if (server->agent && server->agent->client &&
		    server->agent->client != agent->client && has_reported(server, entry))
			return server->agent->client;
	}
	return NULL;
}

static bool is_here(const struct certification *c, const struct agent *agent)
{
	return c->boot_id[0] && strcmp(agent->server->boot_id, c->boot_id) == 0 && agent->ws &&
	       security_is_own_address(c->security, ws_peer_address(agent->ws));
}

static int check_name(const struct certification *c, const struct agent *agent, const char *entry,
		      struct error *err)
{
	const struct client *other;

	if (!has_reported(agent->server, entry))
		return error_set(err, ERR_DENIED, "the host has not reported the name %s", entry);
	if (security_is_own_name(c->security, entry, is_here(c, agent)))
		return error_set(err, ERR_DENIED, "%s is the broker's own name", entry);
	other = find_other(c, agent, entry);
	if (other)
		return error_set(err, ERR_CONFLICT,
				 "%s is the name of another host, too: agent client %s (%.60s)",
				 entry, other->id, other->name);
	return 0;
}

static int check_names(const struct certification *c, const struct agent *agent, const char *names,
		       struct error *err)
{
	char entry[SUBJECT_NAME_SIZE];

	while (subject_names_next(&names, entry)) {
		if (check_name(c, agent, entry, err) < 0)
			return -1;
	}
	return 0;
}

/* --- may it ask? -------------------------------------------------------------------------------
 */

static int check_rate(struct client *client, unsigned long long now_ms, struct error *err)
{
	if (client->n_certifications == 0 || now_ms - client->certifications_since_ms >= HOUR_MS) {
		client->certifications_since_ms = now_ms;
		client->n_certifications = 0;
	}
	if (client->n_certifications < CERTIFICATIONS_PER_HOUR) {
		client->n_certifications++;
		return 0;
	}
	return error_set(err, ERR_LIMIT, "the host has asked for %d certificates within an hour",
			 CERTIFICATIONS_PER_HOUR);
}

static int check_agent(const struct certification *c, const struct agent *agent, struct error *err)
{
	if (!agent->client)
		return error_set(err, ERR_UNSUPPORTED,
				 "the broker does not ask agents who they are");
	if (!security_signer(c->security)[0])
		return error_set(err, ERR_UNSUPPORTED, "the broker has no authority of its own");
	if (!agent->server || !agent->server->report)
		return error_set(err, ERR_CONFLICT, "the host has reported nothing yet");
	return check_rate(agent->client, loop_now_ms(c->loop), err);
}

static int read_body(const char *body, size_t len, struct certificate_request *ret,
		     struct error *err)
{
	json_auto_t *object = NULL;
	const char *text;

	if (len > REQUEST_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "the certificate request is too large");
	if (json_parse(body, len, &object, err) < 0)
		return -1;
	text = json_get_text(object, "Request");
	if (!text)
		return error_set(err, ERR_INVALID, "the certificate request has no Request");
	return certificate_request_read(text, ret, err);
}

/* --- what is said ------------------------------------------------------------------------------
 */

static void send_answer(struct agent *agent, json_t *body)
{
	json_auto_t *message = json_pack("{s:s,s:o}", "event", "certificate", "body", body);
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	if (json_append(&text, message, &err) < 0 ||
	    agent_send(agent, text.data, text.len, &err) < 0)
		log_warning("agent %s: a certificate cannot be sent: %s", agent_name(agent),
			    err.message);
}

static void refuse(struct certification *c, struct agent *agent, const struct error *err)
{
	/* who asks without end fills no log */
	if (err->code != ERR_LIMIT && log_limit_passes(&c->refusals, "certificates refused"))
		log_warning("agent %s gets no certificate: %s", agent_name(agent), err->message);
	send_answer(agent, json_pack("{s:s,s:s}", "error", err->message, "code",
				     error_wire_name(err->code)));
}

/* The newest link of the client. */
static struct agent *find_agent(const struct job *job)
{
	struct agent *found = NULL;

	list_for_each (agent, &job->certification->agents->agents, struct agent, link) {
		if (agent->client == job->client && agent->ws && agent->server)
			found = agent;
	}
	return found;
}

static void audit_job(const struct job *job, const struct agent *agent, const struct error *err)
{
	const struct audit_entry entry = {
		.what = "SignCertificate",
		.who = AUDIT_AGENT,
		.client = job->client,
		.address = ws_peer_address(agent->ws),
		.server = agent->server->id,
		.object = job->request.names,
		.reason = err->code == ERR_NONE ? NULL : err->message,
		.has_failed = err->code != ERR_NONE,
	};

	audit_add(job->certification->audit, &entry);
}

/* --- signing -----------------------------------------------------------------------------------
 */

/* Off the loop. */
static void sign(void *userdata)
{
	struct job *job = userdata;

	(void)authority_sign(&job->terms, job->request.key, &job->certificates, &job->err);
}

/* What was said of the names may not hold any more. */
static int hand_out(struct job *job, struct agent *agent, struct error *err)
{
	struct certification *c = job->certification;
	const char *names = job->request.names;
	AUTO(buf_done) struct buf pem = {0};
	long long end_s;

	if (job->err.code != ERR_NONE) {
		*err = job->err;
		return -1;
	}
	end_s = time_now_ms() / 1000 + certificate_left_s(sk_X509_value(job->certificates, 0));
	if (!job->client->is_active)
		return error_set(err, ERR_DENIED, "the agent has been unregistered");
	if (check_names(c, agent, names, err) < 0 ||
	    certificate_append_all(job->certificates, &pem, err) < 0 ||
	    client_set_certificate(c->clients, job->client, names, end_s, err) < 0)
		return -1;
	send_answer(agent, json_pack("{s:s}", "Certificate", pem.data));
	return 0;
}

static void on_signed(void *userdata)
{
	AUTO(job_p) struct job *job = userdata;
	struct agent *agent = find_agent(job);
	struct error err = {0};

	if (!agent)
		return; /* it asks again when it is back */
	if (hand_out(job, agent, &err) < 0)
		refuse(job->certification, agent, &err);
	else
		log_info("certificate signed for the viewer of agent %s (names=%s, days=%d)",
			 agent_name(agent), job->request.names, AUTHORITY_HOST_DAYS);
	audit_job(job, agent, &err);
}

static int begin(struct certification *c, struct agent *agent, struct certificate_request *request,
		 struct error *err)
{
	AUTO(job_p) struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		certificate_request_done(request);
		return error_oom(err);
	}
	job->certification = c;
	job->client = agent->client;
	job->request = *request;
	job->terms = security_terms(c->security, job->request.names);
	if (check_names(c, agent, job->request.names, err) < 0 ||
	    loop_work(c->loop, sign, on_signed, job, err) < 0)
		return -1;
	(void)TAKE(job);
	return 0;
}

void certification_take(struct certification *certification, struct agent *agent, const char *body,
			size_t len)
{
	struct certificate_request request;
	struct error err = {0};

	if (check_agent(certification, agent, &err) < 0 ||
	    read_body(body, len, &request, &err) < 0 ||
	    begin(certification, agent, &request, &err) < 0)
		refuse(certification, agent, &err);
}

void certification_init(struct certification *certification, const struct certification *parts)
{
	*certification = *parts;
	boot_read_id(certification->boot_id);
}
