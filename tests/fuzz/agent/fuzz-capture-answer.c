/* Packets of a capture program, which is the session owner's: whatever it says, two requests get one
 * answer each. Input: packets, each with its length in two bytes; the uppermost bit sends a sealed
 * image along. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/engines/capture.h"
#include "common/json.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop loop;
static unsigned n_given;

static int on_start(void *userdata, struct error *err)
{
	(void)userdata;
	return error_set(err, ERR_SYSTEM, "once is enough");
}

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	json_t *reply = NULL;
	struct error problem;

	(void)answer;
	n_given++;
	if (!err && json_parse(text->data, text->len, &reply, &problem) < 0)
		abort();
	json_decref(reply);
}

static int make_image(void)
{
	static const char png[] = "\x89PNG\r\n\x1a\n-";
	int fd = memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (write(fd, png, sizeof(png)) != sizeof(png) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		abort();
	return fd;
}

static void send_packet(int to, const uint8_t *bytes, size_t len, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)(uintptr_t)bytes, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void run(void)
{
	for (int i = 0; i < 3; i++)
		(void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct screenshot_wish wish = {
		.max_width = 1, .max_height = 1, .format = "png", .limit_ms = 60000};
	static int image = -1;
	struct answer answers[2] = {{give}, {give}};
	struct capture *capture;
	struct error err;
	int fds[2];

	if (image < 0) {
		log_set_level(LOG_LEVEL_ERROR);
		image = make_image();
		if (loop_init(&loop, &err) < 0)
			abort();
	}
	n_given = 0;
	capture = capture_new(&loop, "s1", on_start, NULL);
	if (!capture || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	capture_connected(capture, fds[0]);
	capture_request(capture, &wish, &answers[0]);
	capture_request(capture, &wish, &answers[1]);
	while (size >= 2) {
		size_t len = (size_t)(data[0] & 0x7f) << 8 | data[1];
		bool has_image = data[0] & 0x80;

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		send_packet(fds[1], data, len, has_image ? image : -1);
		data += len;
		size -= len;
		run();
	}
	(void)close(fds[1]);
	run();
	capture_free(capture);
	run();
	if (n_given != 2)
		abort();
	return 0;
}
