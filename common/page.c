#include "common/page.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

/* "k", id, NUL, server id, NUL; as base64 with letters that a URL leaves alone. */
int page_token_append(char kind, const char *id, const char *server_id, struct buf *ret,
		      struct error *err)
{
	AUTO(buf_done) struct buf bytes = {0};

	if (buf_append(&bytes, &kind, 1, err) < 0 ||
	    buf_append(&bytes, id, strlen(id) + 1, err) < 0 ||
	    buf_append(&bytes, server_id, strlen(server_id) + 1, err) < 0)
		return -1;
	return base64url_append(ret, bytes.data, bytes.len, err);
}

int page_token_read(char kind, const char *token, struct page_mark *ret, struct error *err)
{
	struct page_mark mark = {0};
	size_t id_len = 0, len = 0;

	if (base64_decode(token, &mark.bytes, err) == 0 && mark.bytes.len > 2 &&
	    mark.bytes.data[0] == kind) {
		mark.id = mark.bytes.data + 1;
		id_len = strlen(mark.id);
		/* Never beyond the NUL that a buffer ends with. */
		if (2 + id_len <= mark.bytes.len) {
			mark.server_id = mark.id + id_len + 1;
			len = 1 + id_len + 1 + strlen(mark.server_id) + 1;
		}
	}
	if (len == 0 || len != mark.bytes.len || id_len == 0) {
		page_mark_done(&mark);
		return error_set(err, ERR_INVALID, "NextToken is not valid");
	}
	*ret = mark;
	return 0;
}

void page_mark_done(struct page_mark *mark)
{
	buf_done(&mark->bytes);
}
