#include "screenshot/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <X11/Xauth.h>
#include <xcb/xcbext.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "screenshot/deadline.h"

#define RETRY_MS 20
#define PARTIAL_PAUSE_MIN_NS 5000
#define PARTIAL_PAUSE_MAX_NS 1000000
#define HOST_NAME_MAX_BYTES 256
#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"
#define PACKET_HEAD_BYTES 8
#define PACKET_BYTES 32 /* of an event, an error, and of a reply without its extra data */

#define SETUP_HEAD_BYTES 8
enum setup_status { SETUP_FAILED = 0, SETUP_SUCCESS = 1, SETUP_AUTHENTICATE = 2 };

/* What every answer to the setup begins with. */
struct setup_head {
	uint8_t status;
	uint8_t reason_len;
	uint16_t major, minor;
	uint16_t n_units; /* of 4 bytes that follow */
};

static int timed_out(struct error *err)
{
	return error_set(err, ERR_TIMEOUT, "the X server does not answer");
}

static int hung_up(struct error *err)
{
	return error_set(err, ERR_UNREACHABLE, "the X server has closed the connection");
}

static void auth_freep(Xauth **auth)
{
	if (*auth)
		XauDisposeAuth(*auth);
}

/* Wait until there is something to read, or the end of it. */
static int wait_readable(int fd, int64_t deadline, struct error *err)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	for (;;) {
		int n = poll(&pfd, 1, deadline_left_ms(deadline));

		if (n > 0)
			return 0;
		if (n == 0)
			return timed_out(err);
		if (errno != EINTR)
			return error_errno(err, "poll");
	}
}

/* --- connecting ---------------------------------------------------------------------------------
 */

static int connect_socket(int fd, const struct sockaddr_un *address, socklen_t len,
			  int64_t deadline)
{
	for (;;) {
		if (connect(fd, (const struct sockaddr *)(const void *)address, len) == 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		/* The server's queue is full: it does not accept. Nothing tells us when it does. */
		if (deadline_left_ms(deadline) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		(void)poll(NULL, 0, RETRY_MS);
	}
}

/*
 * The socket in the file system first, then the abstract one of the same name, which can be reached
 * from where /tmp is another folder. An abstract name is open to anyone who comes first.
 */
static int open_socket(int *ret, int number, int64_t deadline, struct error *err)
{
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int len;

	if (fd < 0)
		return error_errno(err, "socket");
	len = snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/.X11-unix/X%d", number);
	if (connect_socket(fd, &address, sizeof(address), deadline) < 0) {
		struct sockaddr_un abstract = {.sun_family = AF_UNIX};
		socklen_t abstract_len =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
		int first_errno = errno;

		memcpy(abstract.sun_path + 1, address.sun_path, (size_t)len);
		if ((first_errno != ENOENT && first_errno != ECONNREFUSED) ||
		    connect_socket(fd, &abstract, abstract_len, deadline) < 0) {
			errno = first_errno;
			if (errno == ETIMEDOUT)
				return timed_out(err);
			if (errno == ENOENT || errno == ECONNREFUSED)
				return error_set(err, ERR_NOT_FOUND, "there is no such display");
			return error_errno(err, "connect to %s", address.sun_path);
		}
	}
	*ret = TAKE_FD(fd);
	return 0;
}

static int append_padded(struct buf *buf, const char *bytes, unsigned len, struct error *err)
{
	static const char padding[4];

	if (buf_append(buf, bytes, len, err) < 0)
		return -1;
	return buf_append(buf, padding, (4 - len % 4) % 4, err);
}

static int send_setup(int fd, int number, struct error *err)
{
	AUTO(buf_done) struct buf request = {0};
	AUTO(auth_freep) Xauth *auth = NULL;
	char types[] = COOKIE_NAME, host[HOST_NAME_MAX_BYTES] = "", digits[16];
	char *type = types;
	int type_len = sizeof(types) - 1;
	uint16_t head[6] = {0, 11, 0}; /* byte order, major, minor, lengths, nothing */

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(digits, sizeof(digits), "%d", number);
	auth = XauGetBestAuthByAddr(FamilyLocal, (unsigned short)strlen(host), host,
				    (unsigned short)strlen(digits), digits, 1, &type, &type_len);
	((char *)head)[0] = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 'B' : 'l';
	if (auth) {
		head[3] = auth->name_length;
		head[4] = auth->data_length;
	}
	if (buf_append(&request, head, sizeof(head), err) < 0)
		return -1;
	if (auth && (append_padded(&request, auth->name, auth->name_length, err) < 0 ||
		     append_padded(&request, auth->data, auth->data_length, err) < 0))
		return -1;
	/* A socket that was just made takes all of it. */
	if (send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
		return errno == EPIPE || errno == ECONNRESET ? hung_up(err)
							     : error_errno(err, "send");
	return 0;
}

static int receive(int fd, void *bytes, size_t len, int64_t deadline, struct error *err)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t n;

		if (wait_readable(fd, deadline, err) < 0)
			return -1;
		n = recv(fd, at, len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return hung_up(err);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_errno(err, "receive");
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The server's own words, without the line end that some put behind them. */
static int refused(const struct buf *setup, unsigned len, struct error *err)
{
	const char *reason = setup->data + SETUP_HEAD_BYTES;

	if (len > setup->len - SETUP_HEAD_BYTES)
		len = (unsigned)(setup->len - SETUP_HEAD_BYTES);
	while (len > 0 && (unsigned char)reason[len - 1] <= ' ')
		len--;
	return error_set(err, ERR_DENIED, "the X server refused the connection: %.*s",
			 len > 0 ? (int)len : 15, len > 0 ? reason : "no reason given");
}

static int receive_setup(int fd, struct buf *setup, int64_t deadline, struct error *err)
{
	struct setup_head head;
	size_t len;

	if (receive(fd, &head, sizeof(head), deadline, err) < 0)
		return -1;
	len = (size_t)head.n_units * 4;
	if (buf_append(setup, &head, sizeof(head), err) < 0 || buf_reserve(setup, len, err) < 0 ||
	    receive(fd, setup->data + setup->len, len, deadline, err) < 0)
		return -1;
	setup->len += len;
	setup->data[setup->len] = '\0';
	if (head.status == SETUP_FAILED)
		return refused(setup, head.reason_len, err);
	if (head.status != SETUP_SUCCESS)
		return refused(setup, UINT16_MAX, err);
	return 0;
}

struct answerer {
	int fd;                  /* our end of the pair */
	const struct buf *setup; /* what XCB is to read */
};

static void *answer_xcb(void *data)
{
	const struct answerer *answerer = data;
	char ignored[256];
	size_t sent = 0;

	if (recv(answerer->fd, ignored, sizeof(ignored), 0) <= 0)
		return NULL;
	while (sent < answerer->setup->len) {
		ssize_t n = send(answerer->fd, answerer->setup->data + sent,
				 answerer->setup->len - sent, MSG_NOSIGNAL);

		if (n < 0)
			return NULL;
		sent += (size_t)n;
	}
	return NULL;
}

/*
 * XCB speaks its own setup to one end of a pair of sockets, and finds the server's answer there.
 * Then the descriptor's place is taken by the real connection. It takes a thread, which lives for
 * that moment, because XCB throws away what can be read before it has finished writing.
 */
static int hand_to_xcb(xcb_connection_t **ret, int server_fd, const struct buf *setup,
		       struct error *err)
{
	AUTO(close_p) int ours = -1;
	struct answerer answerer = {.setup = setup};
	xcb_connection_t *connection;
	pthread_t thread;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "socketpair");
	answerer.fd = ours = pair[0];
	if (pthread_create(&thread, NULL, answer_xcb, &answerer) != 0) {
		(void)close(pair[1]);
		return error_set(err, ERR_SYSTEM, "cannot start a thread");
	}
	connection = xcb_connect_to_fd(pair[1], NULL);
	(void)shutdown(ours, SHUT_RDWR); /* so that the thread ends, whatever XCB has done */
	(void)pthread_join(thread, NULL);
	if (xcb_connection_has_error(connection)) {
		xcb_disconnect(connection);
		return error_set(err, ERR_UNSUPPORTED, "the X server's greeting is not understood");
	}
	if (dup3(server_fd, xcb_get_file_descriptor(connection), O_CLOEXEC) < 0) {
		(void)error_errno(err, "dup3");
		xcb_disconnect(connection);
		return -1;
	}
	*ret = connection;
	return 0;
}

int connection_open(struct connection *connection, int *ret_screen, const char *display,
		    int64_t deadline, struct error *err)
{
	AUTO(buf_done) struct buf setup = {0};
	AUTO(free_p) char *host = NULL;
	AUTO(close_p) int fd = -1;
	int number, screen;

	if (!*display || !xcb_parse_display(display, &host, &number, &screen))
		return error_set(err, ERR_INVALID, "'%s' is not the name of a display", display);
	if (*host && strcmp(host, "unix") != 0)
		return error_set(err, ERR_UNSUPPORTED,
				 "'%s' is not on this host, and only displays of this host can be "
				 "captured",
				 display);
	if (open_socket(&fd, number, deadline, err) < 0 || send_setup(fd, number, err) < 0 ||
	    receive_setup(fd, &setup, deadline, err) < 0 ||
	    hand_to_xcb(&connection->xcb, fd, &setup, err) < 0)
		return error_prefix(err, "display %s", display);
	*ret_screen = screen;
	return 0;
}

/* --- talking ------------------------------------------------------------------------------------
 */

/* Length of the packet that begins with @head, as far as we are ready to wait for all of it. */
static size_t packet_len(const uint8_t *head)
{
	size_t len = PACKET_BYTES;
	uint32_t n_units;

	/* Only replies and generic events are longer than the rest. */
	if (head[0] != 1 && (head[0] & 0x7f) != XCB_GE_GENERIC)
		return len;
	memcpy(&n_units, head + 4, sizeof(n_units));
	len += (size_t)n_units * 4;
	return len < CONNECTION_REPLY_MAX_BYTES ? len : CONNECTION_REPLY_MAX_BYTES;
}

/* Wait until the socket holds a whole packet, or the end of the connection. */
static int wait_packet(int fd, int64_t deadline, struct error *err)
{
	struct timespec pause = {.tv_nsec = PARTIAL_PAUSE_MIN_NS};
	uint8_t head[PACKET_HEAD_BYTES];

	for (;;) {
		int n_bytes = 0;
		ssize_t n;

		if (wait_readable(fd, deadline, err) < 0)
			return -1;
		n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0; /* for XCB to find out */
		if (n == (ssize_t)sizeof(head) && ioctl(fd, FIONREAD, &n_bytes) == 0 &&
		    (size_t)n_bytes >= packet_len(head))
			return 0;
		/* Some of it is there, so poll() would not wait for the rest. A server that does
		 * not hang sends it in the next moment. */
		if (deadline_left_ms(deadline) == 0)
			return timed_out(err);
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < PARTIAL_PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

static void tell(struct connection *connection, xcb_generic_event_t *event)
{
	if (event && connection->on_event)
		connection->on_event(event, connection->userdata);
	free(event);
}

/* What XCB has read along with something else. */
static void tell_queued(struct connection *connection)
{
	xcb_generic_event_t *event;

	while ((event = xcb_poll_for_queued_event(connection->xcb)))
		tell(connection, event);
}

int connection_await(struct connection *connection, unsigned sequence, int64_t deadline, void **ret,
		     unsigned *ret_x_error, struct error *err)
{
	AUTO(free_p) xcb_generic_error_t *x_error = NULL;
	xcb_connection_t *xcb = connection->xcb;
	void *reply = NULL;

	(void)xcb_flush(xcb);
	while (!xcb_poll_for_reply(xcb, sequence, &reply, &x_error)) {
		if (wait_packet(xcb_get_file_descriptor(xcb), deadline, err) < 0)
			return -1;
		tell(connection, xcb_poll_for_event(xcb)); /* this is what makes XCB read */
	}
	tell_queued(connection);
	if (!reply && !x_error)
		return hung_up(err);
	*ret = reply;
	*ret_x_error = x_error ? x_error->error_code : 0;
	return 0;
}

int connection_await_reply(struct connection *connection, unsigned sequence, int64_t deadline,
			   void **ret, struct error *err)
{
	unsigned x_error;
	void *reply;

	if (connection_await(connection, sequence, deadline, &reply, &x_error, err) < 0)
		return -1;
	if (!reply)
		return error_set(err, ERR_SYSTEM, "the X server answered with error %u", x_error);
	*ret = reply;
	return 0;
}

int connection_idle(struct connection *connection, struct error *err)
{
	tell(connection, xcb_poll_for_event(connection->xcb));
	tell_queued(connection);
	return xcb_connection_has_error(connection->xcb) ? hung_up(err) : 0;
}

void connection_close(struct connection *connection)
{
	if (connection->xcb)
		xcb_disconnect(connection->xcb);
	connection->xcb = NULL;
}
