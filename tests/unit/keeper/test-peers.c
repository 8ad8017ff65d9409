#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "agent/keeper/peers.h"
#include "common/cleanup.h"

static void test_the_last_word_is_read_though_a_question_was_not(void **state)
{
	AUTO(buf_done) struct buf last_word = {0};
	struct peers peers;
	char text[64] = "";
	int fds[2];

	(void)state;
	peers_init(&peers);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_non_null(peers_add(&peers, fds[0]));
	assert_int_equal(send(fds[1], "question", 8, 0), 8);
	assert_true(message_build(&last_word, "EVENT", "ended", NULL));
	peers_send_all(&peers, &last_word);
	peers_done(&peers);

	assert_int_equal(recv(fds[1], text, sizeof(text), 0), last_word.len);
	assert_memory_equal(text, last_word.data, last_word.len);
	assert_int_equal(recv(fds[1], text, sizeof(text), 0), 0);
	assert_int_equal(send(fds[1], "another", 7, MSG_NOSIGNAL), -1);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_word_is_read_though_a_question_was_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
