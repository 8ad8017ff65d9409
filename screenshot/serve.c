#include "screenshot/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/message.h"
#include "common/text.h"
#include "screenshot/deadline.h"
#include "screenshot/output.h"
#include "screenshot/result-cache.h"

/* A peer that takes no answers for this long is treated like one that has gone. */
#define ANSWER_TIMEOUT_MS 10000

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct serve {
	int fd; /* borrowed */
	const char *display;
	struct capture *capture; /* NULL before the first request, and when it broke */
	struct result_cache cache;
};

/* --- requests -----------------------------------------------------------------------------------
 */

static int bound_get(const struct message *message, const char *name, unsigned *ret,
		     struct error *err)
{
	const char *value = message_get(message, name);

	if (value && screenshot_bound_parse(value, ret, err) < 0)
		return error_prefix(err, "%s", name);
	return 0;
}

int serve_request_parse(const void *bytes, size_t len, struct serve_request *ret, struct error *err)
{
	static const char *const names[] = {"TAG", "FORMAT", "MAX_WIDTH", "MAX_HEIGHT", NULL};
	struct message message;
	const char *tag, *format;

	*ret = (struct serve_request){.options.format = SCREENSHOT_PNG};
	if (len > SERVE_REQUEST_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "the request is longer than %d bytes",
				 SERVE_REQUEST_MAX_BYTES);
	if (message_parse(&message, bytes, len, err) < 0)
		return -1;
	tag = message_get(&message, "TAG");
	if (!tag)
		return error_set(err, ERR_INVALID, "the request has no TAG");
	if (strlen(tag) > SERVE_TAG_MAX_BYTES)
		return error_set(err, ERR_INVALID, "the request's TAG is longer than %d bytes",
				 SERVE_TAG_MAX_BYTES);
	memcpy(ret->tag, tag, strlen(tag) + 1);
	if (message_expect(&message, names, err) < 0)
		return -1;
	format = message_get(&message, "FORMAT");
	if (format && screenshot_format_parse(format, &ret->options.format, err) < 0)
		return error_prefix(err, "FORMAT");
	if (bound_get(&message, "MAX_WIDTH", &ret->options.max_width, err) < 0)
		return -1;
	return bound_get(&message, "MAX_HEIGHT", &ret->options.max_height, err);
}

/* --- answers ------------------------------------------------------------------------------------
 */

static int wait_writable(int fd, struct error *err)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int n;

	do
		n = poll(&pfd, 1, ANSWER_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, "poll");
	if (n == 0)
		return error_set(err, ERR_TIMEOUT, "the peer takes no answers");
	return 0;
}

/* @attached: descriptor that goes with it, or -1 */
static int send_answer(int fd, const struct buf *answer, int attached, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = answer->data, .iov_len = answer->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (attached >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &attached, sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return error_errno(err, "send an answer");
		if (wait_writable(fd, err) < 0)
			return -1;
	}
}

static int send_error(int fd, const char *tag, const struct error *why, struct error *err)
{
	AUTO(buf_done) struct buf answer = {0};

	if (message_add(&answer, "TAG", tag, err) < 0 ||
	    message_add(&answer, "ERROR", why->message, err) < 0)
		return -1;
	return send_answer(fd, &answer, -1, err);
}

static int make_sealed_file(int *ret, const struct buf *contents, struct error *err)
{
	AUTO(close_p) int fd = memfd_create("screenshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_errno(err, "memfd_create");
	if (output_write(fd, contents->data, contents->len, err) < 0)
		return -1;
	/* The offset is shared with the receiver, who may want to just read. */
	if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, ALL_SEALS) < 0)
		return error_errno(err, "seal a screenshot");
	*ret = TAKE_FD(fd);
	return 0;
}

static int add_number(struct buf *answer, const char *name, int64_t value, struct error *err)
{
	char digits[32];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, value);
	return message_add(answer, name, digits, err);
}

/* What an answer says beside its file. */
struct image_label {
	const char *tag;
	enum screenshot_format format;
	size_t n_images;
	int64_t creation_time_ms;
};

static int describe(struct buf *answer, const struct image_label *label, size_t i,
		    struct error *err)
{
	if (message_add(answer, "TAG", label->tag, err) < 0 ||
	    add_number(answer, "IMAGE", (int64_t)i, err) < 0 ||
	    add_number(answer, "COUNT", (int64_t)label->n_images, err) < 0 ||
	    message_add(answer, "FORMAT", screenshot_format_name(label->format), err) < 0 ||
	    add_number(answer, "PRIMARY", i == 0, err) < 0)
		return -1;
	return add_number(answer, "CREATION_TIME_MS", label->creation_time_ms, err);
}

/* --- the program --------------------------------------------------------------------------------
 */

/* @ret_is_peer_gone tells a failure to answer from a failure that can be answered. */
static int send_image(struct serve *serve, const struct image_label *label, size_t i, int fd,
		      bool *ret_is_peer_gone, struct error *err)
{
	AUTO(buf_done) struct buf answer = {0};

	if (describe(&answer, label, i, err) < 0)
		return -1;
	if (send_answer(serve->fd, &answer, fd, err) < 0) {
		*ret_is_peer_gone = true;
		return -1;
	}
	return 0;
}

/* What is on the screen is what was there when the files were made. */
static int answer_again(struct serve *serve, const struct serve_request *request,
			const struct result *result, bool *ret_is_peer_gone, struct error *err)
{
	struct image_label label = {
		.tag = request->tag,
		.format = request->options.format,
		.n_images = result->n_files,
		.creation_time_ms = time_now_ms(),
	};

	for (size_t i = 0; i < result->n_files; i++) {
		AUTO(close_p) int fd = -1;

		if (result_share(result->fds[i], &fd, err) < 0 ||
		    send_image(serve, &label, i, fd, ret_is_peer_gone, err) < 0)
			return -1;
	}
	return 0;
}

static int answer_list(struct serve *serve, const struct serve_request *request,
		       const struct screenshot_list *list, bool *ret_is_peer_gone,
		       struct error *err)
{
	AUTO(result_done)
	struct result result = {.options = request->options, .generation = list->generation};
	struct image_label label = {
		.tag = request->tag,
		.format = request->options.format,
		.n_images = list->n_shots,
		.creation_time_ms = list->creation_time_ms,
	};

	for (size_t i = 0; i < list->n_shots; i++) {
		AUTO(buf_done) struct buf file = {0};
		AUTO(close_p) int fd = -1;

		if (screenshot_encode(&list->shots[i], request->options.format, &file, err) < 0 ||
		    make_sealed_file(&fd, &file, err) < 0 ||
		    send_image(serve, &label, i, fd, ret_is_peer_gone, err) < 0)
			return -1;
		result_add(&result, TAKE_FD(fd), file.len);
	}
	result_cache_put(&serve->cache, &result);
	return 0;
}

static int connect_display(struct serve *serve, struct error *err)
{
	if (serve->capture)
		return 0;
	if (capture_new(&serve->capture, serve->display, err) < 0)
		return -1;
	return capture_watch(serve->capture, err);
}

static int answer_images(struct serve *serve, const struct serve_request *request,
			 bool *ret_is_peer_gone, struct error *err)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};
	const struct result *result;

	if (connect_display(serve, err) < 0 || capture_refresh(serve->capture, err) < 0)
		return -1;
	result = result_cache_find(&serve->cache, &request->options,
				   capture_generation(serve->capture));
	if (result)
		return answer_again(serve, request, result, ret_is_peer_gone, err);
	if (screenshot_take(serve->capture, &request->options, false, &list, err) < 0)
		return -1;
	return answer_list(serve, request, &list, ret_is_peer_gone, err);
}

enum turn { TURN_NEXT, TURN_END, TURN_FAILED };

/* One request. On TURN_FAILED @err says why, and the peer knows. */
static enum turn serve_request(struct serve *serve, const void *bytes, size_t len,
			       struct error *err)
{
	struct serve_request request;
	struct error send_err = {0};
	bool is_peer_gone = false;
	bool is_display_gone = false;

	if (serve_request_parse(bytes, len, &request, err) == 0) {
		if (answer_images(serve, &request, &is_peer_gone, err) == 0)
			return TURN_NEXT;
		if (!is_peer_gone && (err->code == ERR_TIMEOUT || err->code == ERR_UNREACHABLE))
			capture_freep(&serve->capture);
		is_display_gone = !serve->capture;
	}
	if (is_peer_gone || send_error(serve->fd, request.tag, err, &send_err) < 0)
		return TURN_END;
	return is_display_gone ? TURN_FAILED : TURN_NEXT;
}

/* Wait for a request, and meanwhile for the end of the display. */
static enum turn wait_request(struct serve *serve, int idle_timeout_ms, struct error *err)
{
	int64_t deadline = deadline_in_ms(idle_timeout_ms);

	for (;;) {
		struct pollfd pfds[] = {
			{.fd = serve->fd, .events = POLLIN},
			{.fd = serve->capture ? capture_fd(serve->capture) : -1, .events = POLLIN},
		};
		int n = poll(pfds, ARRAY_SIZE(pfds), deadline_left_ms(deadline));

		if (n < 0 && errno != EINTR) {
			(void)error_errno(err, "poll");
			return TURN_FAILED;
		}
		if (n == 0)
			return TURN_END;
		if (n > 0 && pfds[0].revents)
			return TURN_NEXT;
		if (n > 0 && pfds[1].revents && capture_idle(serve->capture, err) < 0)
			return TURN_END;
	}
}

static enum turn take_turn(struct serve *serve, int idle_timeout_ms, struct error *err)
{
	char bytes[SERVE_REQUEST_MAX_BYTES + 1]; /* one more, to notice what is too long */
	enum turn turn = wait_request(serve, idle_timeout_ms, err);
	ssize_t len;

	if (turn != TURN_NEXT)
		return turn;
	len = recv(serve->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (len == 0 || (len < 0 && errno == ECONNRESET))
		return TURN_END;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return TURN_NEXT;
	if (len < 0) {
		(void)error_errno(err, "receive a request");
		return TURN_FAILED;
	}
	return serve_request(serve, bytes, (size_t)len, err);
}

int serve_run(int fd, const char *display, int idle_timeout_ms, struct error *err)
{
	struct serve serve = {.fd = fd, .display = display};
	enum turn turn;
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return error_errno(err, "descriptor %d", fd);
	if (type != SOCK_SEQPACKET)
		return error_set(err, ERR_INVALID, "descriptor %d is not a SOCK_SEQPACKET socket",
				 fd);
	do
		turn = take_turn(&serve, idle_timeout_ms, err);
	while (turn == TURN_NEXT);
	capture_freep(&serve.capture);
	result_cache_done(&serve.cache);
	return turn == TURN_FAILED ? -1 : 0;
}
