/** The broker: its parts, built, run and taken down together. */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "broker-lite/agent-list.h"
#include "broker-lite/audit.h"
#include "broker-lite/authorization.h"
#include "broker-lite/certification.h"
#include "broker-lite/config.h"
#include "broker-lite/connection.h"
#include "broker-lite/dns-mappings.h"
#include "broker-lite/fleet.h"
#include "broker-lite/join-tokens.h"
#include "broker-lite/metrics.h"
#include "broker-lite/registration.h"
#include "broker-lite/resolver.h"
#include "broker-lite/security.h"
#include "broker-lite/throttle.h"
#include "common/call.h"
#include "common/http-server.h"
#include "common/log-limit.h"
#include "common/metrics-port.h"
#include "common/service.h"

struct broker {
	struct loop loop;
	struct broker_config config;
	struct security *security;
	struct audit audit;
	struct metrics metrics;
	struct throttle *throttle;
	struct store *store;
	struct password_queue *passwords;
	struct client_list clients;
	struct statement_list statements;
	struct join_tokens join_tokens;
	struct registry registry;
	struct key_ring *access_keys;
	struct auth_server_list auth_servers;
	struct authorization authorization;
	struct connection_tokens connections;
	struct fleet fleet;
	struct dns_mappings mappings;
	struct resolver resolver;
	struct agent_list agents;
	struct certification certification;
	struct api api;
	struct log_limit strangers; /* requests of theirs that are refused */
	struct client anybody;      /* who calls when authorization is off */
	struct http_server *client_server, *agent_server, *command_server;
	struct http_server *gateway_server; /* NULL: not enabled */
	struct metrics_port metrics_port;
	struct service service;
	struct timer *drain; /* until what is in progress is done; NULL: not stopping */
	unsigned long long drain_until_ms;
};

/**
 * Serve until a signal comes. @ready_fd: gets "ready\n" when requests are answered; -1: none.
 * The configuration is taken over. Errors: what kept the broker from starting.
 */
int broker_run(const struct broker_config *config, int ready_fd, struct error *err);

/** Path of the socket for commands; free() it. */
char *broker_command_path(const struct broker_config *config, struct error *err);

/** ERR_UNAVAILABLE while the broker cannot do its work. */
int broker_check_health(const struct broker *broker, struct error *err);

#endif
