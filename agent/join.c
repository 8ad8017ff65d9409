/* What the broker gives is kept in memory files until the end, which the parts that are to use it open
 * as /proc/self/fd/N: so the link is checked with just what will be written. */
#include "agent/join.h"

#include <grp.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/conf-edit.h"
#include "agent/config.h"
#include "agent/join-address.h"
#include "agent/join-files.h"
#include "agent/paths.h"
#include "agent/registration.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/http-client.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/log.h"

#define CA_FILE_NAME "dcvsmbroker_ca.pem"
#define CREDENTIALS "credentials.json"
#define FILE_MAX_BYTES 65536
#define MESSAGE_MAX_BYTES 65536

/* OpenSSL would ask for one at the terminal. */
static char no_pass_phrase[] = "";

/* Bytes that also have a name. */
struct memory_file {
	struct buf bytes;
	int fd;
	char path[32];
};

enum client_stage { FETCHING, JOINING, LINKING, N_STAGES };

struct join {
	const struct join_options *options;
	struct join_address address;
	char *conf, *ca_path;       /* absolute */
	char state_folder[64];      /* a temporary one, for the credentials */
	struct buf conf_text;       /* as it is to be */
	struct agent_config config; /* and what it says */
	char *statement_path;
	struct memory_file pinned, authority, statement;
	struct loop loop;
	struct timer *end; /* the loop is not to be stopped from within what runs on it */
	struct http_client *clients[N_STAGES];
	struct registration *registration;
	bool is_done; /* or failed, or interrupted */
	bool is_interrupted;
	struct error err;
};

/* --- memory files ------------------------------------------------------------------------------
 */

/* Takes @bytes. */
static int memory_file_make(struct memory_file *file, struct buf *bytes, struct error *err)
{
	file->bytes = *bytes;
	*bytes = (struct buf){0};
	file->fd = memfd_create("join", MFD_CLOEXEC);
	if (file->fd < 0 ||
	    write(file->fd, file->bytes.data, file->bytes.len) != (ssize_t)file->bytes.len)
		return error_errno(err, "memory file");
	(void)snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	return 0;
}

static void memory_file_done(struct memory_file *file)
{
	close_p(&file->fd);
	buf_done(&file->bytes);
}

/* --- the end -----------------------------------------------------------------------------------
 */

/* @err NULL: all is well. Later calls count for nothing. */
static void finish(struct join *j, const struct error *err)
{
	if (j->is_done)
		return;
	j->is_done = true;
	if (err)
		j->err = *err;
	timer_start(j->end, 0, 0);
}

static void on_end(void *userdata)
{
	struct join *j = userdata;

	loop_stop(&j->loop);
}

static void on_stop(void *userdata)
{
	struct join *j = userdata;

	j->is_interrupted = !j->is_done;
	j->is_done = true;
	timer_free(TAKE(j->end));
}

static void fail(struct join *j, struct error *err, const char *where)
{
	(void)error_prefix(err, "%s", where);
	finish(j, err);
}

/* What an answer that is none of success says, to a terminal; anybody may have given it. */
static int refusal(int status, const char *body, size_t len, const struct error *failure,
		   struct error *err)
{
	json_auto_t *object = NULL;
	const char *said = NULL;
	char shown[256] = "";
	struct error ignored;

	if (status == 0) {
		*err = *failure;
		return -1;
	}
	if (json_parse(body, len, &object, &ignored) == 0)
		said = json_get_text(object, "error");
	if (said)
		(void)log_escape(shown, sizeof(shown), said);
	return error_set(err, ERR_DENIED, "the broker answered %d%s%s%s", status, said ? ": " : "",
			 shown, status == 404 ? " (is it a broker's port for agents?)" : "");
}

static struct http_client *client_new(struct join *j, enum client_stage stage, const char *ca_file,
				      const struct ws_handler *ws, struct error *err)
{
	const struct http_client_options options = {
		.ca_file = ca_file, .is_strict = ca_file != NULL, .ws = ws};

	j->clients[stage] = http_client_new(&j->loop, &options, err);
	return j->clients[stage];
}

/* --- the link ----------------------------------------------------------------------------------
 */

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	(void)authorization;
	(void)userdata;
	finish(ws_user(ws), NULL);
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	(void)ws;
	(void)text;
	(void)len;
	(void)userdata;
}

static const struct ws_handler handler = {
	.protocol = LINK_PROTOCOL,
	.message_max_bytes = MESSAGE_MAX_BYTES,
	.queue_max_bytes = MESSAGE_MAX_BYTES,
	.open = on_open,
	.message = on_message,
};

static void on_link_failed(int status, const struct error *failure, void *userdata)
{
	struct error err = *failure;

	(void)status;
	fail(userdata, &err, "link");
}

static void on_token(const char *token, const struct error *failure, void *userdata)
{
	struct join *j = userdata;
	AUTO(buf_done) struct buf authorization = {0};
	struct http_client_request request = {
		.host = j->address.host, .port = j->address.port, .path = LINK_PATH};
	struct error err = {0};

	if (!token) {
		err = *failure;
		finish(j, &err);
		return;
	}
	if (buf_printf(&authorization, &err, "Bearer %s", token) == 0) {
		request.authorization = authorization.data;
		if (http_client_connect(j->clients[LINKING], &request, on_link_failed, j, &err) ==
		    0)
			return;
	}
	fail(j, &err, "link");
}

static int check_link(struct join *j, struct error *err)
{
	char host[256] = "";

	/* The agent is to use what is at hand here, wherever it will find it later. */
	free(j->config.software_statement_path);
	j->config.software_statement_path = strdup(j->statement.path);
	if (!j->config.software_statement_path)
		return error_oom(err);
	(void)gethostname(host, sizeof(host) - 1);
	if (!client_new(j, LINKING, j->authority.path, &handler, err))
		return -1;
	j->registration =
		registration_new(&j->config, j->clients[LINKING], j->state_folder, host, err);
	if (!j->registration)
		return -1;
	registration_get_token(j->registration, on_token, j);
	return 0;
}

/* --- the exchange ------------------------------------------------------------------------------
 */

/* The certificate in @pem that the token names, alone. ERR_DENIED: there is none. */
static int find_pinned(const struct join *j, const char *pem, size_t len, struct buf *ret,
		       struct error *err)
{
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	BIO *out = BIO_new(BIO_s_mem());
	int result = 1;

	for (X509 *certificate;
	     in && out && result > 0 &&
	     (certificate = PEM_read_bio_X509(in, NULL, NULL, no_pass_phrase));) {
		unsigned char digest[32];
		char *bytes = NULL;

		if (X509_digest(certificate, EVP_sha256(), digest, NULL) == 1 &&
		    CRYPTO_memcmp(digest, j->address.fingerprint, sizeof(digest)) == 0 &&
		    PEM_write_bio_X509(out, certificate) == 1) {
			long n = BIO_get_mem_data(out, &bytes);

			result = buf_append(ret, bytes, (size_t)n, err);
		}
		X509_free(certificate);
	}
	ERR_clear_error();
	(void)BIO_free(in);
	(void)BIO_free(out);
	if (result <= 0)
		return result;
	return error_set(
		err, ERR_DENIED,
		"its authority is not the one that the token is for: the address or the token "
		"is of another broker, or somebody is in between. Nothing was sent to it");
}

static int take_gifts(struct join *j, const char *body, size_t len, struct error *err)
{
	AUTO(buf_done) struct buf pinned = {0}, authority = {0}, statement = {0};
	json_auto_t *object = NULL;
	const char *pem, *text;

	if (json_parse(body, len, &object, err) < 0)
		return -1;
	pem = json_get_text(object, "authority");
	text = json_get_text(object, "software_statement");
	if (!pem || !text || !*text)
		return error_set(err, ERR_INVALID, "the answer has no authority or no statement");
	if (find_pinned(j, pem, strlen(pem), &pinned, err) < 0 ||
	    buf_append_text(&authority, pem, err) < 0 ||
	    buf_printf(&statement, err, "%s\n", text) < 0 ||
	    memory_file_make(&j->authority, &authority, err) < 0)
		return -1;
	return memory_file_make(&j->statement, &statement, err);
}

static void on_joined(int status, const char *body, size_t len, const struct error *failure,
		      void *userdata)
{
	struct join *j = userdata;
	struct error err = {0};

	if (status != 200)
		(void)refusal(status, body, len, failure, &err);
	else if (take_gifts(j, body, len, &err) == 0 && check_link(j, &err) == 0)
		return;
	fail(j, &err, "join");
}

static int send_secret(struct join *j, struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	struct http_client_request request = {
		.host = j->address.host,
		.port = j->address.port,
		.path = LINK_JOIN_PATH,
		.content_type = "application/json",
	};

	if (!client_new(j, JOINING, j->pinned.path, NULL, err) ||
	    buf_printf(&body, err, "{\"secret\":\"%s\"}", j->address.secret) < 0)
		return -1;
	request.body = body.data;
	return http_client_post(j->clients[JOINING], &request, on_joined, j, err);
}

static void on_authority(int status, const char *body, size_t len, const struct error *failure,
			 void *userdata)
{
	struct join *j = userdata;
	AUTO(buf_done) struct buf pinned = {0};
	struct error err = {0};

	if (status != 200)
		(void)refusal(status, body, len, failure, &err);
	else if (find_pinned(j, body, len, &pinned, &err) == 0 &&
		 memory_file_make(&j->pinned, &pinned, &err) == 0 && send_secret(j, &err) == 0)
		return;
	fail(j, &err, "fetch the authority");
}

static int ask_broker(struct join *j, struct error *err)
{
	const struct http_client_request request = {
		.host = j->address.host, .port = j->address.port, .path = LINK_AUTHORITY_PATH};

	if (loop_init(&j->loop, err) < 0)
		return -1;
	j->end = timer_new(&j->loop, on_end, j);
	if (!j->end)
		return error_oom(err);
	j->loop.on_stop = on_stop;
	j->loop.userdata = j;
	if (!client_new(j, FETCHING, NULL, NULL, err) ||
	    http_client_get(j->clients[FETCHING], &request, on_authority, j, err) < 0)
		return -1;
	loop_run(&j->loop);
	if (j->is_interrupted)
		return error_set(err, ERR_SYSTEM, "interrupted");
	if (j->err.code == ERR_NONE)
		return 0;
	*err = j->err;
	return -1;
}

/* --- files -------------------------------------------------------------------------------------
 */

static int find_places(struct join *j, struct error *err)
{
	AUTO(free_p) char *conf = strdup(j->options->conf);
	AUTO(free_p) char *again = strdup(j->options->conf);
	AUTO(free_p) char *folder = conf ? realpath(dirname(conf), NULL) : NULL;

	if (!conf || !again)
		return error_oom(err);
	if (!folder)
		return error_errno(err, "%s", dirname(conf));
	if (strchr(folder, '\''))
		return error_set(err, ERR_CONFIG, "%s: its name has a quotation mark", folder);
	if (asprintf(&j->conf, "%s/%s", folder, basename(again)) < 0)
		j->conf = NULL;
	if (asprintf(&j->ca_path, "%s/%s", folder, CA_FILE_NAME) < 0)
		j->ca_path = NULL;
	return j->conf && j->ca_path ? 0 : error_oom(err);
}

/* Is the file that is there good? It is read as it is, so that lines are where the administrator sees
 * them. */
static int check_conf(const char *path, struct error *err)
{
	struct agent_config config = {0};
	struct stat st;
	int result = 0;

	if (stat(path, &st) == 0 && st.st_size > 0)
		result = agent_config_load(&config, path, err);
	agent_config_done(&config);
	return result;
}

/* Before anything is asked: a token is good once only. */
static int prepare_conf(struct join *j, struct error *err)
{
	struct conf_wish wish = {j->address.host, j->address.port, NULL};
	AUTO(memory_file_done) struct memory_file file = {.fd = -1};
	AUTO(buf_done) struct buf copy = {0};

	if (find_places(j, err) < 0 || check_conf(j->conf, err) < 0)
		return -1;
	wish.ca_file = j->ca_path;
	if (conf_edit(j->conf, &wish, &j->conf_text, err) < 0 ||
	    buf_append(&copy, j->conf_text.data, j->conf_text.len, err) < 0 ||
	    memory_file_make(&file, &copy, err) < 0 ||
	    agent_config_load(&j->config, file.path, err) < 0)
		return -1;
	j->statement_path = strdup(j->config.software_statement_path);
	return j->statement_path ? 0 : error_oom(err);
}

static int prepare_state(struct join *j, struct error *err)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(AGENT_USER) : NULL;
	const char *folder = j->options->state_folder;

	if (access(folder, F_OK) < 0) {
		if (file_make_folder(folder, 0700, err) < 0)
			return -1;
		if (user && chown(folder, user->pw_uid, user->pw_gid) < 0)
			return error_errno(err, "%s", folder);
	}
	(void)strcpy(j->state_folder, "/tmp/dcv-join-XXXXXX");
	if (mkdtemp(j->state_folder))
		return 0;
	j->state_folder[0] = '\0';
	return error_errno(err, "make a temporary folder");
}

/* Where there is no such group, the agent is run by somebody who is not known here. */
static gid_t agent_group(void)
{
	const struct group *group = geteuid() == 0 ? getgrnam(AGENT_USER) : NULL;

	if (geteuid() == 0 && !group)
		printf("There is no group " AGENT_USER ": see that the agent can read the software "
		       "statement.\n");
	return group ? group->gr_gid : (gid_t)-1;
}

static int read_credentials(const struct join *j, struct buf *ret, struct error *err)
{
	char path[sizeof(j->state_folder) + sizeof(CREDENTIALS) + 1];

	(void)snprintf(path, sizeof(path), "%s/%s", j->state_folder, CREDENTIALS);
	return file_read(path, FILE_MAX_BYTES, ret, err);
}

static int add_files(const struct join *j, struct join_files *files, struct error *err)
{
	AUTO(buf_done) struct buf credentials = {0};
	AUTO(free_p) char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/%s", j->options->state_folder, CREDENTIALS) < 0)
		path = NULL;
	if (!path)
		return error_oom(err);
	if (stat(j->options->state_folder, &st) < 0)
		return error_errno(err, "%s", j->options->state_folder);
	if (read_credentials(j, &credentials, err) < 0 ||
	    join_files_add(files, j->ca_path, &j->authority.bytes, 0644, (uid_t)-1, (gid_t)-1,
			   false, err) < 0 ||
	    join_files_add(files, j->statement_path, &j->statement.bytes, 0640, (uid_t)-1,
			   agent_group(), false, err) < 0 ||
	    join_files_add(files, path, &credentials, 0600, st.st_uid, st.st_gid, false, err) < 0 ||
	    join_files_add(files, j->conf, &j->conf_text, 0644, (uid_t)-1, (gid_t)-1, true, err) <
		    0)
		return -1;
	return 0;
}

static int write_files(const struct join *j, struct error *err)
{
	AUTO(join_files_done) struct join_files files = {.n = 0};

	if (add_files(j, &files, err) < 0)
		return error_prefix(err, "the broker has let this host in, but nothing was kept");
	if (join_files_commit(&files, err) < 0)
		return error_prefix(err, "the broker has let this host in, but only a part of "
					 "what it gave was kept: join again with another token");
	return 0;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

static void remove_state(const struct join *j)
{
	char path[sizeof(j->state_folder) + sizeof(CREDENTIALS) + 1];

	if (!j->state_folder[0])
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", j->state_folder, CREDENTIALS);
	(void)unlink(path);
	(void)rmdir(j->state_folder);
}

static void join_done(struct join *j)
{
	if (j->loop.lws)
		loop_done(&j->loop);
	registration_free(j->registration);
	for (size_t i = 0; i < N_STAGES; i++)
		http_client_free(j->clients[i]);
	remove_state(j);
	memory_file_done(&j->pinned);
	memory_file_done(&j->authority);
	memory_file_done(&j->statement);
	agent_config_done(&j->config);
	buf_done(&j->conf_text);
	free(j->conf);
	free(j->ca_path);
	free(j->statement_path);
	OPENSSL_cleanse(&j->address, sizeof(j->address));
}

int join_broker(const struct join_options *options, struct error *err)
{
	AUTO(join_done)
	struct join j = {
		.options = options, .pinned.fd = -1, .authority.fd = -1, .statement.fd = -1};

	if (join_address_read(options->url, options->token, &j.address, err) < 0 ||
	    prepare_conf(&j, err) < 0 || prepare_state(&j, err) < 0)
		return -1;
	if (ask_broker(&j, err) < 0) {
		(void)error_prefix(err, "not joined");
		return -1;
	}
	if (write_files(&j, err) < 0)
		return -1;
	printf("This host has joined the broker at %s port %d: it has registered and the link "
	       "works.\n"
	       "Written: %s, %s, %s\n"
	       "Start the agent, or restart it: systemctl restart dcv-session-manager-agent\n",
	       j.address.host, j.address.port, j.ca_path, j.statement_path, j.conf);
	return 0;
}
