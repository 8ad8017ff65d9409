#include "broker-lite/broker.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-lite/audit-change.h"
#include "broker-lite/authority.h"
#include "broker-lite/command.h"
#include "broker-lite/operation.h"
#include "broker-lite/route.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/ready.h"

#define STORE_PATIENCE_MS 60000
#define DRAIN_MS 10000
#define DRAIN_LOOK_MS 10
#define LARGE_BYTES (256 * 1024)
#define SECURITY_FOLDER "security"
#define DATA_FOLDER "broker-data"

static char *path_in(const struct broker_config *config, const char *name, struct error *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", config->working_path, name) < 0) {
		(void)error_oom(err);
		return NULL;
	}
	return path;
}

char *broker_command_path(const struct broker_config *config, struct error *err)
{
	return path_in(config, "command.sock", err);
}

int broker_check_health(const struct broker *broker, struct error *err)
{
	unsigned long long since_ms = store_down_since_ms(broker->store);

	if (broker->drain || broker->loop.is_stopping)
		return error_set(err, ERR_UNAVAILABLE, "stopping");
	if (since_ms > 0 && loop_now_ms(&broker->loop) - since_ms > STORE_PATIENCE_MS)
		return error_set(err, ERR_UNAVAILABLE, "the store cannot be written");
	return 0;
}

/* --- files -------------------------------------------------------------------------------------
 */

static int prepare_folders(const struct broker_config *config, struct error *err)
{
	AUTO(free_p) char *security = path_in(config, SECURITY_FOLDER, err);
	AUTO(free_p) char *data = path_in(config, DATA_FOLDER, err);
	struct stat st;

	if (!security || !data)
		return -1;
	if (stat(config->working_path, &st) < 0)
		return error_errno(err, "%s", config->working_path);
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(err, ERR_CONFIG,
				 "%s must be a folder that nobody but the broker can write",
				 config->working_path);
	if (file_make_folder(security, 0750, err) < 0 || file_make_folder(data, 0700, err) < 0)
		return -1;
	return 0;
}

static int start_security(struct broker *broker, struct error *err)
{
	AUTO(free_p) char *folder = path_in(&broker->config, SECURITY_FOLDER, err);

	if (!folder)
		return -1;
	return security_new(&broker->security, &broker->loop, &broker->config, folder, err);
}

/* A secret that comes with no package: made here, for the administrator to copy. */
static int prepare_statement(struct broker *broker, struct error *err)
{
	AUTO(free_p)
	char *path = path_in(&broker->config, SECURITY_FOLDER "/default-software-statement", err);
	struct statement *statement;

	if (!path)
		return -1;
	if (access(path, F_OK) == 0)
		return 0;
	if (statement_list_make(&broker->statements, NULL, NULL, &statement, err) < 0 ||
	    store_flush(broker->store, err) < 0)
		return -1;
	return file_write_atomic(path, statement->text, strlen(statement->text), 0640, err);
}

/* --- parts -------------------------------------------------------------------------------------
 */

static int start_store(struct broker *broker, struct error *err)
{
	AUTO(free_p) char *path = path_in(&broker->config, DATA_FOLDER "/broker.db", err);

	if (!path || store_open(&broker->store, &broker->loop, path, err) < 0)
		return -1;
	client_list_init(&broker->clients, broker->store);
	statement_list_init(&broker->statements, broker->store);
	dns_mappings_init(&broker->mappings, broker->store);
	join_tokens_init(&broker->join_tokens, broker->store);
	if (client_list_load(&broker->clients, err) < 0 ||
	    statement_list_load(&broker->statements, err) < 0 ||
	    dns_mappings_load(&broker->mappings, err) < 0 ||
	    join_tokens_load(&broker->join_tokens, err) < 0)
		return -1;
	return prepare_statement(broker, err);
}

/* Access tokens are looked at by us alone, so we sign them with what is cheap; connection tokens are RS256
 * as those of the original. */
static int start_keys(struct broker *broker, struct error *err)
{
	AUTO(free_p)
	char *authority = path_in(&broker->config, SECURITY_FOLDER "/" AUTHORITY_FILE, err);

	broker->connections.life_s = broker->config.connection_token_minutes * 60;
	if (!authority || key_ring_open(&broker->access_keys, broker->store, "access", "ES256",
					ACCESS_TOKEN_LIFE_S, err) < 0)
		return -1;
	if (key_ring_open(&broker->connections.keys, broker->store, "connection", "RS256",
			  broker->connections.life_s, err) < 0 ||
	    auth_server_list_init(&broker->auth_servers, &broker->loop, broker->store, authority,
				  err) < 0)
		return -1;
	return auth_server_list_load(&broker->auth_servers, err);
}

static int start_authorization(struct broker *broker, struct error *err)
{
	struct authorization_parts parts = {
		.loop = &broker->loop,
		.clients = &broker->clients,
		.servers = &broker->auth_servers,
		.resume = route_resume,
		.userdata = broker,
	};

	if (start_keys(broker, err) < 0)
		return -1;
	parts.passwords = broker->passwords = password_queue_new(&broker->loop, err);
	parts.keys = broker->access_keys;
	if (!broker->passwords || authorization_init(&broker->authorization, &parts, err) < 0)
		return -1;
	broker->registry = (struct registry){.clients = &broker->clients,
					     .statements = &broker->statements,
					     .passwords = broker->passwords};
	broker->connections.sessions = &broker->fleet.sessions;
	if (!broker->config.enable_authorization)
		log_warning("authorization is off: everybody who reaches the API may use it");
	if (!broker->config.enable_agent_authorization)
		log_warning("agent authorization is off: every agent is accepted");
	return 0;
}

static void on_signer_changed(void *userdata)
{
	struct broker *broker = userdata;

	agent_list_greet(&broker->agents);
}

static int start_fleet(struct broker *broker, struct error *err)
{
	const struct broker_config *config = &broker->config;
	const struct fleet_parts parts = {
		.loop = &broker->loop,
		.config = config,
		.clients = &broker->clients,
		.store = broker->store,
		.audit = &broker->audit,
		.metrics = &broker->metrics,
	};
	const struct agent_list_parts agents = {
		.authorization = config->enable_agent_authorization ? &broker->authorization : NULL,
		.fleet = &broker->fleet,
		.security = broker->security,
		.certification = &broker->certification,
		.message_max_bytes = (size_t)config->agent_message_max_mb * 1024 * 1024,
	};
	const struct certification certification = {
		.loop = &broker->loop,
		.security = broker->security,
		.clients = &broker->clients,
		.agents = &broker->agents,
		.audit = &broker->audit,
	};

	/* First, because the list is taken down with the fleet, also with one that cannot start. */
	agent_list_init(&broker->agents, &agents);
	certification_init(&broker->certification, &certification);
	security_watch_signer(broker->security, on_signer_changed, broker);
	if (fleet_init(&broker->fleet, &parts, err) < 0)
		return -1;
	broker->anybody = (struct client){.kind = CLIENT_API, .is_active = true};
	broker->api = (struct api){
		.carry_out = operation_carry_out,
		.admit = route_admit,
		.release = route_release,
		.answered = audit_element,
		.replies_max_bytes = (size_t)config->screenshot_max_reply_mb * 1024 * 1024,
		.userdata = broker,
	};
	return 0;
}

static int listen_to_clients(struct broker *broker, struct error *err)
{
	const struct http_server_options options = {
		.bind_host = broker->config.client_bind_host,
		.port = (int)broker->config.client_port,
		.tls = security_tls(broker->security, LISTENER_CLIENT),
		.body_max_bytes = CLIENT_BODY_MAX_BYTES,
		.request = route_client,
		.replied = route_client_replied,
		.userdata = broker,
	};

	broker->client_server = http_server_new(&broker->loop, &options, err);
	if (!broker->client_server && err->code == ERR_CONFLICT)
		return error_set(err, ERR_CONFLICT,
				 "%s; is it dcv-session-viewer? Then give that another port, as "
				 "port = 8444 under [viewer] in agent.conf, or this broker by "
				 "client-to-broker-connector-https-port",
				 err->message);
	return broker->client_server ? 0 : -1;
}

static int listen_to_agents(struct broker *broker, struct error *err)
{
	const struct http_server_options options = {
		.bind_host = broker->config.agent_bind_host,
		.port = (int)broker->config.agent_port,
		.tls = security_tls(broker->security, LISTENER_AGENT),
		.body_max_bytes = AGENT_BODY_MAX_BYTES,
		.request = route_agent,
		.replied = route_agent_replied,
		.userdata = broker,
		.ws = &broker->agents.handler,
		.ws_userdata = &broker->agents,
	};

	broker->agent_server = http_server_new(&broker->loop, &options, err);
	return broker->agent_server ? 0 : -1;
}

static int listen_to_gateways(struct broker *broker, struct error *err)
{
	const struct http_server_options options = {
		.bind_host = broker->config.gateway_bind_host,
		.port = (int)broker->config.gateway_port,
		.tls = security_tls(broker->security, LISTENER_GATEWAY),
		.body_max_bytes = GATEWAY_BODY_MAX_BYTES,
		.request = route_gateway,
		.replied = route_gateway_replied,
		.userdata = broker,
	};

	if (!broker->config.enable_gateway)
		return 0;
	broker->resolver = (struct resolver){&broker->fleet.sessions, &broker->mappings};
	broker->gateway_server = http_server_new(&broker->loop, &options, err);
	return broker->gateway_server ? 0 : -1;
}

static int listen_to_commands(struct broker *broker, struct error *err)
{
	AUTO(free_p) char *socket = broker_command_path(&broker->config, err);
	const struct http_server_options options = {
		.unix_path = socket,
		.is_private = true,
		.body_max_bytes = COMMAND_BODY_MAX_BYTES,
		.request = command_serve,
		.replied = audit_command,
		.userdata = broker,
	};

	if (!socket)
		return -1;
	broker->command_server = http_server_new(&broker->loop, &options, err);
	return broker->command_server ? 0 : -1;
}

static int start_servers(struct broker *broker, struct error *err)
{
	if (listen_to_clients(broker, err) < 0 || listen_to_agents(broker, err) < 0 ||
	    listen_to_gateways(broker, err) < 0)
		return -1;
	return listen_to_commands(broker, err);
}

static int start_metrics(struct broker *broker, struct error *err)
{
	if (metrics_port_open(&broker->metrics_port, &broker->loop, "127.0.0.1",
			      broker->config.metrics_port, metrics_append, broker, err) < 0)
		return error_prefix(err, "metrics-port");
	return 0;
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void look_at_drain(void *userdata)
{
	struct broker *broker = userdata;
	size_t n_open = http_server_n_open(broker->client_server) +
			http_server_n_open(broker->agent_server);

	if (broker->gateway_server)
		n_open += http_server_n_open(broker->gateway_server);
	if (n_open > 0 && loop_now_ms(&broker->loop) < broker->drain_until_ms)
		return;
	if (n_open > 0)
		log_warning("%zu requests are cut off", n_open);
	loop_stop(&broker->loop);
}

/* Requests that are in progress are finished, new ones and the health check answered 503. A second
 * signal ends that. */
static void on_terminate(void *userdata)
{
	struct broker *broker = userdata;

	if (broker->drain) {
		loop_stop(&broker->loop);
		return;
	}
	service_stopping();
	log_info("stopping");
	broker->drain = timer_new(&broker->loop, look_at_drain, broker);
	if (!broker->drain) {
		loop_stop(&broker->loop);
		return;
	}
	broker->drain_until_ms = loop_now_ms(&broker->loop) + DRAIN_MS;
	timer_start(broker->drain, 0, DRAIN_LOOK_MS);
}

static void on_stop(void *userdata)
{
	struct broker *broker = userdata;
	struct error err;

	security_stop(broker->security);
	service_stop(&broker->service);
	timer_free(TAKE(broker->drain));
	(void)error_set(&err, ERR_UNAVAILABLE, "The broker is stopping");
	fleet_stop(&broker->fleet);
	authorization_stop(&broker->authorization);
	auth_server_list_stop(&broker->auth_servers);
	agent_list_cancel(&broker->agents, &err);
}

static void on_turn(void *userdata)
{
	struct broker *broker = userdata;

	audit_flush(&broker->audit);
}

static void on_reload(void *userdata)
{
	struct broker *broker = userdata;

	service_reloading();
	log_reopen_file();
	audit_reopen(&broker->audit);
	security_reload(broker->security);
	service_reloaded();
}

/* An audit log that cannot be written is told and counted, and nothing stops for it. */
static void start_audit(struct broker *broker)
{
	const struct log_rotation rotation = broker_config_log_rotation(&broker->config);
	struct error err = {0};

	if (audit_open(&broker->audit, broker->config.log_directory, &rotation, &err) < 0)
		log_error("no audit log: %s", err.message);
}

static int start_throttle(struct broker *broker, struct error *err)
{
	broker->throttle = throttle_new((unsigned)broker->config.max_requests_per_s, err);
	return broker->throttle ? 0 : -1;
}

static int start(struct broker *broker, struct error *err)
{
	metrics_init(&broker->metrics);
	start_audit(broker);
	if (prepare_folders(&broker->config, err) < 0 || start_throttle(broker, err) < 0 ||
	    start_security(broker, err) < 0 || start_store(broker, err) < 0 ||
	    start_authorization(broker, err) < 0 || start_fleet(broker, err) < 0 ||
	    start_servers(broker, err) < 0 || start_metrics(broker, err) < 0)
		return -1;
	broker->loop.on_stop = on_stop;
	broker->loop.on_terminate = on_terminate;
	broker->loop.on_reload = on_reload;
	broker->loop.on_turn = on_turn;
	return 0;
}

static void announce(struct broker *broker, int ready_fd)
{
	if (broker->gateway_server)
		log_info("Connection Gateways are answered (at=%s:%lld, certificate=%s)",
			 broker->config.gateway_bind_host, broker->config.gateway_port,
			 broker->config.enable_gateway_client_auth ? "demanded" : "not demanded");
	log_info("broker %s is ready (api=%s:%lld, agents=%s:%lld)", VERSION,
		 broker->config.client_bind_host, broker->config.client_port,
		 broker->config.agent_bind_host, broker->config.agent_port);
	service_start(&broker->service, &broker->loop);
	ready_tell(&ready_fd);
}

/* Also after a start that failed half-way: what was not made is empty. */
static void take_down(struct broker *broker)
{
	security_stop(broker->security);
	if (broker->fleet.loop)
		fleet_stop(&broker->fleet);
	authorization_stop(&broker->authorization);
	auth_server_list_stop(&broker->auth_servers);
	loop_done(&broker->loop);
	if (broker->fleet.loop)
		agent_list_done(&broker->agents);
	metrics_port_done(&broker->metrics_port);
	http_server_free(broker->command_server);
	http_server_free(broker->gateway_server);
	http_server_free(broker->agent_server);
	http_server_free(broker->client_server);
	security_free(broker->security);
	fleet_done(&broker->fleet);
	authorization_done(&broker->authorization);
	auth_server_list_done(&broker->auth_servers);
	key_ring_free(broker->connections.keys);
	key_ring_free(broker->access_keys);
	password_queue_free(broker->passwords);
	join_tokens_done(&broker->join_tokens);
	dns_mappings_done(&broker->mappings);
	statement_list_done(&broker->statements);
	client_list_done(&broker->clients);
	store_free(broker->store);
	throttle_free(broker->throttle);
	audit_close(&broker->audit);
	broker_config_done(&broker->config);
}

int broker_run(const struct broker_config *config, int ready_fd, struct error *err)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	int result;

	if (!broker)
		return error_oom(err);
	/* What is large (hashing a password, an image) goes back to the system when it is freed.
	 * Left to itself the allocator learns to keep it, once for each thread. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	/* Small blocks are merged as they are freed, not all at once whenever a larger one is wanted,
	 * which OpenSSL does several times a request. */
	(void)mallopt(M_MXFAST, 0);
	broker->config = *config;
	audit_init(&broker->audit);
	broker->loop.userdata = broker;
	result = loop_init(&broker->loop, err);
	broker->loop.userdata = broker;
	if (result == 0)
		result = start(broker, err);
	if (result == 0) {
		(void)malloc_trim(0); /* making keys and certificates needed more than we do now */
		announce(broker, ready_fd);
		loop_run(&broker->loop);
	}
	take_down(broker);
	free(broker);
	return result;
}
