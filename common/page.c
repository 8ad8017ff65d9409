#include "common/page.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/requests.h"
#include "common/text.h"

static int set_key(struct buf *key, const char *id, const char *server_id, struct error *err)
{
	key->len = 0;
	if (buf_append(key, id, strlen(id) + 1, err) < 0)
		return -1;
	return buf_append(key, server_id, strlen(server_id), err);
}

int page_init(struct page *page, const char *next_token, long long max_results, struct error *err)
{
	*page = (struct page){.max = max_results > 0 ? (size_t)max_results : RESULTS_MAX};
	if (!next_token)
		return 0;
	if (base64_decode(next_token, &page->after, err) < 0 || page->after.len < 2 ||
	    !memchr(page->after.data, '\0', page->after.len)) {
		page_done(page);
		return error_set(err, ERR_INVALID, "NextToken is not one of ours");
	}
	return 0;
}

void page_done(struct page *page)
{
	buf_done(&page->after);
	buf_done(&page->last);
}

/* Has the item been on a page before? */
static bool is_before(const struct page *page, const char *id, const char *server_id)
{
	int order;

	if (page->after.len == 0)
		return false;
	order = strcmp(id, page->after.data);
	if (order == 0)
		order = strcmp(server_id, page->after.data + strlen(page->after.data) + 1);
	return order <= 0;
}

bool page_takes(struct page *page, const char *id, const char *server_id)
{
	struct error err;

	if (is_before(page, id, server_id))
		return false;
	if (page->n == page->max) {
		page->has_more = true;
		return false;
	}
	/* Without memory for the key there is no token; rather an item less than a token that lies.
	 */
	if (set_key(&page->last, id, server_id, &err) < 0)
		return false;
	page->n++;
	return true;
}

int page_append_token(const struct page *page, struct buf *text, struct error *err)
{
	if (!page->has_more)
		return 0;
	if (buf_append_text(text, ",\"NextToken\":\"", err) < 0 ||
	    base64url_append(text, page->last.data, page->last.len, err) < 0)
		return -1;
	return buf_append_text(text, "\"", err);
}
