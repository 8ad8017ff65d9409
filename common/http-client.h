/**
 * The client side of HTTPS and WebSocket: the little that a daemon needs to fetch, and its link.
 *
 * Names are looked up off the loop. Whatever happens to a request, its function is called once,
 * never before the call that began it has returned; only when the loop stops it may not be called.
 */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/ws.h"

#define HTTP_CLIENT_TIMEOUT_S 20
#define HTTP_CLIENT_BODY_MAX_BYTES (1024 * 1024)

struct http_client;

struct http_client_options {
	const char *ca_file;         /* PEM; NULL: the authorities of the system */
	bool is_strict;              /* false: any certificate is accepted */
	bool is_plain;               /* HTTP without TLS */
	unsigned timeout_s;          /* to connect, and to answer; 0: HTTP_CLIENT_TIMEOUT_S */
	const struct ws_handler *ws; /* its userdata is NULL; see http_client_connect() */
};

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *options,
				    struct error *err);

/** Of the server that answered, or linked, last: when its certificate ends, in seconds since 1970; 0: unknown. */
long long http_client_certificate_end(const struct http_client *client);

/** The time that the latest answer has told (its Date), to the second; 0: none did. */
long long http_client_server_time(const struct http_client *client);

/**
 * Read the authority file again if it has been replaced: connections that begin from now on trust
 * what it says now. On failure they trust what they did before.
 */
int http_client_refresh(struct http_client *client, struct error *err);

/** After the loop has stopped. Takes NULL. */
void http_client_free(struct http_client *client);

/** @status 0: there was no answer, and @err tells why. @body is borrowed, NUL-terminated. */
typedef void (*http_response_fn)(int status, const char *body, size_t len, const struct error *err,
				 void *userdata);

struct http_client_request {
	const char *host; /* name or address; also what the certificate must name */
	int port;
	const char *path;
	const char *authorization; /* header value, or NULL */
	const char *content_type;
	const char *body;
	const char *header, *header_value; /* one more, such as "x-token:", or NULL */
};

/** Send a request with this method, a literal. Everything in @request is copied. */
int http_client_call(struct http_client *client, const char *method,
		     const struct http_client_request *request, http_response_fn fn, void *userdata,
		     struct error *err);

/** GET; body and content type are not used. */
int http_client_get(struct http_client *client, const struct http_client_request *request,
		    http_response_fn fn, void *userdata, struct error *err);

/** POST. */
int http_client_post(struct http_client *client, const struct http_client_request *request,
		     http_response_fn fn, void *userdata, struct error *err);

/** The link could not be made. @status: the HTTP status of a refusal, or 0. */
typedef void (*http_connect_failed_fn)(int status, const struct error *err, void *userdata);

/**
 * Connect a WebSocket; body and content type are not used. When it stands, the handler's open() is
 * called and ws_user() is @userdata; if it never does, @failed.
 */
int http_client_connect(struct http_client *client, const struct http_client_request *request,
			http_connect_failed_fn failed, void *userdata, struct error *err);

#endif
