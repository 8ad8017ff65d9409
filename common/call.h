/**
 * One call of the API: from an HTTP request to its elements, and from their answers back.
 *
 * The broker and the agent's socket both serve the API through this. What differs between them is
 * the `carry_out` function, which is given one element at a time (one session to create, one server
 * to close; for operations that take an object, the object) and an answer to fill, at once or
 * later. Nothing is carried out unless every element of the request is well-formed. Source: the API
 * reference, "Rules common to all operations".
 */
#ifndef COMMON_CALL_H
#define COMMON_CALL_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/http-server.h"
#include "common/operations.h"

/** Where the answer to one element goes. Embedded by whoever waits for it. */
struct answer {
	/**
	 * Called once. @text: a JSON object, taken; for an array operation the entry of
	 * SuccessfulList, else the reply without its RequestId. NULL if @err tells why not.
	 */
	void (*give)(struct answer *answer, struct buf *text, const struct error *err);
};

/** Answer with @text, which is emptied. */
void answer_succeed(struct answer *answer, struct buf *text);

/** Answer with an object; the reference is taken. NULL stands for memory that ran out. */
void answer_succeed_json(struct answer *answer, json_t *object);

void answer_fail(struct answer *answer, const struct error *err);

/** The RequestId of the call that @answer, given to carry_out, belongs to. */
const char *answer_request_id(const struct answer *answer);

/**
 * What @answer, given to carry_out, answers, as JSON or as its text, for those who need more than its
 * fields. Borrowed, until the answer is given; NULL when memory runs out.
 */
json_t *answer_asked_json(struct answer *answer, struct error *err);
const char *answer_asked_text(struct answer *answer, size_t *ret_len, struct error *err);

struct api {
	/**
	 * @fields: the request struct of @op (see requests.h), filled; lives until the answer is
	 * given. @caller: from `admit`.
	 */
	void (*carry_out)(const struct operation *op, const void *caller, const void *fields,
			  struct answer *answer, void *userdata);
	/**
	 * Who is calling? The result is handed to carry_out, and to `release` (may be NULL) when
	 * the call is over; NULL refuses the call with @err. *@ret_headers may be set for the
	 * refusal. NULL with ERR_NONE in @err: that is not known yet, and @request was kept, for
	 * call_route() later.
	 */
	void *(*admit)(struct http_request *request, const struct operation *op,
		       const struct http_header **ret_headers, void *userdata, struct error *err);
	void (*release)(void *caller);
	void *userdata;
	/** One element has its answer, as for struct answer; request->note tells of what. May be NULL. */
	void (*answered)(const struct http_request *request, const void *fields,
			 const struct buf *text, const struct error *err, void *userdata);
	/**
	 * The answers to all elements together; one that has no room any more fails with
	 * ERR_TOO_LARGE. 0: no bound. Each is in memory once, and that which is being given or added to
	 * the reply twice.
	 */
	size_t replies_max_bytes;
};

/** Serve @request, whose path belongs to @op, and answer it. */
void call_serve(const struct api *api, const struct operation *op, struct http_request *request);

/** operation_find() and call_serve(), with 404 and 405 for what is no operation. */
void call_route(const struct api *api, struct http_request *request);

#endif
