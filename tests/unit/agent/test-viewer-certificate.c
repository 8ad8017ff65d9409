#include "agent/viewer-certificate.h"

#include <sys/socket.h>

#include "agent/agent.h"
#include "tests/unit/agent/fixture.h"

static char broker_host[] = "broker.example";

struct fixture {
	struct loop loop;
	struct agent_config config;
	struct agent agent;
	struct packet_socket *socket;
	int peer;
	char bytes[1024];
	struct message message; /* that came last */
};

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	(void)message;
	(void)fd;
	(void)userdata;
}

static void on_closed(const struct error *why, void *userdata)
{
	(void)why;
	(void)userdata;
}

static int set_up(void **state)
{
	static const struct packet_socket_handler handler = {on_packet, on_closed};
	struct fixture *f = calloc(1, sizeof(*f));
	struct server *server;
	struct error err;
	int fds[2];

	assert_non_null(f);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	f->peer = fds[1];
	f->socket = packet_socket_new(&f->loop, fds[0], &handler, f, &err);
	assert_non_null(f->socket);
	f->config.broker_host = broker_host;
	f->agent.config = &f->config;
	server = &f->agent.server;
	(void)strcpy(server->hostname, "cad01");
	(void)strcpy(server->dns_name, "cad01.example");
	(void)strcpy(server->address, "192.0.2.7");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	viewer_certificate_done(&f->agent.viewer_certificate);
	packet_socket_free(f->socket);
	close_p(&f->peer);
	loop_done(&f->loop);
	free(f);
	return 0;
}

/* False: nothing came. */
static bool receive(struct fixture *f)
{
	ssize_t n = recv(f->peer, f->bytes, sizeof(f->bytes), 0);
	struct error err;

	if (n < 0)
		return false;
	assert_int_equal(message_parse(&f->message, f->bytes, (size_t)n, &err), 0);
	return true;
}

static void expect_host(struct fixture *f, const char *names, const char *member, const char *value)
{
	assert_true(receive(f));
	assert_string_equal(message_get(&f->message, "EVENT"), "host");
	assert_string_equal(message_get(&f->message, "NAMES"), names);
	assert_string_equal(message_get(&f->message, member), value);
}

#define NAMES "DNS:cad01,DNS:cad01.example,IP:192.0.2.7"

static void the_viewer_is_told_what_is_news(void **state)
{
	struct fixture *f = *state;

	viewer_certificate_set_viewer(&f->agent, f->socket, true);
	expect_host(f, NAMES, "REASON", "the broker is not reached");
	viewer_certificate_tell_host(&f->agent);
	assert_false(receive(f));
	f->agent.is_linked = true;
	viewer_certificate_set_authority(&f->agent, "abc");
	expect_host(f, NAMES, "AUTHORITY", "abc");
	viewer_certificate_set_authority(&f->agent, "abc");
	assert_false(receive(f));
	(void)strcpy(f->agent.server.address, "127.0.0.1");
	(void)strcpy(f->agent.server.dns_name, "localhost");
	viewer_certificate_tell_host(&f->agent);
	expect_host(f, "DNS:cad01", "AUTHORITY", "abc");
	f->agent.is_linked = false;
	viewer_certificate_unlink(&f->agent);
	expect_host(f, "DNS:cad01", "REASON", "the broker is not reached");
}

static void a_viewer_that_wants_no_certificate_is_told_of_none(void **state)
{
	struct fixture *f = *state;

	f->agent.is_linked = true;
	viewer_certificate_set_viewer(&f->agent, f->socket, false);
	viewer_certificate_set_authority(&f->agent, "abc");
	viewer_certificate_answer(&f->agent, NULL, "no");
	assert_false(receive(f));
}

static void a_broker_that_signs_none_is_told_of_and_not_asked(void **state)
{
	static const char wish[] = "OPERATION=certify\0REQUEST=x";
	struct fixture *f = *state;
	struct message message;
	struct error err;

	f->agent.is_linked = true;
	viewer_certificate_set_authority(&f->agent, NULL);
	viewer_certificate_set_viewer(&f->agent, f->socket, true);
	expect_host(f, NAMES, "REASON", "the broker is of a release that signs no certificates");
	viewer_certificate_set_authority(&f->agent, "");
	assert_true(receive(f));
	assert_non_null(strstr(message_get(&f->message, "REASON"), "no authority of its own"));
	assert_int_equal(message_parse(&message, wish, sizeof(wish), &err), 0);
	viewer_certificate_ask(&f->agent, &message);
	assert_true(receive(f));
	assert_string_equal(message_get(&f->message, "EVENT"), "uncertified");
	f->config.broker_host = NULL;
	viewer_certificate_tell_host(&f->agent);
	expect_host(f, NAMES, "REASON", "this host has no broker");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_viewer_is_told_what_is_news, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_viewer_that_wants_no_certificate_is_told_of_none,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_broker_that_signs_none_is_told_of_and_not_asked,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
