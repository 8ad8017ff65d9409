/* The peer that the viewer is measured against: the same bytes from a Unix socket over TLS, as they are.
 *
 *   tls-copy PORT CERTIFICATE KEY PATH
 *
 * Listens on 127.0.0.1, prints "ready", connects everybody who comes to the Unix socket at PATH, one at a
 * time, and copies both directions until either end closes. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/number.h"

#define COPY_BYTES 65536 /* at a time, as the viewer reads */

static int tls_error(struct error *err, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return error_set(err, ERR_CONFIG, "%s: %s", what, reason ? reason : "it cannot be used");
}

static int listen_at(const char *port, int *ret, struct error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO(close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long long number;

	if (!number_parse(port, 1, 65535, &number))
		return error_set(err, ERR_USAGE, "'%s' is no port", port);
	address.sin_port = htons((uint16_t)number);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		return error_errno(err, "listen on port %s", port);
	*ret = TAKE_FD(fd);
	return 0;
}

static int connect_unix(const char *path, int *ret, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "connect to %s", path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* One piece, or all that OpenSSL has at hand. -1: this direction has ended. */
static int copy_in(int fd, SSL *ssl)
{
	char bytes[COPY_BYTES];

	do {
		int n = SSL_read(ssl, bytes, sizeof(bytes));

		if (n <= 0 || write(fd, bytes, (size_t)n) != n)
			return -1;
	} while (SSL_has_pending(ssl));
	return 0;
}

static int copy_out(int fd, SSL *ssl)
{
	char bytes[COPY_BYTES];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	return n > 0 && SSL_write(ssl, bytes, (int)n) == n ? 0 : -1;
}

static void copy(int fd, SSL *ssl)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = SSL_get_fd(ssl), .events = POLLIN}};

	while (poll(fds, 2, -1) > 0) {
		if ((fds[0].revents && copy_out(fd, ssl) < 0) ||
		    (fds[1].revents && copy_in(fd, ssl) < 0))
			return;
	}
}

static int serve(SSL_CTX *tls, int listening, const char *path, struct error *err)
{
	AUTO(close_p) int peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	AUTO(close_p) int fd = -1;
	SSL *ssl = SSL_new(tls);

	if (!ssl || peer < 0 || connect_unix(path, &fd, err) < 0 ||
	    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0) {
		SSL_free(ssl);
		return err->code == ERR_NONE ? error_errno(err, "accept") : -1;
	}
	if (SSL_set_fd(ssl, peer) == 1 && SSL_accept(ssl) == 1)
		copy(fd, ssl);
	ERR_clear_error();
	SSL_free(ssl);
	return 0;
}

static int run(SSL_CTX *tls, char **arguments, struct error *err)
{
	AUTO(close_p) int listening = -1;
	int result;

	if (!tls || SSL_CTX_use_certificate_chain_file(tls, arguments[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, arguments[3], SSL_FILETYPE_PEM) != 1)
		return tls_error(err, "certificate and key");
	result = listen_at(arguments[1], &listening, err);
	if (result == 0)
		puts("ready");
	(void)fflush(stdout);
	while (result == 0)
		result = serve(tls, listening, arguments[4], err);
	return result;
}

int main(int argc, char **argv)
{
	struct error err = {0};
	SSL_CTX *tls;

	if (argc != 5) {
		fputs("Usage: tls-copy PORT CERTIFICATE KEY PATH\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	tls = SSL_CTX_new(TLS_server_method());
	(void)run(tls, argv, &err);
	SSL_CTX_free(tls);
	fprintf(stderr, "tls-copy: %s\n", err.message);
	return 1;
}
