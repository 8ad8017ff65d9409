/**
 * HTTP/1.1 listeners on the loop: TCP with TLS, or a Unix socket. Also the way in for WebSocket.
 *
 * A request is handed over when its body is complete and answered with http_reply(), at once or
 * later. Bodies of known length and chunked ones both arrive; a body above the limit is answered
 * 413 here, a head above 16 KiB 431, what is ill-formed 400, and one of too many large bodies at once
 * 503. A peer may send further requests before it has its answer; they are answered in their order.
 */
#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/tls.h"
#include "common/ws.h"

struct http_server;
struct http_request;
struct operation;

/** What those who serve a request know of it, for whoever is told of the reply. Borrowed. */
struct http_note {
	const struct operation *operation; /* of the API; NULL: it is none */
	const void *caller;                /* whom the API admitted; NULL: nobody */
	const char *request_id;
	size_t n_elements, n_failed;        /* of a call that was carried out */
	const char *session_id, *server_id; /* of one that is about a single one */
	const char *failure;                /* the sentence of the reply */
};

struct http_request {
	const char *method;
	const char *path;          /* decoded, repeated slashes at the beginning collapsed to one */
	const char *query;         /* raw, without '?'; "" if there is none */
	const char *authorization; /* the header's value; "" if absent, check has_authorization */
	bool has_authorization;
	const char *content_type;     /* "" if absent */
	const char *forwarded_for;    /* the last field X-Forwarded-For; "" if absent */
	const char *range, *if_range; /* "" if absent */
	unsigned long long content_length;
	struct buf body;
	void *user;        /* of whoever serves it piece by piece */
	uint64_t began_ns; /* uv_hrtime() when it was handed over */
	struct http_note note;
	/* The process at the other end of a Unix socket, at the time of its connect(); TCP: -1. */
	uid_t peer_uid;
	gid_t *peer_groups; /* primary and supplementary */
	size_t n_peer_groups;
	char peer_address[64]; /* TCP: text; Unix: "" */
};

/**
 * How a request is served whose body or answer is too large for the memory. It is handed over when its
 * head is there, and needs a Content-Length if it has a body. Nothing here is called any more when the
 * request is given up: by http_reply(), the last byte of http_send(), or http_abort().
 */
struct http_flow {
	/** Bytes of the body, borrowed. Not called when there is none. */
	void (*body)(struct http_request *request, const char *bytes, size_t len, bool is_end);
	/** What was sent has left. Only after http_is_waiting() was true. */
	void (*drained)(struct http_request *request);
	/** The peer has gone, and the request with it. */
	void (*gone)(struct http_request *request);
};

struct http_server_options {
	const char *unix_path; /* a Unix socket that every local user may connect to, */
	bool is_private;       /* or only our own user and root; or */
	const char *bind_host; /* an address to listen on, */
	int port;              /* with this port, and */
	struct tls_server
		*tls; /* borrowed until http_server_free(); NULL: in the clear, for loopback */
	size_t body_max_bytes;

	/** Is a request, of which the head is there, served piece by piece? NULL: it is not. May be NULL. */
	const struct http_flow *(*flow)(const struct http_request *request, void *userdata);
	/**
	 * A request is there. It stays valid until http_reply(), which must come once. Called from
	 * the loop only, never from within http_reply().
	 */
	void (*request)(struct http_request *request, void *userdata);
	/**
	 * It is answered with this; @request is good until this returns. May be NULL. Not told of what
	 * never became a request, such as a head that is ill-formed.
	 */
	void (*replied)(const struct http_request *request, int status, const struct buf *body,
			void *userdata);
	void *userdata;
	/** NULL: no WebSocket here. */
	const struct ws_handler *ws;
	void *ws_userdata; /* NULL: the same userdata */
};

/** Listen. Strings are copied; the handler is borrowed. Errors name the address or path. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
				    struct error *err);

/** After the loop has stopped, which closes the connections. Takes NULL. */
void http_server_free(struct http_server *server);

/** Requests that were handed over, and whose answer has not left yet. */
size_t http_server_n_open(const struct http_server *server);

/** How the header Date is written, for strftime() and strptime(). Source: RFC 9110, section 5.6.7. */
#define HTTP_DATE_FORMAT "%a, %d %b %Y %H:%M:%S GMT"

/** A further header line of an answer. */
struct http_header {
	const char *name, *value;
};

/**
 * Answer, and give up @request. @body is taken (emptied); Content-Length is set from it.
 * @headers: ends in {NULL, NULL}, or NULL. A peer that has gone makes no difference to the caller.
 */
void http_reply(struct http_request *request, int status, const char *content_type,
		struct buf *body, const struct http_header *headers);

/** {"error": message} with the status of the code; 503 says when to come again, unless @headers do. */
void http_reply_error(struct http_request *request, const struct error *err,
		      const struct http_header *headers);

/* --- piece by piece: for requests with a flow ---------------------------------------------------- */

struct http_reply_head {
	int status;
	const char *content_type;
	unsigned long long size;           /* of the body */
	const struct http_header *headers; /* as of http_reply() */
};

/** Begin to answer. False: there is nothing to send, and the request is given up. */
bool http_reply_begin(struct http_request *request, const struct http_reply_head *head);

/**
 * Send bytes of the body, no more than its size; who sends much waits for drained() while
 * http_is_waiting(). False: they were the last, and the request is given up.
 */
bool http_send(struct http_request *request, const void *bytes, size_t len);
bool http_is_waiting(const struct http_request *request);

/** No more of the body now, or again. What has been read already waits. */
void http_hold(struct http_request *request, bool is_held);

/** Break off: the peer sees that what it has is not whole. The request is given up. */
void http_abort(struct http_request *request);

#endif
