#include "agent/packet-socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/agent/fixture.h"

struct fixture {
	struct loop loop;
	struct packet_socket *socket;
	int peer;
	unsigned n_packets;
	char last[64];
	int fd; /* one that was taken */
	bool takes, frees, is_closed;
	struct error why;
};

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct fixture *f = userdata;
	const char *text = message_get(message, "TEXT");

	f->n_packets++;
	(void)snprintf(f->last, sizeof(f->last), "%s", text ? text : "");
	if (f->takes)
		f->fd = TAKE_FD(*fd);
	if (f->frees)
		packet_socket_free(TAKE(f->socket));
}

static void on_closed(const struct error *why, void *userdata)
{
	struct fixture *f = userdata;

	f->is_closed = true;
	f->why = *why;
	if (f->frees)
		packet_socket_free(TAKE(f->socket));
}

static const struct packet_socket_handler handler = {on_packet, on_closed};

static int set_up(void **state)
{
	static struct fixture f;
	struct error err;
	int fds[2];

	f = (struct fixture){.fd = -1};
	assert_int_equal(loop_init(&f.loop, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	f.peer = fds[1];
	f.socket = packet_socket_new(&f.loop, fds[0], &handler, &f, &err);
	assert_non_null(f.socket);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	packet_socket_free(f->socket);
	close_p(&f->peer);
	close_p(&f->fd);
	loop_done(&f->loop);
	return 0;
}

static size_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n;
}

/* Send a packet with @n copies of a descriptor. */
static void send_packet(int peer, const void *bytes, size_t len, const int *fds, size_t n)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)(size_t)bytes, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (n > 0) {
		struct cmsghdr *c;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(peer, &message, MSG_NOSIGNAL), len);
}

#define SEND(f, text) send_packet((f)->peer, text, sizeof(text), NULL, 0)

static void packets_arrive_whole_and_in_order(void **state)
{
	struct fixture *f = *state;

	SEND(f, "TEXT=one");
	SEND(f, "TEXT=two");
	run_until(&f->loop, f->n_packets == 2);
	assert_string_equal(f->last, "two");
	assert_false(f->is_closed);
}

static void what_is_sent_is_one_packet(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf packet = {0};
	struct error err;
	char bytes[64];

	assert_int_equal(message_add(&packet, "TEXT", "x", &err), 0);
	assert_int_equal(packet_socket_send(f->socket, &packet, &err), 0);
	assert_int_equal(recv(f->peer, bytes, sizeof(bytes), 0), sizeof("TEXT=x"));
	assert_memory_equal(bytes, "TEXT=x", sizeof("TEXT=x"));
}

static void a_descriptor_comes_along_and_may_be_taken(void **state)
{
	struct fixture *f = *state;
	size_t n = count_descriptors();

	f->takes = true;
	send_packet(f->peer, "TEXT=x", 7, &f->peer, 1);
	run_until(&f->loop, f->n_packets == 1);
	assert_true(f->fd >= 0);
	assert_int_equal(fcntl(f->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close_p(&f->fd);
	assert_int_equal(count_descriptors(), n);
}

static void a_descriptor_that_nobody_takes_is_closed(void **state)
{
	struct fixture *f = *state;
	size_t n = count_descriptors();

	send_packet(f->peer, "TEXT=x", 7, &f->peer, 1);
	run_until(&f->loop, f->n_packets == 1);
	assert_int_equal(count_descriptors(), n);
}

static void more_descriptors_than_one_end_the_connection_and_are_not_kept(void **state)
{
	for (size_t n_fds = 2; n_fds <= 8; n_fds++) {
		struct fixture *f = *state;
		int fds[8] = {f->peer, f->peer, f->peer, f->peer,
			      f->peer, f->peer, f->peer, f->peer};
		size_t n = count_descriptors();

		send_packet(f->peer, "TEXT=x", 7, fds, n_fds);
		run_until(&f->loop, f->is_closed);
		assert_int_equal(f->n_packets, 0);
		assert_int_equal(f->why.code, ERR_TOO_LARGE);
		assert_int_equal(count_descriptors(), n);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void what_is_no_message_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {{"TEXT=x", 6}, {"x", 2}, {"", 1}, {"text=x", 7}, {"A=1\0\0", 5}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f = *state;

		send_packet(f->peer, bad[i].bytes, bad[i].len, NULL, 0);
		SEND(f, "TEXT=after");
		run_until(&f->loop, f->is_closed);
		run_now(&f->loop);
		assert_int_equal(f->n_packets, 0);
		assert_int_equal(f->why.code, ERR_INVALID);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void a_packet_that_is_too_large_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	static char bytes[65537] = "TEXT=";

	memset(bytes + 5, 'x', sizeof(bytes) - 6);
	send_packet(f->peer, bytes + 1, 65536, NULL, 0); /* "EXT=…" fits */
	run_until(&f->loop, f->n_packets == 1);
	send_packet(f->peer, bytes, sizeof(bytes), NULL, 0);
	run_until(&f->loop, f->is_closed);
	assert_int_equal(f->why.code, ERR_TOO_LARGE);
}

static void the_end_is_told_once(void **state)
{
	struct fixture *f = *state;

	SEND(f, "TEXT=last");
	close_p(&f->peer);
	run_until(&f->loop, f->is_closed);
	assert_string_equal(f->last, "last");
	assert_int_equal(f->why.code, ERR_UNREACHABLE);
	f->is_closed = false;
	run_now(&f->loop);
	assert_false(f->is_closed);
}

static void the_last_words_of_who_did_not_listen_are_heard(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf packet = {0};
	struct error err;

	/* fewer than a socket's queue holds, more than one turn takes */
	assert_int_equal(message_add(&packet, "TEXT", "never read", &err), 0);
	assert_int_equal(packet_socket_send(f->socket, &packet, &err), 0);
	for (int i = 0; i < 40; i++)
		SEND(f, "TEXT=x");
	SEND(f, "TEXT=last");
	close_p(&f->peer);
	run_until(&f->loop, f->is_closed);
	assert_int_equal(f->n_packets, 41);
	assert_string_equal(f->last, "last");
}

static void it_may_be_freed_by_its_handler(void **state)
{
	struct fixture *f = *state;

	f->frees = true;
	SEND(f, "TEXT=one");
	SEND(f, "TEXT=two");
	run_until(&f->loop, f->n_packets > 0);
	run_now(&f->loop);
	assert_int_equal(f->n_packets, 1);
	assert_null(f->socket);
}

static void it_may_be_freed_when_it_is_closed(void **state)
{
	struct fixture *f = *state;

	f->frees = true;
	close_p(&f->peer);
	run_until(&f->loop, f->is_closed);
	assert_null(f->socket);
}

static bool has_ticked;

static void on_tick(void *userdata)
{
	(void)userdata;
	has_ticked = true;
}

static void a_peer_that_never_stops_sending_does_not_stop_the_loop(void **state)
{
	struct fixture *f = *state;
	struct timer *timer = timer_new(&f->loop, on_tick, NULL);
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)send(f->peer, "TEXT=x", 7, MSG_NOSIGNAL);
	}
	has_ticked = false;
	timer_start(timer, 1, 0);
	/* each turn of the loop takes what it takes, and ends */
	for (int i = 0; i < 100000 && !has_ticked; i++) {
		unsigned before = f->n_packets;

		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
		assert_in_range(f->n_packets - before, 0, 100);
	}
	assert_true(has_ticked);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	timer_free(timer);
}

static void a_peer_that_does_not_read_is_an_error_not_a_wait(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf packet = {0};
	struct error err = {0};
	int i;

	assert_int_equal(message_add(&packet, "TEXT", "x", &err), 0);
	for (i = 0; i < 100000 && packet_socket_send(f->socket, &packet, &err) == 0; i++)
		;
	assert_in_range(i, 1, 99999);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_string_equal(err.message, "the other end does not read");
}

static void sending_to_who_has_gone_is_an_error(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf packet = {0};
	struct error err = {0};

	close_p(&f->peer);
	assert_int_equal(message_add(&packet, "TEXT", "x", &err), 0);
	assert_fails(packet_socket_send(f->socket, &packet, &err), err.code);
}

static void connecting_tells_why_it_cannot(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct packet_socket *sockets[4] = {NULL};
	char too_long[200] = {0};
	struct folder folder;
	struct error err = {0};

	folder_make(&folder);
	assert_null(packet_socket_connect(&f->loop, in_folder(&folder, "none"), &handler, f, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	memset(too_long, 'x', sizeof(too_long) - 1);
	assert_null(packet_socket_connect(&f->loop, too_long, &handler, f, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	strcpy(address.sun_path, in_folder(&folder, "socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_null(packet_socket_connect(&f->loop, address.sun_path, &handler, f, &err));
	assert_int_equal(err.code, ERR_UNREACHABLE); /* nobody listens */
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
		err = (struct error){0};
		sockets[i] = packet_socket_connect(&f->loop, address.sun_path, &handler, f, &err);
	}
	assert_non_null(sockets[0]);
	assert_null(sockets[3]);
	assert_int_equal(err.code, ERR_UNAVAILABLE); /* the queue is full: try again */
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		packet_socket_free(sockets[i]);
	folder_remove(&folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packets_arrive_whole_and_in_order),
		TEST(what_is_sent_is_one_packet),
		TEST(a_descriptor_comes_along_and_may_be_taken),
		TEST(a_descriptor_that_nobody_takes_is_closed),
		TEST(more_descriptors_than_one_end_the_connection_and_are_not_kept),
		TEST(what_is_no_message_ends_the_connection),
		TEST(a_packet_that_is_too_large_ends_the_connection),
		TEST(the_end_is_told_once),
		TEST(the_last_words_of_who_did_not_listen_are_heard),
		TEST(it_may_be_freed_by_its_handler),
		TEST(it_may_be_freed_when_it_is_closed),
		TEST(a_peer_that_never_stops_sending_does_not_stop_the_loop),
		TEST(a_peer_that_does_not_read_is_an_error_not_a_wait),
		TEST(sending_to_who_has_gone_is_an_error),
		TEST(connecting_tells_why_it_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
