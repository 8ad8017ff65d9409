/**
 * Certificates for the web viewers of hosts, signed by the broker's authority: one to trust for all hosts.
 *
 * A host asks over its link (common/link-protocol.h). It gets a certificate for TLS servers alone, good for
 * AUTHORITY_HOST_DAYS, with the names of its request, if
 *
 *   - agents must register here, this one has, and it has reported its server;
 *   - it has not asked CERTIFICATIONS_PER_HOUR times within an hour;
 *   - the request is sound (common/certificate-request.h);
 *   - the latest report of this agent tells every name: as Hostname, DefaultDnsName, Ip, or IpAddress of an
 *     endpoint;
 *   - no name is the broker's own (security_is_own_name()). An agent on the broker's host shares the names of
 *     that host: its link comes from an address of this machine, and it knows the boot id that nobody
 *     learns elsewhere;
 *   - no name is another agent's: in a certificate that one of another registered agent still has, or in
 *     the report of one that is linked. Who has a name keeps it until that certificate ends, the agent
 *     gets one with other names, or the agent is unregistered.
 *
 * Whether a name leads to the host is not looked up: of names that are nobody's here, the host's word is
 * taken, as it is in DescribeServers.
 */
#ifndef BROKER_CERTIFICATION_H
#define BROKER_CERTIFICATION_H

#include "broker-lite/agent-list.h"
#include "broker-lite/security.h"
#include "common/log-limit.h"
#include "common/text.h"

#define CERTIFICATIONS_PER_HOUR 20

struct certification {
	struct loop *loop;
	struct security *security;
	struct client_list *clients;
	struct agent_list *agents;
	struct audit *audit;
	char boot_id[UUID_SIZE];
	struct log_limit refusals;
};

/** Everything is borrowed. */
void certification_init(struct certification *certification, const struct certification *parts);

/**
 * @agent asks; @body is one JSON object. It is answered, now or later, in every case, but the link may be
 * gone by then.
 */
void certification_take(struct certification *certification, struct agent *agent, const char *body,
			size_t len);

#endif
