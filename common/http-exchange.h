/**
 * What a connection of the HTTP server is made of, for those who make it work: http-server.c reads
 * requests, http-reply.c answers them. Everybody else sees http-server.h.
 */
#ifndef COMMON_HTTP_EXCHANGE_H
#define COMMON_HTTP_EXCHANGE_H

#include "common/http-chunked.h"
#include "common/http-server.h"
#include "common/log-limit.h"
#include "common/stream.h"

struct http_server {
	struct loop *loop;
	struct stream_listener *listener;
	bool is_unix;
	size_t body_max_bytes;
	const struct http_flow *(*flow)(const struct http_request *request, void *userdata);
	void (*request)(struct http_request *request, void *userdata);
	void (*replied)(const struct http_request *request, int status, const struct buf *body,
			void *userdata);
	void *userdata;
	size_t n_open;
	size_t n_body_bytes; /* of requests, in memory */
	struct ws_role role;
	struct log_limit refusals; /* of WebSockets */
};

/* One request with its answer. It lives until both the connection and the program are done with it.
 */
struct exchange {
	struct http_request request; /* first: the program has a pointer to this */
	struct http_server *server;
	struct connection *connection; /* NULL once the peer is gone */
	struct http_chunked chunked;
	bool is_chunked;
	unsigned long long body_since_ms; /* without the time in which it was held */
	unsigned long long held_since_ms;
	unsigned long long n_taken;   /* bytes of the body that have gone to the program */
	size_t n_counted;             /* in http_server::n_body_bytes */
	const struct http_flow *flow; /* NULL: body and answer are whole */
	bool is_held;                 /* the program wants no more of the body now */
	bool is_dispatched;           /* the program has it, and owes an answer */
	bool is_answered;
	bool is_head; /* the method: no body in the answer */
	bool is_1_0;
	bool close_after;
	struct buf body;               /* of the answer, unless it is told piece by piece */
	unsigned long long size, sent; /* of the answer's body */
	char text[];                   /* the head, which http_request points into */
};

struct connection {
	struct http_server *server;
	struct stream *stream;
	struct buf input;          /* what nobody has read yet */
	size_t n_seen;             /* bytes of it in which no end of a head is */
	struct exchange *exchange; /* the request that is read or answered */
	bool is_taking;            /* take_input() is at work, and goes on by itself */
	bool is_full;              /* the input; nothing more is read */
	char peer_address[64];
	bool has_ended; /* the peer sends no more */
};

/** Takes NULL. */
void exchange_free(struct exchange *x);

/** Answer what never becomes a request, and close. What the peer still sends is not looked at. */
void http_refuse(struct connection *c, int status, const char *message);

/** The words that go with a status. */
const char *http_status_text(int status);

/** Set the time within which the next bytes of the body must come. */
void http_limit_body(struct connection *c);

/** What was written has left: go on with the answer. */
void http_go_on(struct connection *c);

#endif
