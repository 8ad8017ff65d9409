/**
 * Requests that are held back: for a time, or until something happens before that.
 *
 * Their number is bounded. Each is handed back once, on a later turn of the loop.
 */
#ifndef BROKER_HELD_H
#define BROKER_HELD_H

#include <stdbool.h>

#include "common/http-server.h"
#include "common/list.h"
#include "common/loop.h"

/**
 * It is the receiver's again. @is_due: @due_ms, which held_add() was given, has come; else
 * held_release() was called.
 */
typedef void (*held_fn)(struct http_request *request, bool is_due, unsigned long long due_ms,
			void *userdata);

struct held {
	struct loop *loop;
	struct list requests; /* the one that is due first is the first */
	size_t n, max;
	struct timer *timer;
	held_fn fn;
	void *userdata;
	bool is_stopped;
};

void held_init(struct held *held, struct loop *loop, size_t max, held_fn fn, void *userdata);

/** Hold @request until @due_ms by loop_now_ms(). ERR_UNAVAILABLE: too many are held. */
int held_add(struct held *held, struct http_request *request, unsigned long long due_ms,
	     struct error *err);

/** Hand all of them back, now. Those that are held again meanwhile stay. */
void held_release(struct held *held);

/** Answer all of them that the broker is stopping. None is held from then on. */
void held_stop(struct held *held);

#endif
