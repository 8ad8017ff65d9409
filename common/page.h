/**
 * Pages of a describe operation.
 *
 * Items are offered in ascending order of (id, server id), bytewise. The token names the last item
 * that was returned, so items that come and go between two pages neither repeat nor hide others; it
 * never expires and means the same to every broker. Source: the API reference, "Pagination".
 */
#ifndef COMMON_PAGE_H
#define COMMON_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

struct page {
	struct buf after; /* "ID\0SERVER_ID" of the last item of the page before; empty: none */
	struct buf last;  /* the same of the last item taken */
	size_t max, n;
	bool has_more;
};

/** @next_token NULL and @max_results 0 mean "not given". ERR_INVALID names NextToken. */
int page_init(struct page *page, const char *next_token, long long max_results, struct error *err);
void page_done(struct page *page);

/** Does this item belong on the page? False before it and after it. */
bool page_takes(struct page *page, const char *id, const char *server_id);

/** Append `,"NextToken":"…"` if items remain. */
int page_append_token(const struct page *page, struct buf *text, struct error *err);

#endif
