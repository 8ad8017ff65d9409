#include "agent/viewer/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/files/protocol.h"
#include "agent/viewer/file-address.h"
#include "common/cleanup.h"
#include "common/http-form.h"
#include "common/log.h"
#include "common/text.h"

#define N_HEADERS_MAX 12

static const struct http_header always[] = {
	{"Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cache-Control", "no-store"},
	{NULL, NULL},
};

/* --- the end -----------------------------------------------------------------------------------
 */

static void on_stream_closed(uv_handle_t *handle)
{
	struct transfer *t = (struct transfer *)(void *)handle;

	free(t->path);
	buf_done(&t->leaving);
	buf_done(&t->head);
	free(t);
}

/* Nothing is owed to the browser any more. */
static void end(struct transfer *t)
{
	list_remove(&t->link);
	t->share->n_transfers--;
	storage_request_done(&t->asked);
	uv_close((uv_handle_t *)&t->stream, on_stream_closed);
}

static void fail(struct transfer *t, const struct error *err)
{
	struct http_request *request = TAKE(t->request);

	if (t->has_reply)
		http_abort(request);
	else
		http_reply_error(request, err, always);
	end(t);
}

void transfer_break_off(struct transfer *t)
{
	struct error err;

	(void)error_set(&err, ERR_DENIED, "you may not do that any more");
	fail(t, &err);
}

static void on_gone(struct http_request *request)
{
	struct transfer *t = request->user;

	t->request = NULL;
	end(t);
}

static void on_not_sent(struct storage_request *asked)
{
	struct transfer *t = list_entry(asked, struct transfer, asked);
	struct error err;

	(void)error_set(&err, ERR_UNAVAILABLE, "the files of this session cannot be reached now");
	fail(t, &err);
}

/* --- the reply ---------------------------------------------------------------------------------
 */

/* What is no UTF-8 in a name cannot be told to a browser. */
static int append_name(struct buf *value, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');

	if (buf_append_text(value, "attachment; filename*=UTF-8''", err) < 0)
		return -1;
	for (const char *p = slash ? slash + 1 : path; *p;) {
		size_t len = utf8_length(p);
		char letter[5] = "_";

		if (len > 0)
			memcpy(letter, p, len);
		if (http_percent_append(value, letter, err) < 0)
			return -1;
		p += len > 0 ? len : 1;
	}
	return 0;
}

static void log_reply(const struct transfer *t, const struct file_reply *reply)
{
	if (t->is_upload && reply->status == 201)
		log_info("session %s: user %s has uploaded '%s' (address=%s)", t->share->session_id,
			 t->share->user, t->path, t->request->peer_address);
	else if (!t->is_upload && t->path && (reply->status == 200 || reply->status == 206))
		log_info("session %s: user %s downloads '%s' (first=%llu, length=%llu, address=%s)",
			 t->share->session_id, t->share->user, t->path, reply->first, reply->length,
			 t->request->peer_address);
}

static bool is_of_file(const struct transfer *t, const struct file_reply *reply)
{
	return !t->is_upload && t->path && reply->etag[0];
}

/* With the headers of a file, if it is one. */
static int begin_reply(struct transfer *t, const struct file_reply *reply, struct error *err)
{
	struct http_header headers[N_HEADERS_MAX + 1] = {{NULL, NULL}};
	struct http_reply_head head = {.status = reply->status,
				       .content_type = "application/json",
				       .size = reply->length,
				       .headers = headers};
	AUTO(buf_done) struct buf name = {0}, range = {0};
	size_t n = ARRAY_SIZE(always) - 1;

	memcpy(headers, always, sizeof(always));
	if (is_of_file(t, reply)) {
		head.content_type = "application/octet-stream";
		if (append_name(&name, t->path, err) < 0 ||
		    (reply->status == 206
			     ? buf_printf(&range, err, "bytes %llu-%llu/%llu", reply->first,
					  reply->first + reply->length - 1, reply->total)
			     : buf_printf(&range, err, "bytes */%llu", reply->total)) < 0)
			return -1;
		headers[n++] = (struct http_header){"Content-Disposition", name.data};
		headers[n++] = (struct http_header){"ETag", reply->etag};
		headers[n++] = (struct http_header){"Accept-Ranges", "bytes"};
		if (reply->status != 200)
			headers[n++] = (struct http_header){"Content-Range", range.data};
	}
	log_reply(t, reply);
	t->has_reply = true;
	t->left = reply->length;
	if (!http_reply_begin(t->request, &head))
		t->request = NULL;
	return 0;
}

/* As much of the head as is there; the rest of the bytes is the body's. */
static int take_head(struct transfer *t, const char **at, size_t *len, struct error *err)
{
	struct file_reply reply;

	while (*len > 0 &&
	       (t->head.len < 2 || t->head.len < file_reply_length(t->head.data, t->head.len))) {
		if (buf_append(&t->head, *at, 1, err) < 0)
			return -1;
		++*at;
		--*len;
	}
	if (t->head.len < 2 || t->head.len < file_reply_length(t->head.data, t->head.len))
		return t->head.len <= FILES_REPLY_MAX_BYTES
			       ? 0
			       : error_set(err, ERR_INVALID, "the head of a reply is too long");
	if (file_reply_read(t->head.data, t->head.len, &reply, err) < 0)
		return -1;
	return begin_reply(t, &reply, err);
}

static void take_reply(struct transfer *t, const char *bytes, size_t len)
{
	struct error err;

	if (!t->has_reply && take_head(t, &bytes, &len, &err) < 0) {
		log_warning("session %s: its files: %s", t->share->session_id, err.message);
		(void)error_set(&err, ERR_SYSTEM, "the files of this session are not understood");
		fail(t, &err);
		return;
	}
	len = len < t->left ? len : (size_t)t->left;
	if (t->request && len > 0) {
		t->left -= len;
		if (!http_send(t->request, bytes, len))
			t->request = NULL;
	}
	if (t->has_reply && !t->request)
		end(t);
	else if (t->has_reply && http_is_waiting(t->request))
		(void)uv_read_stop((uv_stream_t *)&t->stream);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct transfer *t = (struct transfer *)(void *)stream;
	struct error err;

	if (len > 0) {
		take_reply(t, bytes->base, (size_t)len);
	} else if (len < 0) {
		(void)error_set(&err, ERR_UNAVAILABLE, "the files of this session are gone");
		fail(t, &err);
	}
}

static void start_reading(struct transfer *t)
{
	(void)uv_read_start((uv_stream_t *)&t->stream, loop_lend_bytes, on_read);
}

static void on_drained(struct http_request *request)
{
	start_reading(request->user);
}

/* --- the body ----------------------------------------------------------------------------------
 */

static void on_written(uv_write_t *writing, int status)
{
	struct transfer *t = list_entry(writing, struct transfer, writing);

	t->is_writing = false;
	buf_done(&t->leaving);
	if (!t->request || uv_is_closing((uv_handle_t *)&t->stream))
		return;
	t->is_deaf = t->is_deaf || status < 0;
	if (t->is_body_in)
		start_reading(t);
	else
		http_hold(t->request, false);
}

/* What the program does not take at once is kept, and nothing more is read meanwhile. */
static int write_body(struct transfer *t, const char *bytes, size_t len, struct error *err)
{
	uv_buf_t all = uv_buf_init((char *)bytes, (unsigned)len);
	int n = uv_try_write((uv_stream_t *)&t->stream, &all, 1);

	if (n == (int)len)
		return 0;
	if (n < 0 && n != UV_EAGAIN) {
		t->is_deaf = true;
		return 0;
	}
	n = n < 0 ? 0 : n;
	if (buf_append(&t->leaving, bytes + n, len - (size_t)n, err) < 0)
		return -1;
	all = uv_buf_init(t->leaving.data, (unsigned)t->leaving.len);
	t->is_writing = uv_write(&t->writing, (uv_stream_t *)&t->stream, &all, 1, on_written) == 0;
	if (t->is_writing)
		http_hold(t->request, true);
	else
		t->is_deaf = true;
	return 0;
}

/* A program that has refused takes no more, and its answer waits until all has come: browsers do not look
 * for one before. */
static void on_body(struct http_request *request, const char *bytes, size_t len, bool is_end)
{
	struct transfer *t = request->user;
	struct error err;

	t->is_body_in = is_end;
	if (!t->is_deaf && write_body(t, bytes, len, &err) < 0)
		fail(t, &err);
	else if (is_end && !t->is_writing)
		start_reading(t);
}

const struct http_flow transfer_flow = {on_body, on_drained, on_gone};

/* --- the beginning -----------------------------------------------------------------------------
 */

static int open_stream(struct transfer *t, struct loop *loop, struct error *err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, "socketpair");
	t->asked.stream = fds[1];
	if (uv_pipe_init(&loop->uv, &t->stream, 0) == 0 && uv_pipe_open(&t->stream, fds[0]) == 0)
		return 0;
	close_p(&fds[0]);
	return error_set(err, ERR_SYSTEM, "cannot watch a descriptor");
}

static int make(struct share *share, const struct file_address *address,
		struct http_request *request, struct transfer **ret, struct error *err)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return error_oom(err);
	t->share = share;
	t->needs = address->needs;
	t->request = request;
	t->is_upload = address->is_upload;
	t->asked = (struct storage_request){.stream = -1, .failed = on_not_sent};
	t->path = address->is_content || address->is_upload ? strdup(address->path) : NULL;
	if (file_address_append(address, request, &t->asked.packet, err) == 0 &&
	    open_stream(t, share->storage->loop, err) == 0) {
		list_append(&share->transfers, &t->link);
		share->n_transfers++;
		*ret = t;
		return 0;
	}
	storage_request_done(&t->asked);
	free(t->path);
	free(t);
	return -1;
}

static int begin(struct shares *shares, struct http_request *request, const char *below,
		 struct transfer **ret, struct error *err)
{
	struct file_address address;
	struct share *share;

	if (file_address_read(request, below, &address, err) < 0)
		return -1;
	share = share_find(shares, address.key);
	if (!share)
		return error_set(err, ERR_UNAUTHORIZED, "whoever had this key is not connected");
	if (!(share->features & address.needs))
		return error_set(err, ERR_DENIED, "you may not do that");
	if (share_count_transfers(shares, share) >= SHARE_TRANSFERS_MAX)
		return error_set(err, ERR_LIMIT, "more than %d at a time", SHARE_TRANSFERS_MAX);
	return make(share, &address, request, ret, err);
}

void transfer_begin(struct shares *shares, struct http_request *request, const char *below)
{
	struct transfer *t = NULL;
	struct error err;

	if (begin(shares, request, below, &t, &err) < 0) {
		http_reply_error(request, &err, always);
		return;
	}
	request->user = t;
	if (request->content_length == 0)
		start_reading(t);
	storage_send(t->share->storage, &t->asked, t->share->visitor);
}
