#include "agent/join-address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/link-protocol.h"
#include "common/number.h"
#include "common/text.h"

#define DEFAULT_PORT 8445

static int bad_url(const char *url, struct error *err)
{
	return error_set(err, ERR_USAGE,
			 "'%.200s' is no address of a broker: https://HOST or "
			 "https://HOST:PORT",
			 url);
}

/* The name goes into agent.conf and into a Host header. */
static bool is_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET6, host, address) == 1)
		return true;
	return *host && host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789.-_")] == '\0';
}

static int read_url(const char *url, struct join_address *ret, struct error *err)
{
	const char *at = url, *end;
	char port[8];
	long long number = DEFAULT_PORT;
	size_t len;

	(void)text_skip(&at, "https://");
	if (*at == '[') {
		end = strchr(++at, ']');
		len = end ? (size_t)(end++ - at) : 0;
	} else {
		len = strcspn(at, ":/");
		end = at + len;
	}
	if (len == 0 || len >= sizeof(ret->host))
		return bad_url(url, err);
	(void)snprintf(ret->host, sizeof(ret->host), "%.*s", (int)len, at);
	if (*end == ':') {
		len = strcspn(++end, "/");
		(void)snprintf(port, sizeof(port), "%.*s", (int)len, end);
		if (len >= sizeof(port) || !number_parse(port, 1, 65535, &number))
			return bad_url(url, err);
		end += len;
	}
	ret->port = (int)number;
	if (!is_host(ret->host) || (*end && strcmp(end, "/") != 0))
		return bad_url(url, err);
	return 0;
}

static int read_token(const char *token, struct join_address *ret, struct error *err)
{
	AUTO(buf_done) struct buf fingerprint = {0}, secret = {0};
	const char *at = token, *dot;
	char text[64];
	struct error ignored;

	dot = text_skip(&at, JOIN_TOKEN_VERSION ".") ? strchr(at, '.') : NULL;
	if (!dot || (size_t)(dot - at) >= sizeof(text) || strlen(dot + 1) >= sizeof(ret->secret))
		return error_set(err, ERR_USAGE,
				 "this is no join token; on the broker: dcv-session-manager-broker "
				 "create-join-token");
	(void)snprintf(text, sizeof(text), "%.*s", (int)(dot - at), at);
	(void)strcpy(ret->secret, dot + 1);
	if (base64_decode(text, &fingerprint, &ignored) < 0 ||
	    base64_decode(ret->secret, &secret, &ignored) < 0 ||
	    fingerprint.len != sizeof(ret->fingerprint) || secret.len != JOIN_SECRET_BYTES)
		return error_set(err, ERR_USAGE, "the join token is not whole");
	memcpy(ret->fingerprint, fingerprint.data, sizeof(ret->fingerprint));
	return 0;
}

int join_address_read(const char *url, const char *token, struct join_address *ret,
		      struct error *err)
{
	return read_url(url, ret, err) < 0 ? -1 : read_token(token, ret, err);
}
