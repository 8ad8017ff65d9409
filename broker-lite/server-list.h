/**
 * The hosts of the fleet, as their agents last told of them.
 *
 * A server that is only known by a mark or by a session in the store has no report yet and is not
 * listed. The list knows nothing of links and sessions but what it counts; fleet.c brings them
 * together.
 */
#ifndef BROKER_SERVER_LIST_H
#define BROKER_SERVER_LIST_H

#include <jansson.h>
#include <stdbool.h>

#include "broker-lite/attributes.h"
#include "broker-lite/setback.h"
#include "broker-lite/sorted.h"
#include "broker-lite/store.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/text.h"

struct agent;
struct client;

enum os_family { OS_LINUX, OS_WINDOWS, OS_OTHER };

struct server {
	char *id;
	struct agent *agent;         /* its link; NULL while there is none */
	const struct client *client; /* who may speak for it: the last that did; or NULL */
	bool is_lost;                /* without a link for longer than the grace */
	bool is_closed;              /* the fleet's mark; the host's own is in the report */
	bool has_refused;            /* said it is full since its last report */
	unsigned long long lost_since_ms;
	struct timer *timer; /* of the fleet: what to do about the loss */
	void *owner;         /* of the timer's function */

	char boot_id[UUID_SIZE]; /* as reported; "": it was none */
	json_t *report;          /* shaped; NULL: not listed */
	/* From the report, for placement: */
	bool is_available;
	const char *reason; /* borrowed from the report; NULL when available */
	enum os_family family;
	double load;
	long long max_virtual, max_per_user; /* -1: no limit */
	size_t row;                          /* in server_list::attributes, while it is listed */
	struct setback setback;
	unsigned long long n_leaked; /* processes of ended sessions that do not end */

	struct list sessions; /* session::on_server */
	struct list changed;  /* creation::changed: a place may have become free here */
	unsigned n_console, n_virtual;
	unsigned n_managed; /* of the virtual ones; the host's limits are for them alone */

	struct buf text, session_text; /* rendered; empty: to be made */
};

struct server_list {
	struct sorted by_id;
	struct attributes attributes; /* of the reports, for Requirements */
	struct store *store;
};

void server_list_init(struct server_list *list, struct store *store);
void server_list_done(struct server_list *list);

/** Read the fleet's marks. */
int server_list_load(struct server_list *list, struct error *err);

/** NULL if there is none; also servers that are not listed. */
struct server *server_list_find(const struct server_list *list, const char *id);

/** Find it, or make one that is not listed. */
struct server *server_list_obtain(struct server_list *list, const char *id, struct error *err);

/** Free @server, which has neither link nor sessions. */
void server_list_remove(struct server_list *list, struct server *server);

/** Take over what the agent reports; @report is "Server" as it came. */
int server_list_set_report(struct server_list *list, struct server *server, json_t *report,
			   struct error *err);

/** @server is no longer listed; harmless if it is not. */
void server_list_unlist(struct server_list *list, struct server *server);

/** Something that the rendered text tells has changed. */
void server_touch(struct server *server);

/** Why no session can be placed here, in the words of the API; NULL if one can. */
const char *server_unavailability(const struct server *server);

/** Value of a tag, or NULL. */
const char *server_tag(const struct server *server, const char *key);

/** The object of DescribeServers; NULL without memory. Valid until the server changes. */
const struct buf *server_text(struct server *server);
/** The "Server" member of a session. */
const struct buf *server_session_text(struct server *server);

/** Set the fleet's mark; @done as for store_put(). */
int server_list_set_closed(struct server_list *list, struct server *server, bool is_closed,
			   store_done_fn done, void *userdata, struct error *err);

#endif
