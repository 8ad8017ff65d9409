/** What the tests of the link share: an agent, and a broker that the test plays, with the server
 * side of common/ in the same loop and a certificate of its own. */
#ifndef TESTS_UNIT_AGENT_LINK_FIXTURE_H
#define TESTS_UNIT_AGENT_LINK_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "agent/link.h"
#include "common/http-server.h"
#include "common/json.h"
#include "common/key-store.h"
#include "common/link-protocol.h"
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

static inline void make_certificate(const struct folder *f)
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

static inline int free_port(void)
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

static inline void answer(struct http_request *request, int status, const char *body,
			  size_t padding)
{
	struct buf text = {0};
	struct error err;

	assert_int_equal(buf_append_text(&text, body, &err), 0);
	for (size_t i = 0; i < padding; i++)
		(void)buf_append_text(&text, " ", &err);
	http_reply(request, status, "application/json", &text, NULL);
}

static inline void on_request(struct http_request *request, void *userdata)
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

static inline int authorize(const char *authorization, void *userdata)
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

static inline void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct fixture *f = userdata;

	(void)authorization;
	f->ws = ws;
	f->n_links++;
}

static inline void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
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

static inline void on_close(struct ws *ws, const char *why, void *userdata)
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

static inline int engine_create(struct engine *engine, struct session *session, struct error *err)
{
	(void)engine;
	(void)session;
	(void)err;
	return 0;
}

static inline void engine_screenshot(struct engine *engine, struct session *session,
				     const struct screenshot_wish *wish, struct answer *waiting)
{
	(void)engine;
	(void)session;
	(void)wish;
	the_fixture->shot = waiting;
}

static inline void engine_free(struct engine *engine)
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

static inline void on_changed(void *userdata)
{
	link_report_soon(((struct fixture *)userdata)->link);
}

static inline void on_stop(void *userdata)
{
	struct fixture *f = userdata;

	link_stop(f->link);
	agent_done(&f->agent);
}

static inline struct tls_server *show_certificate(const struct folder *folder)
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

static inline void start_broker(struct fixture *f)
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

static inline int set_up(void **state)
{
	static struct fixture f;
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
	agent_begin(&f.agent, &f.folder);
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
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

static inline void say(struct fixture *f, const char *text)
{
	struct error err;

	assert_int_equal(ws_send(f->ws, text, strlen(text), &err), 0);
}

static inline void start_link(struct fixture *f)
{
	struct error err = {0};

	f->link = link_new(&f->agent, f->folder.path, &err);
	if (!f->link)
		fail_msg("%s", err.message);
	link_start(f->link);
}

static inline void connect_link(struct fixture *f)
{
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_reports == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
