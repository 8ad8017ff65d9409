/**
 * Pages of the describe operations. Items come in ascending order of (id, server id), bytewise; a
 * token says after which item the next page begins, so items that come and go between pages neither
 * repeat nor hide others. Source: the API reference, "Pagination".
 */
#ifndef COMMON_PAGE_H
#define COMMON_PAGE_H

#include "common/buf.h"

struct page_mark {
	struct buf bytes;
	const char *id;
	const char *server_id; /* "" for servers */
};

/** What a token is for: one of another kind is refused. */
#define PAGE_OF_SESSIONS 's'
#define PAGE_OF_SERVERS 'v'

/** Append the token that stands for the item @id at @server_id. */
int page_token_append(char kind, const char *id, const char *server_id, struct buf *ret,
		      struct error *err);

/** Read a token of this @kind. ERR_INVALID. End with page_mark_done(). */
int page_token_read(char kind, const char *token, struct page_mark *ret, struct error *err);
void page_mark_done(struct page_mark *mark);

#endif
