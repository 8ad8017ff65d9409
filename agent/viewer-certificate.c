#include "agent/viewer-certificate.h"

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/link.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/subject-names.h"

void viewer_certificate_done(struct viewer_certificate *certificate)
{
	buf_done(&certificate->told);
}

/* --- what is said to the viewer ----------------------------------------------------------------
 */

static void send_packet(struct viewer_certificate *vc, const struct buf *packet)
{
	struct error err;

	if (!vc->viewer || packet_socket_send(vc->viewer, packet, &err) == 0)
		return;
	log_warning("web viewer: %s", err.message);
	packet_socket_break(vc->viewer);
}

/* The names by which this host is reached. */
static int append_names(const struct agent *agent, struct buf *names, struct error *err)
{
	const struct server *server = &agent->server;
	const char *const all[] = {server->hostname, server->dns_name, server->address};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (subject_name_is_of_host(all[i]) && subject_names_add(names, all[i], err) < 0)
			return -1;
	}
	return 0;
}

static const char *why_not(const struct agent *agent)
{
	const struct viewer_certificate *vc = &agent->viewer_certificate;

	if (!agent->config->broker_host)
		return "this host has no broker";
	return agent->is_linked && vc->why_not ? vc->why_not : "the broker is not reached";
}

static int make_host(const struct agent *agent, struct buf *packet, struct error *err)
{
	const char *authority = agent->viewer_certificate.authority;
	AUTO(buf_done) struct buf names = {0};

	if (append_names(agent, &names, err) < 0 || message_add(packet, "EVENT", "host", err) < 0 ||
	    message_add(packet, "NAMES", names.data ? names.data : "", err) < 0)
		return -1;
	return authority[0] ? message_add(packet, "AUTHORITY", authority, err)
			    : message_add(packet, "REASON", why_not(agent), err);
}

void viewer_certificate_tell_host(struct agent *agent)
{
	struct viewer_certificate *vc = &agent->viewer_certificate;
	AUTO(buf_done) struct buf packet = {0};
	struct error err;

	if (!vc->viewer)
		return;
	if (make_host(agent, &packet, &err) < 0) {
		log_error("web viewer: %s", err.message);
		return;
	}
	if (packet.len == vc->told.len && memcmp(packet.data, vc->told.data, packet.len) == 0)
		return;
	send_packet(vc, &packet);
	buf_done(&vc->told);
	vc->told = packet;
	packet = (struct buf){0};
}

void viewer_certificate_answer(struct agent *agent, const char *certificate, const char *why)
{
	AUTO(buf_done) struct buf packet = {0};
	struct error err;

	if (message_add(&packet, "EVENT", certificate ? "certified" : "uncertified", &err) < 0 ||
	    (certificate ? message_add(&packet, "CERTIFICATE", certificate, &err)
			 : message_add(&packet, "REASON", why, &err)) < 0)
		log_error("web viewer: %s", err.message);
	else
		send_packet(&agent->viewer_certificate, &packet);
}

/* --- what is learned ---------------------------------------------------------------------------
 */

void viewer_certificate_set_viewer(struct agent *agent, struct packet_socket *viewer, bool wants)
{
	agent->viewer_certificate.viewer = wants ? viewer : NULL;
	buf_done(&agent->viewer_certificate.told);
	viewer_certificate_tell_host(agent);
}

void viewer_certificate_set_authority(struct agent *agent, const char *authority)
{
	struct viewer_certificate *vc = &agent->viewer_certificate;
	size_t len = authority ? strlen(authority) : 0;

	(void)snprintf(vc->authority, sizeof(vc->authority), "%s",
		       len < sizeof(vc->authority) && authority ? authority : "");
	vc->why_not = authority ? "the broker has no authority of its own, or does not ask agents "
				  "who they are"
				: "the broker is of a release that signs no certificates";
	viewer_certificate_tell_host(agent);
}

void viewer_certificate_unlink(struct agent *agent)
{
	struct viewer_certificate *vc = &agent->viewer_certificate;

	vc->authority[0] = '\0';
	vc->why_not = NULL;
	viewer_certificate_tell_host(agent);
}

void viewer_certificate_ask(struct agent *agent, const struct message *message)
{
	const char *request = message_get(message, "REQUEST");
	struct error err = {0};

	if (!request)
		(void)error_set(&err, ERR_INVALID, "there is no REQUEST");
	else if (link_ask_certificate(agent->link, request, &err) == 0)
		return;
	viewer_certificate_answer(agent, NULL, err.message);
}
