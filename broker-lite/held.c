#include "broker-lite/held.h"

#include <stdlib.h>

struct held_request {
	struct list link; /* held::requests */
	struct http_request *request;
	unsigned long long due_ms;
};

void held_init(struct held *held, struct loop *loop, size_t max, held_fn fn, void *userdata)
{
	*held = (struct held){.loop = loop, .max = max, .fn = fn, .userdata = userdata};
	list_init(&held->requests);
}

static struct held_request *first(const struct list *requests)
{
	return list_is_empty(requests) ? NULL
				       : list_entry(requests->next, struct held_request, link);
}

static struct held_request take(struct held *held, struct held_request *item)
{
	struct held_request taken = *item;

	list_remove(&item->link);
	held->n--;
	free(item);
	return taken;
}

static void hand_back(struct held *held, struct held_request *item, bool is_due)
{
	struct held_request taken = take(held, item);

	held->fn(taken.request, is_due, taken.due_ms, held->userdata);
}

static void start_timer(struct held *held)
{
	const struct held_request *next = first(&held->requests);
	unsigned long long now_ms = loop_now_ms(held->loop);

	if (next)
		timer_start(held->timer, next->due_ms > now_ms ? next->due_ms - now_ms : 0, 0);
}

static void on_timer(void *userdata)
{
	struct held *held = userdata;

	struct held_request *item;

	while ((item = first(&held->requests)) && item->due_ms <= loop_now_ms(held->loop))
		hand_back(held, item, true);
	start_timer(held);
}

int held_add(struct held *held, struct http_request *request, unsigned long long due_ms,
	     struct error *err)
{
	struct held_request *item;
	struct list *after = &held->requests;

	if (held->n >= held->max || held->is_stopped)
		return error_set(err, ERR_UNAVAILABLE, "too many requests are waiting, try again");
	if (!held->timer)
		held->timer = timer_new(held->loop, on_timer, held);
	item = malloc(sizeof(*item));
	if (!item || !held->timer) {
		free(item);
		return error_oom(err);
	}
	*item = (struct held_request){.request = request, .due_ms = due_ms};
	/* Almost always the last one, because all are held for the same time. */
	while (after->prev != &held->requests &&
	       list_entry(after->prev, struct held_request, link)->due_ms > due_ms)
		after = after->prev;
	list_append(after, &item->link);
	held->n++;
	start_timer(held);
	return 0;
}

void held_release(struct held *held)
{
	struct list released;
	struct held_request *item;

	list_init(&released);
	while ((item = first(&held->requests))) {
		list_remove(&item->link);
		list_append(&released, &item->link);
	}
	while ((item = first(&released)))
		hand_back(held, item, false);
}

void held_stop(struct held *held)
{
	struct held_request *item;
	struct error err;

	held->is_stopped = true;
	(void)error_set(&err, ERR_UNAVAILABLE, "The broker is stopping");
	while ((item = first(&held->requests)))
		http_reply_error(take(held, item).request, &err, NULL);
	timer_free(held->timer);
	held->timer = NULL;
}
