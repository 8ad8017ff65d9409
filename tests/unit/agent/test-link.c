/* The link and the registration against a broker that this test plays, with the server side of
 * common/ in the same loop and a certificate of its own. */
#include "agent/link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "agent/registration.h"
#include "common/http-server.h"
#include "common/json.h"
#include "common/key-store.h"
#include "common/link-protocol.h"
#include "common/text.h"
#include "tests/unit/agent/fixture.h"

#define STATEMENT "c3RhdGVtZW50"

static char version[] = "1.2";

struct fixture {
	struct folder folder;
	struct agent_config config;
	struct loop loop;
	struct engine engine;
	struct agent agent;
	struct link *link;
	struct answer *shot; /* a screenshot that waits */
	/* the broker */
	struct tls_server *tls;
	struct http_server *server;
	struct ws *ws;
	int register_status, token_status, upgrade_status; /* 0: all is well */
	int token_refusals, upgrade_refusals;              /* refuse so many times */
	const char *register_body, *token_body;
	size_t oversize;
	unsigned n_registered, n_tokens, n_upgrades, n_links, n_reports, n_replies, n_lost;
	char authorization[256];
	json_t *registration, *report, *reply;
	char why[128];
};

static struct fixture *the_fixture; /* engine operations have no userdata */

/* --- a certificate -----------------------------------------------------------------------------
 */

static void make_certificate(const struct folder *f)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_EXTENSION *names =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
	FILE *file;

	(void)X509_set_version(certificate, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	(void)X509_set_pubkey(certificate, key);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					 (const unsigned char *)"localhost", -1, -1, 0);
	(void)X509_set_issuer_name(certificate, name);
	(void)X509_add_ext(certificate, names, -1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	file = fopen(in_folder(f, "cert.pem"), "w");
	assert_true(PEM_write_X509(file, certificate));
	(void)fclose(file);
	file = fopen(in_folder(f, "key.pem"), "w");
	assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	(void)fclose(file);
	X509_EXTENSION_free(names);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	AUTO(close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

/* --- the broker --------------------------------------------------------------------------------
 */

static void answer(struct http_request *request, int status, const char *body, size_t padding)
{
	struct buf text = {0};
	struct error err;

	assert_int_equal(buf_append_text(&text, body, &err), 0);
	for (size_t i = 0; i < padding; i++)
		(void)buf_append_text(&text, " ", &err);
	http_reply(request, status, "application/json", &text, NULL);
}

static void on_request(struct http_request *request, void *userdata)
{
	struct fixture *f = userdata;
	struct error err;

	(void)snprintf(f->authorization, sizeof(f->authorization), "%s", request->authorization);
	if (strcmp(request->path, LINK_REGISTER_PATH) == 0) {
		f->n_registered++;
		json_decref(f->registration);
		f->registration = NULL;
		assert_int_equal(
			json_parse(request->body.data, request->body.len, &f->registration, &err),
			0);
		answer(request, f->register_status ? f->register_status : 201, f->register_body,
		       f->oversize);
	} else if (strcmp(request->path, LINK_TOKEN_PATH) == 0) {
		f->n_tokens++;
		if (f->token_refusals > 0) {
			f->token_refusals--;
			answer(request, 401, "{\"error\":\"invalid_client\"}", 0);
			return;
		}
		answer(request, f->token_status ? f->token_status : 200, f->token_body, 0);
	} else {
		fail_msg("unexpected path %s", request->path);
	}
}

static int authorize(const char *authorization, void *userdata)
{
	struct fixture *f = userdata;

	(void)snprintf(f->authorization, sizeof(f->authorization), "%s", authorization);
	f->n_upgrades++;
	if (f->upgrade_refusals > 0) {
		f->upgrade_refusals--;
		return f->upgrade_status;
	}
	return 0;
}

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct fixture *f = userdata;

	(void)authorization;
	f->ws = ws;
	f->n_links++;
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct fixture *f = userdata;
	json_t *json = NULL;
	struct error err;

	(void)ws;
	assert_int_equal(json_parse(text, len, &json, &err), 0);
	if (json_get_text(json, "event")) {
		json_decref(f->report);
		f->report = json;
		f->n_reports++;
	} else {
		json_decref(f->reply);
		f->reply = json;
		f->n_replies++;
	}
}

static void on_close(struct ws *ws, const char *why, void *userdata)
{
	struct fixture *f = userdata;

	(void)ws;
	f->ws = NULL;
	f->n_lost++;
	(void)snprintf(f->why, sizeof(f->why), "%s", why);
}

static const struct ws_handler handler = {
	.protocol = LINK_PROTOCOL,
	.message_max_bytes = LINK_MESSAGE_MAX_BYTES,
	.queue_max_bytes = 2 * LINK_MESSAGE_MAX_BYTES,
	.authorize = authorize,
	.open = on_open,
	.message = on_message,
	.close = on_close,
};

/* --- the agent ---------------------------------------------------------------------------------
 */

static int engine_create(struct engine *engine, struct session *session, struct error *err)
{
	(void)engine;
	(void)session;
	(void)err;
	return 0;
}

static void engine_screenshot(struct engine *engine, struct session *session,
			      const struct screenshot_wish *wish, struct answer *waiting)
{
	(void)engine;
	(void)session;
	(void)wish;
	the_fixture->shot = waiting;
}

static void engine_free(struct engine *engine)
{
	struct error err;

	(void)engine;
	(void)error_set(&err, ERR_NOT_FOUND, "gone");
	if (the_fixture->shot)
		answer_fail(TAKE(the_fixture->shot), &err);
}

static const struct engine_ops ops = {.name = "fake",
				      .check = engine_is_well,
				      .create = engine_create,
				      .screenshot = engine_screenshot,
				      .free = engine_free};

static void on_changed(void *userdata)
{
	link_report_soon(((struct fixture *)userdata)->link);
}

static void on_stop(void *userdata)
{
	struct fixture *f = userdata;

	link_stop(f->link);
	agent_done(&f->agent);
}

static struct tls_server *show_certificate(const struct folder *folder)
{
	struct tls_identity identity = {0};
	struct tls_server *tls;
	struct error err;
	char files[256];

	(void)snprintf(files, sizeof(files), "%s/cert.pem,%s/key.pem", folder->path, folder->path);
	assert_int_equal(key_store_load(files, NULL, &identity, &err), 0);
	tls = tls_server_new(&err);
	assert_non_null(tls);
	assert_int_equal(tls_server_set(tls, &identity, NULL, &err), 0);
	tls_identity_done(&identity);
	return tls;
}

static void start_broker(struct fixture *f)
{
	const struct http_server_options options = {
		.bind_host = "127.0.0.1",
		.port = (int)f->config.broker_port,
		.tls = f->tls = show_certificate(&f->folder),
		.body_max_bytes = 65536,
		.request = on_request,
		.ws = &handler,
		.userdata = f,
	};
	struct error err = {0};

	f->server = http_server_new(&f->loop, &options, &err);
	if (!f->server)
		fail_msg("%s", err.message);
}

static int set_up(void **state)
{
	static struct fixture f;
	const struct session_list_handler list_handler = {.changed = on_changed, .userdata = &f};
	struct error err;

	f = (struct fixture){
		.engine = {.ops = &ops, .status.version = version},
		.register_body = "{\"client_id\":\"c1\",\"client_secret\":\"s1\"}",
		.token_body = "{\"access_token\":\"t1\",\"token_type\":\"Bearer\"}",
	};
	the_fixture = &f;
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	make_certificate(&f.folder);
	config_make(&f.config, &f.folder);
	f.config.broker_host = strdup("127.0.0.1");
	f.config.broker_port = free_port();
	f.config.ca_file = strdup(in_folder(&f.folder, "cert.pem"));
	free(f.config.software_statement_path);
	f.config.software_statement_path = strdup(put(&f.folder, "statement", STATEMENT "\n"));
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.loop.on_stop = on_stop;
	f.loop.userdata = &f;
	f.agent = (struct agent){.loop = &f.loop,
				 .config = &f.config,
				 .engine = &f.engine,
				 .is_ready = true,
				 .on_change = on_changed,
				 .userdata = &f};
	metrics_init(&f.agent.metrics);
	assert_int_equal(session_list_init(&f.agent.sessions, &f.loop, &f.config, f.folder.path,
					   &list_handler, &err),
			 0);
	assert_int_equal(server_init(&f.agent.server, &f.config, &f.agent.sessions, &f.engine,
				     f.folder.path, &err),
			 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_done(&f->loop);
	link_free(f->link);
	http_server_free(f->server);
	tls_server_free(f->tls);
	json_decref(f->registration);
	json_decref(f->report);
	json_decref(f->reply);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static void say(struct fixture *f, const char *text)
{
	struct error err;

	assert_int_equal(ws_send(f->ws, text, strlen(text), &err), 0);
}

static void start_link(struct fixture *f)
{
	struct error err = {0};

	f->link = link_new(&f->agent, f->folder.path, &err);
	if (!f->link)
		fail_msg("%s", err.message);
	link_start(f->link);
}

static void connect_link(struct fixture *f)
{
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_reports == 1);
}

/* The reply to an operation. */
static const json_t *ask(struct fixture *f, const char *text)
{
	unsigned before = f->n_replies;

	say(f, text);
	run_until(&f->loop, f->n_replies > before);
	return f->reply;
}

/* --- registration ------------------------------------------------------------------------------
 */

static void an_agent_registers_gets_a_token_links_and_reports(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	assert_string_equal(json_get_text(f->registration, "software_statement"), STATEMENT);
	assert_string_equal(json_get_text(f->registration, "client_name"),
			    f->agent.server.hostname);
	assert_string_equal(json_get_text(f->registration, "token_endpoint_auth_method"),
			    "client_secret_basic");
	assert_string_equal(f->authorization, "Bearer t1");
	assert_int_equal(f->n_registered, 1);
	assert_int_equal(f->n_tokens, 1);
	assert_string_equal(json_get_text(f->report, "event"), "report");
	/* an hour, less what this has taken */
	assert_in_range(f->agent.broker_certificate_end_s, time_now_ms() / 1000 + 3000,
			time_now_ms() / 1000 + 3600);
}

static void credentials_are_kept_for_us_alone_and_used_again(void **state)
{
	struct fixture *f = *state;
	long long port = f->config.broker_port;
	AUTO(buf_done) struct buf kept = {0};
	struct stat status;
	struct error err;

	connect_link(f);
	assert_int_equal(stat(in_folder(&f->folder, "credentials.json"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(file_read(in_folder(&f->folder, "credentials.json"), 4096, &kept, &err),
			 0);
	/* the next agent of this host */
	assert_int_equal(tear_down(state), 0);
	assert_int_equal(set_up(state), 0);
	f->config.broker_port = port;
	(void)put(&f->folder, "credentials.json", kept.data);
	connect_link(f);
	assert_int_equal(f->n_registered, 0);
	assert_int_equal(f->n_tokens, 1);
}

static void credentials_are_for_one_broker_only(void **state)
{
	static const char *const kept[] = {
		"{\"broker_host\":\"other\",\"broker_port\":8445,\"client_id\":\"c\","
		"\"client_secret\":\"s\"}",
		"{\"broker_host\":\"127.0.0.1\",\"broker_port\":1,\"client_id\":\"c\","
		"\"client_secret\":\"s\"}",
		"{\"client_id\":\"c\",\"client_secret\":\"s\"}",
		"{",
		"[]",
		"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct fixture *f = *state;

		(void)put(&f->folder, "credentials.json", kept[i]);
		connect_link(f);
		assert_int_equal(f->n_registered, 1);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void without_a_statement_there_is_no_link(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(in_folder(&f->folder, "statement")), 0);
	start_broker(f);
	start_link(f);
	run_now(&f->loop);
	assert_int_equal(f->n_registered, 0);
	(void)put(&f->folder, "statement", STATEMENT);
	/* it is looked for again, after a while */
	run_until(&f->loop, f->n_links == 1);
}

static void a_refused_statement_is_tried_again_later(void **state)
{
	struct fixture *f = *state;
	const char *good = f->register_body;

	f->register_status = 400;
	f->register_body = "{\"error\":\"unapproved_software_statement\"}";
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_registered == 1);
	run_now(&f->loop);
	assert_int_equal(f->n_tokens, 0);
	assert_false(is_there(&f->folder, "credentials.json"));
	f->register_status = 0;
	f->register_body = good;
	run_until(&f->loop, f->n_links == 1);
	assert_int_equal(f->n_registered, 2);
}

static void an_answer_without_credentials_is_none(void **state)
{
	static const char *const bad[] = {"",
					  "{}",
					  "[]",
					  "nonsense",
					  "{\"client_id\":\"c\"}",
					  "{\"client_id\":7,\"client_secret\":\"s\"}"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f = *state;

		f->register_body = bad[i];
		start_broker(f);
		start_link(f);
		run_until(&f->loop, f->n_registered == 1);
		run_now(&f->loop);
		assert_int_equal(f->n_tokens, 0);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void an_answer_without_token_is_none(void **state)
{
	struct fixture *f = *state;

	f->token_body = "{\"access_token\":7}";
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_tokens == 1);
	run_now(&f->loop);
	f->token_body = "{\"access_token\":\"t2\"}";
	run_until(&f->loop, f->n_links == 1);
	assert_string_equal(f->authorization, "Bearer t2");
	assert_int_equal(f->n_registered, 1);
}

static void an_answer_that_is_too_large_is_a_failure(void **state)
{
	struct fixture *f = *state;

	f->oversize = 2UL * 1024 * 1024;
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_registered == 2); /* tried again, after a while */
	assert_int_equal(f->n_tokens, 0);
	f->oversize = 0;
	run_until(&f->loop, f->n_links == 1);
}

static void a_refused_link_means_a_new_token_then_a_new_registration(void **state)
{
	struct fixture *f = *state;

	f->upgrade_status = 401;
	f->upgrade_refusals = 1;
	connect_link(f);
	assert_int_equal(f->n_tokens, 2);
	assert_int_equal(f->n_registered, 1);
	/* the broker has forgotten us */
	f->upgrade_refusals = 2;
	ws_close(f->ws, LWS_CLOSE_STATUS_NORMAL, "bye");
	run_until(&f->loop, f->n_links == 2);
	assert_int_equal(f->n_registered, 2);
}

static void a_broker_of_another_release_is_named_as_such(void **state)
{
	struct fixture *f = *state;

	f->upgrade_status = WS_STATUS_OTHER_PROTOCOL;
	f->upgrade_refusals = 1;
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->agent.link_trouble.code != ERR_NONE);
	assert_non_null(strstr(f->agent.link_trouble.message, "does not speak " LINK_PROTOCOL));
	/* it may be upgraded meanwhile; what it was shown before is good enough then */
	run_until(&f->loop, f->n_links == 1);
	assert_int_equal(f->n_registered, 1);
}

static void refused_credentials_mean_a_new_registration(void **state)
{
	struct fixture *f = *state;

	f->token_refusals = 2;
	connect_link(f);
	assert_int_equal(f->n_registered, 2);
	assert_int_equal(f->n_tokens, 3);
}

/* --- the link ----------------------------------------------------------------------------------
 */

static void a_report_is_the_whole_truth(void **state)
{
	struct fixture *f = *state;
	const json_t *body;
	json_t *session;

	connect_link(f);
	json_decref(json_incref((json_t *)(size_t)ask(
		f, "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		   "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}")));
	run_until(&f->loop, f->n_reports == 2); /* a change is told at once */
	body = json_object_get(f->report, "body");
	assert_int_equal(json_integer_value(json_object_get(body, "Sequence")), 2);
	assert_int_equal(strlen(json_get_text(body, "BootId")), 36);
	assert_string_equal(json_get_text(json_object_get(body, "Server"), "Id"),
			    f->agent.server.id);
	/* only for the host's own people */
	assert_null(json_object_get(json_object_get(body, "Server"), "Local"));
	session = json_array_get(json_object_get(body, "Sessions"), 0);
	assert_string_equal(json_get_text(session, "Id"), "s1");
	assert_null(json_object_get(session, "Server"));
	assert_null(json_object_get(session, "FailureCode"));
	assert_int_equal(json_integer_value(json_object_get(body, "LeakedProcesses")), 0);
}

static void a_report_counts_the_processes_that_do_not_end(void **state)
{
	struct fixture *f = *state;
	struct session *session;
	struct error err;

	connect_link(f);
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	run_until(&f->loop, f->n_reports == 2);
	session = session_list_find(&f->agent.sessions, "s1");
	session->n_leaked = 3;
	for (unsigned i = 0; i < 2; i++) {
		const json_t *body;

		assert_int_equal(
			session_list_apply(&f->agent.sessions, session,
					   i == 0 ? SESSION_EVENT_END : SESSION_EVENT_ENDED, NULL,
					   &err),
			0);
		run_until(&f->loop, f->n_reports == 3 + i);
		body = json_object_get(f->report, "body");
		assert_int_equal(json_integer_value(json_object_get(body, "LeakedProcesses")),
				 i == 0 ? 3 : 0);
	}
}

static void a_report_tells_whose_fault_it_was_and_an_answer_does_not(void **state)
{
	struct fixture *f = *state;
	const json_t *reply, *sessions;
	struct session *session;
	struct error err;

	connect_link(f);
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	run_until(&f->loop, f->n_reports == 2);
	session = session_list_find(&f->agent.sessions, "s1");
	session_set_failure(session, ERR_NOT_FOUND);
	assert_int_equal(session_list_apply(&f->agent.sessions, session, SESSION_EVENT_ENDED,
					    "user not found: alice", &err),
			 0);
	run_until(&f->loop, f->n_reports == 3);
	sessions = json_object_get(json_object_get(f->report, "body"), "Sessions");
	assert_string_equal(json_get_text(json_array_get(sessions, 0), "FailureCode"), "NOT_FOUND");
	reply = ask(f, "{\"id\":2,\"operation\":\"DescribeSessions\",\"body\":{}}");
	sessions = json_object_get(json_object_get(reply, "body"), "Sessions");
	assert_string_equal(json_get_text(json_array_get(sessions, 0), "StateReason"),
			    "user not found: alice");
	assert_null(json_object_get(json_array_get(sessions, 0), "FailureCode"));
}

static void an_operation_is_answered_under_its_id(void **state)
{
	struct fixture *f = *state;
	const json_t *reply;

	connect_link(f);
	reply = ask(f, "{\"id\":9007199254740993,\"operation\":\"DescribeServers\",\"body\":{}}");
	assert_true(json_integer_value(json_object_get(reply, "id")) == 9007199254740993LL);
	assert_int_equal(json_integer_value(json_object_get(reply, "status")), 200);
	reply = ask(f, "{\"id\":2,\"operation\":\"DeleteSessions\",\"body\":"
		       "{\"SessionId\":\"x\",\"Owner\":\"y\"}}");
	assert_int_equal(json_integer_value(json_object_get(reply, "status")), 404);
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "error"),
			    "The requested dcvSession does not exist");
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "code"), "NOT_FOUND");
}

static void nonsense_is_answered_or_passed_over(void **state)
{
	static const char *const passed_over[] = {
		"{}",
		"[]",
		"7",
		"{\"event\":\"dance\"}",
		"{\"event\":\"hello\"}",
		"{\"event\":\"hello\",\"body\":{\"MessageMaxBytes\":-1}}",
		"{\"event\":\"reportReceived\"}",
		"{\"event\":7,\"operation\":null}",
	};
	static const struct {
		const char *text, *code;
	} answered[] = {
		{"{\"id\":1,\"operation\":\"Dance\"}", "UNSUPPORTED"},
		{"{\"id\":1,\"operation\":\"DescribeServers\"}", "INVALID"},
		{"{\"id\":1,\"operation\":\"CreateSessions\",\"body\":[],\"context\":7}",
		 "INVALID"},
		{"{\"operation\":\"CreateSessions\",\"body\":{\"Name\":7}}", "INVALID"},
		{"{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"..\"},"
		 "\"body\":{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\"}}",
		 "INVALID"},
		{"{\"id\":1,\"operation\":\"GetSessionScreenshots\",\"context\":{\"Deadline\":-1,"
		 "\"Format\":7},\"body\":{\"SessionId\":\"x\"}}",
		 "NOT_FOUND"},
	};
	struct fixture *f = *state;

	connect_link(f);
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++)
		say(f, passed_over[i]);
	for (size_t i = 0; i < ARRAY_SIZE(answered); i++)
		assert_string_equal(
			json_get_text(json_object_get(ask(f, answered[i].text), "body"), "code"),
			answered[i].code);
	assert_int_equal(f->n_lost, 0);
}

static void what_is_no_json_ends_the_link_and_it_is_made_again(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	say(f, "nonsense");
	run_until(&f->loop, f->n_lost == 1);
	assert_non_null(strstr(f->why, "not JSON"));
	run_until(&f->loop, f->n_links == 2);
	run_until(&f->loop, f->n_reports == 2);
}

static void the_broker_tells_by_how_much_the_clock_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct agent *agent = &f->agent;
	struct log_catch caught;
	char hello[96];

	connect_link(f);
	assert_false(agent->has_clock_skew);
	log_catch_begin(&caught, &f->folder);
	(void)snprintf(hello, sizeof(hello), "{\"event\":\"hello\",\"body\":{\"Time\":%lld}}",
		       time_now_ms() - 3600000);
	say(f, hello);
	run_until(&f->loop, agent->has_clock_skew);
	assert_in_range(agent->clock_skew_ms, 3600000, 3600000 + PATIENCE_MS);
	assert_int_equal(log_catch_count(&caught, "the clock of this host is 3600 s off"), 1);
	say(f, "{\"event\":\"hello\",\"body\":{\"Time\":9223372036854775807}}");
	run_until(&f->loop, agent->clock_skew_ms < 0);
	say(f, "{\"event\":\"hello\",\"body\":{\"Time\":-1}}");
	run_until(&f->loop, !agent->has_clock_skew);
	log_catch_end(&caught);
}

static void an_answer_larger_than_the_broker_takes_fails_alone(void **state)
{
	struct fixture *f = *state;
	const json_t *reply;

	connect_link(f);
	say(f, "{\"event\":\"hello\",\"body\":{\"MessageMaxBytes\":200}}");
	reply = ask(f, "{\"id\":1,\"operation\":\"DescribeServers\",\"body\":{}}");
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "code"), "TOO_LARGE");
	assert_int_equal(f->n_lost, 0);
}

static void ask_screenshot(struct fixture *f)
{
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	session_list_find(&f->agent.sessions, "s1")->state = SESSION_READY;
	say(f,
	    "{\"id\":2,\"operation\":\"GetSessionScreenshots\",\"body\":{\"SessionId\":\"s1\"}}");
	run_until(&f->loop, f->shot);
}

static void an_answer_that_comes_late_is_sent_when_it_comes(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	connect_link(f);
	ask_screenshot(f);
	before = f->n_replies;
	run_now(&f->loop);
	assert_int_equal(f->n_replies, before);
	answer_succeed_json(TAKE(f->shot), json_pack("{s:s}", "x", "y"));
	run_until(&f->loop, f->n_replies > before);
	assert_string_equal(json_get_text(json_object_get(f->reply, "body"), "x"), "y");
}

static void an_answer_to_a_link_that_was_lost_goes_nowhere(void **state)
{
	struct fixture *f = *state;
	unsigned before, n_reports;

	connect_link(f);
	ask_screenshot(f);
	before = f->n_replies;
	n_reports = f->n_reports;
	ws_close(f->ws, LWS_CLOSE_STATUS_NORMAL, "bye");
	run_until(&f->loop, f->n_links == 2 && f->n_reports > n_reports);
	n_reports = f->n_reports;
	/* the next link has ids of its own: a reply of before would be taken for another's */
	answer_succeed_json(TAKE(f->shot), json_pack("{s:s}", "x", "y"));
	link_report_soon(f->link);
	run_until(&f->loop, f->n_reports > n_reports);
	assert_int_equal(f->n_replies, before);
}

static void the_loop_may_stop_with_a_request_open(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	ask_screenshot(f);
	loop_stop(&f->loop);
	assert_null(f->shot);
}

static void the_loop_may_stop_at_any_step(void **state)
{
	for (int turns = 0; turns < 60; turns++) {
		struct fixture *f = *state;

		start_broker(f);
		start_link(f);
		for (int i = 0; i < turns && f->n_reports == 0; i++)
			(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
		loop_stop(&f->loop);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void a_broker_that_is_not_there_is_tried_less_and_less_often(void **state)
{
	struct fixture *f = *state;
	unsigned long long began = loop_now_ms(&f->loop);

	start_link(f);
	/* after about 1 s and 2 s more it is there */
	while (loop_now_ms(&f->loop) - began < 1500)
		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
	start_broker(f);
	run_until(&f->loop, f->n_links == 1);
	assert_in_range(loop_now_ms(&f->loop) - began, 2400, 4500);
	assert_int_equal(f->n_registered, 1);
}

static void a_certificate_of_somebody_else_is_refused(void **state)
{
	struct fixture *f = *state;

	/* the authority is kept, and the broker shows another certificate */
	(void)rename(in_folder(&f->folder, "cert.pem"), in_folder(&f->folder, "ca.pem"));
	free(f->config.ca_file);
	f->config.ca_file = strdup(in_folder(&f->folder, "ca.pem"));
	make_certificate(&f->folder);
	start_broker(f);
	start_link(f);
	for (unsigned long long began = loop_now_ms(&f->loop);
	     loop_now_ms(&f->loop) - began < 1500;)
		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
	assert_int_equal(f->n_registered, 0);
}

static void an_authority_that_is_not_there_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct error err;

	free(f->config.ca_file);
	f->config.ca_file = strdup("/no/such/file.pem");
	assert_null(link_new(&f->agent, f->folder.path, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "/no/such/file.pem"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_agent_registers_gets_a_token_links_and_reports),
		TEST(credentials_are_kept_for_us_alone_and_used_again),
		TEST(credentials_are_for_one_broker_only),
		TEST(without_a_statement_there_is_no_link),
		TEST(a_refused_statement_is_tried_again_later),
		TEST(an_answer_without_credentials_is_none),
		TEST(an_answer_without_token_is_none),
		TEST(an_answer_that_is_too_large_is_a_failure),
		TEST(a_refused_link_means_a_new_token_then_a_new_registration),
		TEST(refused_credentials_mean_a_new_registration),
		TEST(a_broker_of_another_release_is_named_as_such),
		TEST(a_report_is_the_whole_truth),
		TEST(a_report_counts_the_processes_that_do_not_end),
		TEST(a_report_tells_whose_fault_it_was_and_an_answer_does_not),
		TEST(an_operation_is_answered_under_its_id),
		TEST(nonsense_is_answered_or_passed_over),
		TEST(what_is_no_json_ends_the_link_and_it_is_made_again),
		TEST(the_broker_tells_by_how_much_the_clock_is_wrong),
		TEST(an_answer_larger_than_the_broker_takes_fails_alone),
		TEST(an_answer_that_comes_late_is_sent_when_it_comes),
		TEST(an_answer_to_a_link_that_was_lost_goes_nowhere),
		TEST(the_loop_may_stop_with_a_request_open),
		TEST(the_loop_may_stop_at_any_step),
		TEST(a_broker_that_is_not_there_is_tried_less_and_less_often),
		TEST(a_certificate_of_somebody_else_is_refused),
		TEST(an_authority_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
