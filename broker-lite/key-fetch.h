/**
 * Fetching key sets: GET of a small document, off the loop.
 *
 * HTTPS alone, but for addresses of this host; the server must show a certificate of the system's
 * authorities or of the broker's own. Each fetch takes FETCH_TIMEOUT_MS at most, everything included,
 * and two run at a time, so that servers that hang leave threads to others. libcurl does the work. It
 * is loaded with the first fetch: most brokers never need its four megabytes.
 */
#ifndef BROKER_KEY_FETCH_H
#define BROKER_KEY_FETCH_H

#include <stdatomic.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/list.h"
#include "common/loop.h"

#define FETCH_TIMEOUT_MS 5000
#define FETCH_URL_MAX_BYTES 2048

struct fetcher {
	struct loop *loop;
	char *authority_file; /* of the broker; it may change, or not be there */
	struct list waiting;
	unsigned n_running;
	atomic_bool is_stopping;
};

int fetcher_init(struct fetcher *fetcher, struct loop *loop, const char *authority_file,
		 struct error *err);

/** Begin to stop: what runs ends soon, what waits fails now. Also of one that was never initialised. */
void fetcher_stop(struct fetcher *fetcher);

/** After the loop has stopped. */
void fetcher_done(struct fetcher *fetcher);

/** Is @url one that may be fetched? ERR_INVALID with the reason. */
int fetch_check_url(const char *url, struct error *err);

/** @body: NULL, and @err tells why; else borrowed. */
typedef void (*fetched_fn)(const struct buf *body, const struct error *err, void *userdata);

/** Fetch @url, which fetch_check_url() has passed. @done is called once, on a later turn. */
int fetch(struct fetcher *fetcher, const char *url, fetched_fn done, void *userdata,
	  struct error *err);

#endif
