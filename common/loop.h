/**
 * The one event loop of a daemon: libuv's, with libwebsockets on it.
 *
 * A program makes one loop, builds its parts on it, and runs it until SIGTERM or SIGINT. Then
 * `on_stop` closes the parts, and loop_run() returns once every handle is closed.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <uv.h>

#include "common/error.h"
#include "common/histogram.h"
#include "common/list.h"

#define LOOP_RESERVE 8

/** What must be closed when the loop stops. */
struct loop_part {
	struct list link; /* loop::parts */
	void (*close)(struct loop_part *part);
};

struct loop {
	uv_loop_t uv;
	int reserve[LOOP_RESERVE]; /* descriptors that are kept for the end, see loop.c */
	struct lws_context *lws;
	uv_signal_t signals[3]; /* TERM, INT, HUP */
	uv_prepare_t turn;
	void (*on_stop)(void *userdata);
	void (*on_reload)(void *userdata); /* SIGHUP; may be NULL */
	/* SIGTERM or SIGINT, each time; it calls loop_stop(), now or later. NULL: it is called now. */
	void (*on_terminate)(void *userdata);
	/* Every time before the loop waits, for what is done at once for all of a turn; may be NULL. */
	void (*on_turn)(void *userdata);
	void *userdata;
	/* How long the loop was at work from one wait to the next: as long nobody else was served. */
	struct histogram turns;
	uint64_t turn_began_ns,
		turn_idle_ns; /* the last one's; what the loop has waited before it */
	struct list parts;
	bool is_stopping;
};

int loop_init(struct loop *loop, struct error *err);

/** From now on, close() is called once when the loop stops, after on_stop. */
void loop_add_part(struct loop *loop, struct loop_part *part);
void loop_remove_part(struct loop_part *part);

/** Run until a signal or loop_stop(), then until everything is closed. */
void loop_run(struct loop *loop);

/** Begin to stop: on_stop() is called now. May be called from any callback, more than once. */
void loop_stop(struct loop *loop);

/** After loop_run(), or after a start that failed half-way. Every timer must have been freed. */
void loop_done(struct loop *loop);

/** Milliseconds of a clock that only goes forward; cached once per turn of the loop. */
unsigned long long loop_now_ms(const struct loop *loop);

/** For uv_read_start(): 64 KiB, lent until the callback that reads them returns. */
void loop_lend_bytes(uv_handle_t *handle, size_t wanted, uv_buf_t *ret);

/** A timer on the heap, so that its owner may go at any moment. */
struct timer;
typedef void (*timer_fn)(void *userdata);

struct timer *timer_new(struct loop *loop, timer_fn fn, void *userdata);

/** Fire once after @ms, or every @repeat_ms from then on. Starting again sets the time anew. */
void timer_start(struct timer *timer, unsigned long long ms, unsigned long long repeat_ms);
void timer_stop(struct timer *timer);
bool timer_is_active(const struct timer *timer);

/** Takes NULL. The function is not called again. */
void timer_free(struct timer *timer);

/**
 * Do what blocks on another thread (libuv's pool), then @done on the loop. @work may touch only
 * what hangs on @userdata.
 */
int loop_work(struct loop *loop, void (*work)(void *userdata), void (*done)(void *userdata),
	      void *userdata, struct error *err);

#endif
