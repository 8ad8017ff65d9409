#include "ctl/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

#define GRANT_TYPE "grant_type"

static void curl_url_cleanup_p(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void curl_free_p(char **text)
{
	curl_free(*text);
}

/* A part of the URL, for the caller to curl_free(); NULL if it has none. */
static char *part(CURLU *url, CURLUPart what)
{
	char *text = NULL;

	return curl_url_get(url, what, &text, 0) == CURLUE_OK ? text : NULL;
}

static CURLU *parse(const char *text, struct error *err)
{
	CURLU *url = curl_url();
	CURLUcode rc;

	if (!url) {
		(void)error_oom(err);
		return NULL;
	}
	rc = curl_url_set(url, CURLUPART_URL, text, 0);
	if (rc == CURLUE_OK)
		return url;
	curl_url_cleanup(url);
	/* the text is not repeated: a password may stand in it */
	(void)error_set(err, ERR_INVALID, "this is not a URL like https://host:port");
	return NULL;
}

static bool is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;
	char bare[INET6_ADDRSTRLEN];
	size_t len = strlen(host);

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (*host != '[' || len < 3 || len - 2 >= sizeof(bare))
		return false;
	memcpy(bare, host + 1, len - 2);
	bare[len - 2] = '\0';
	return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int url_check(const char *text, bool may_have_query, struct error *err)
{
	AUTO(curl_url_cleanup_p) CURLU *url = NULL;
	AUTO(curl_free_p) char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
	AUTO(curl_free_p) char *fragment = NULL;

	url = parse(text, err);
	if (!url)
		return -1;
	scheme = part(url, CURLUPART_SCHEME);
	host = part(url, CURLUPART_HOST);
	user = part(url, CURLUPART_USER);
	password = part(url, CURLUPART_PASSWORD);
	fragment = part(url, CURLUPART_FRAGMENT);
	if (!scheme || !host)
		return error_set(err, ERR_INVALID, "the URL names no host");
	if (user || password)
		return error_set(err, ERR_INVALID, "the URL must not hold a user name or password");
	if (fragment)
		return error_set(err, ERR_INVALID, "the URL must not hold a '#'");
	if (!may_have_query && strchr(text, '?'))
		return error_set(err, ERR_INVALID, "the URL must not hold a '?'");
	if (strcmp(scheme, "https") == 0)
		return 0;
	if (strcmp(scheme, "http") == 0 && is_loopback(host))
		return 0;
	return error_set(err, ERR_INVALID,
			 "the URL must begin with https:// (http:// only for this host itself)");
}

int url_join(const char *base, const char *path, char **ret, struct error *err)
{
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	if (asprintf(ret, "%.*s%s", (int)len, base, path) < 0) {
		*ret = NULL;
		return error_oom(err);
	}
	return 0;
}

static bool has_grant_type(const char *query)
{
	for (const char *p = query; p; p = strchr(p, '&')) {
		p += *p == '&';
		if (strncmp(p, GRANT_TYPE "=", sizeof(GRANT_TYPE)) == 0)
			return true;
	}
	return false;
}

int url_of_token(const char *auth_url, const char *broker_url, char **ret, struct error *err)
{
	AUTO(free_p) char *own = NULL;
	const char *query;

	if (!auth_url) {
		if (url_join(broker_url, "/oauth2/token", &own, err) < 0)
			return -1;
		auth_url = own;
	}
	query = strchr(auth_url, '?');
	if (query && has_grant_type(query + 1))
		*ret = strdup(auth_url);
	else if (asprintf(ret, "%s%s" GRANT_TYPE "=client_credentials", auth_url,
			  !query     ? "?"
			  : query[1] ? "&"
				     : "") < 0)
		*ret = NULL;
	return *ret ? 0 : error_oom(err);
}
