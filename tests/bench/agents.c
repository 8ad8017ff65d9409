/* Agents that do nothing but answer: what is behind the broker when api.py measures a relayed request.
 *
 *   agents PORT CA_FILE <LIST
 *
 * A line of LIST is an agent: its access token, its session's id and its report, with blanks between
 * them. Links each to the broker at localhost, prints "ready" when all reports have been received, and
 * from then on answers UpdateSessionPermissions as an agent does that has carried it out. Whatever else
 * the broker may want ends the program.
 *
 * Over OpenSSL and epoll by themselves: the broker is measured against an nginx that has a static nginx
 * behind it, so this end must cost no more than that one. Every answer is a record and a write of its
 * own, on the link of its agent. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/link-protocol.h"
#include "common/number.h"
#include "common/text.h"

#define AGENTS_MAX 1024
#define READ_BYTES 16384
#define MASK "\x5a\xa5\x3c\xc3"

enum opcode { TEXT = 1, PING = 9, PONG = 10 };
#define FINAL 0x80
#define MASKED 0x80

struct agent {
	SSL *ssl;
	char *session_id;
	struct buf in, out; /* frames */
};

struct fleet {
	struct agent agents[AGENTS_MAX];
	size_t n, n_reported;
	SSL_CTX *tls;
	struct sockaddr_in broker;
	int epoll_fd;
};

/* --- frames ------------------------------------------------------------------------------------
 */

static int append_frame(struct buf *out, enum opcode opcode, const char *payload, size_t len,
			struct error *err)
{
	unsigned char head[] = {(unsigned char)(FINAL | opcode), (unsigned char)(MASKED | len),
				(unsigned char)(len >> 8), (unsigned char)len};
	size_t at;

	if (len >= 126)
		head[1] = MASKED | 126;
	if (len > UINT16_MAX)
		return error_set(err, ERR_TOO_LARGE, "a message of %zu bytes", len);
	if (buf_append(out, head, len < 126 ? 2 : 4, err) < 0 || buf_append(out, MASK, 4, err) < 0)
		return -1;
	at = out->len;
	if (buf_append(out, payload, len, err) < 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		out->data[at + i] ^= MASK[i % 4];
	return 0;
}

static int answer(struct agent *agent, const char *text, struct error *err)
{
	char reply[512];
	const char *id = text, *context;
	size_t n = strlen(agent->session_id);
	int len;

	if (!text_skip(&id, "{\"id\":") || !(context = strchr(id, ',')) ||
	    !text_skip(&context, ",\"operation\":\"UpdateSessionPermissions\",\"context\":{"
				 "\"SessionId\":\"") ||
	    strncmp(context, agent->session_id, n) != 0 || context[n] != '"')
		return error_set(err, ERR_UNSUPPORTED, "the broker wants '%.150s'", text);
	len = snprintf(reply, sizeof(reply),
		       "{\"id\":%lld,\"status\":200,\"body\":{\"SessionId\":\"%s\"}}", atoll(id),
		       agent->session_id);
	return append_frame(&agent->out, TEXT, reply, (size_t)len, err);
}

static int on_frame(struct fleet *fleet, struct agent *agent, unsigned first, const char *payload,
		    size_t len, struct error *err)
{
	AUTO(free_p) char *text = NULL;

	if (first == (FINAL | PING))
		return append_frame(&agent->out, PONG, payload, len, err);
	if (first != (FINAL | TEXT))
		return error_set(err, ERR_UNSUPPORTED, "a frame that begins with %#x", first);
	text = strndup(payload, len);
	if (!text)
		return error_oom(err);
	if (strncmp(text, "{\"event\":\"hello\"", 16) == 0)
		return 0;
	if (strncmp(text, "{\"event\":\"reportReceived\"", 25) != 0)
		return answer(agent, text, err);
	if (++fleet->n_reported == fleet->n)
		puts("ready");
	(void)fflush(stdout);
	return 0;
}

/* Take all whole frames, which a server does not mask. */
static int take_frames(struct fleet *fleet, struct agent *agent, struct error *err)
{
	struct buf *in = &agent->in;
	size_t at = 0;

	while (in->len - at >= 4) {
		const unsigned char *head = (unsigned char *)in->data + at;
		size_t len = head[1], n_head = 2;

		if (len > 126)
			return error_set(err, ERR_UNSUPPORTED, "a frame of more than 64 KiB");
		if (len == 126) {
			len = (size_t)head[2] << 8 | head[3];
			n_head = 4;
		}
		if (in->len - at < n_head + len)
			break;
		if (on_frame(fleet, agent, head[0], in->data + at + n_head, len, err) < 0)
			return -1;
		at += n_head + len;
	}
	buf_consume(in, at);
	return 0;
}

/* --- bytes -------------------------------------------------------------------------------------
 */

static int tls_error(struct error *err, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return error_set(err, ERR_UNREACHABLE, "%s: %s", what, reason ? reason : strerror(errno));
}

static int read_some(struct agent *agent, struct error *err)
{
	char bytes[READ_BYTES];

	do {
		int n = SSL_read(agent->ssl, bytes, sizeof(bytes));

		if (n <= 0 && SSL_get_error(agent->ssl, n) == SSL_ERROR_WANT_READ)
			return 0;
		if (n <= 0)
			return tls_error(err, "read from the broker");
		if (buf_append(&agent->in, bytes, (size_t)n, err) < 0)
			return -1;
	} while (SSL_has_pending(agent->ssl));
	return 0;
}

static int write_all(struct agent *agent, struct error *err)
{
	struct buf *out = &agent->out;

	if (out->len > 0 && SSL_write(agent->ssl, out->data, (int)out->len) != (int)out->len)
		return tls_error(err, "write to the broker");
	buf_truncate(out, 0);
	return 0;
}

/* --- links -------------------------------------------------------------------------------------
 */

static int connect_tls(struct fleet *fleet, struct agent *agent, struct error *err)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&fleet->broker, sizeof(fleet->broker)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
		return error_errno(err, "connect to the broker");
	agent->ssl = SSL_new(fleet->tls);
	if (!agent->ssl || SSL_set_fd(agent->ssl, fd) != 1 ||
	    SSL_set1_host(agent->ssl, "localhost") != 1 || SSL_connect(agent->ssl) != 1)
		return tls_error(err, "TLS with the broker");
	return 0;
}

static int upgrade(struct agent *agent, const char *token, struct error *err)
{
	char *end = NULL;

	if (buf_printf(&agent->out, err,
		       "GET " LINK_PATH " HTTP/1.1\r\nHost: localhost\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: YmVuY2htYXJrIG9mIGxpbg==\r\n"
		       "Sec-WebSocket-Protocol: " LINK_PROTOCOL "\r\n"
		       "Authorization: Bearer %s\r\n\r\n",
		       token) < 0 ||
	    write_all(agent, err) < 0)
		return -1;
	while (!agent->in.data || !(end = strstr(agent->in.data, "\r\n\r\n"))) {
		if (read_some(agent, err) < 0)
			return -1;
	}
	if (strncmp(agent->in.data, "HTTP/1.1 101 ", 13) != 0)
		return error_set(err, ERR_DENIED, "the broker answers '%.100s'", agent->in.data);
	buf_consume(&agent->in, (size_t)(end + 4 - agent->in.data));
	return 0;
}

static int add_agent(struct fleet *fleet, char *line, struct error *err)
{
	struct agent *agent = &fleet->agents[fleet->n];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = agent};
	char *token = strtok(line, " "), *session_id = strtok(NULL, " "),
	     *report = strtok(NULL, "\n");
	int fd;

	if (fleet->n == AGENTS_MAX || !report)
		return error_set(err, ERR_USAGE, "too many lines, or one that lacks a word");
	fleet->n++;
	agent->session_id = strdup(session_id);
	if (!agent->session_id)
		return error_oom(err);
	if (connect_tls(fleet, agent, err) < 0 || upgrade(agent, token, err) < 0 ||
	    append_frame(&agent->out, TEXT, report, strlen(report), err) < 0 ||
	    write_all(agent, err) < 0)
		return -1;
	fd = SSL_get_fd(agent->ssl);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(fleet->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return error_errno(err, "watch a link");
	return 0;
}

static int add_agents(struct fleet *fleet, struct error *err)
{
	AUTO(free_p) char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		if (add_agent(fleet, line, err) < 0)
			return error_prefix(err, "agent %zu", fleet->n);
	}
	return 0;
}

/* What came is answered when all of it has been read, so that the answers arrive together: else on a
 * machine with few cores the broker would be woken for each of them. */
static int turn(struct fleet *fleet, struct error *err)
{
	struct epoll_event events[AGENTS_MAX];
	int n = epoll_wait(fleet->epoll_fd, events, AGENTS_MAX, -1);

	for (int i = 0; i < n; i++) {
		if (read_some(events[i].data.ptr, err) < 0 ||
		    take_frames(fleet, events[i].data.ptr, err) < 0)
			return -1;
	}
	for (int i = 0; i < n; i++) {
		if (write_all(events[i].data.ptr, err) < 0)
			return -1;
	}
	return 0;
}

static int begin(struct fleet *fleet, const char *port, const char *ca_file, struct error *err)
{
	long long number;

	if (!number_parse(port, 1, 65535, &number))
		return error_set(err, ERR_USAGE, "'%s' is no port", port);
	fleet->broker = (struct sockaddr_in){.sin_family = AF_INET,
					     .sin_port = htons((uint16_t)number),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	fleet->tls = SSL_CTX_new(TLS_client_method());
	if (!fleet->tls || SSL_CTX_load_verify_file(fleet->tls, ca_file) != 1)
		return tls_error(err, ca_file);
	SSL_CTX_set_verify(fleet->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(fleet->tls, 1); /* a record's head and the rest in one read */
	fleet->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (fleet->epoll_fd < 0)
		return error_errno(err, "epoll");
	return add_agents(fleet, err);
}

int main(int argc, char **argv)
{
	static struct fleet fleet;
	struct error err = {0};
	int result;

	if (argc != 3) {
		fputs("Usage: agents PORT CA_FILE <LIST\n", stderr);
		return 2;
	}
	result = begin(&fleet, argv[1], argv[2], &err);
	while (result == 0)
		result = turn(&fleet, &err);
	fprintf(stderr, "agents: %s\n", err.message);
	return 1;
}
