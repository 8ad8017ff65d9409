#include "agent/engines/capture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/failures.h"
#include "common/json.h"
#include "common/message.h"
#include "common/text.h"
#include "tests/unit/agent/fixture.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define PNG "\x89PNG\r\n\x1a\n-and-more"
#define JPEG "\xff\xd8\xff-and-more"

struct shot {
	struct answer answer; /* first */
	json_t *reply;
	struct error err;
	unsigned n_given;
};

/* A capture program, as far as the agent sees one: the other end of a socket. */
struct fixture {
	struct loop loop;
	struct capture *capture;
	int program;
	unsigned n_started;
	bool refuses;
	struct shot shots[8];
};

static int on_start(void *userdata, struct error *err)
{
	struct fixture *f = userdata;

	f->n_started++;
	return f->refuses ? error_set(err, ERR_UNAVAILABLE, "no keeper") : 0;
}

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct shot *shot = (struct shot *)(void *)answer;
	struct error problem = {0};

	shot->n_given++;
	if (err)
		shot->err = *err;
	else if (json_parse(text->data, text->len, &shot->reply, &problem) < 0)
		fail_msg("%s", problem.message);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){.program = -1};
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.capture = capture_new(&f.loop, "s1", on_start, &f);
	assert_non_null(f.capture);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	capture_free(f->capture);
	close_p(&f->program);
	for (size_t i = 0; i < ARRAY_SIZE(f->shots); i++) {
		assert_true(f->shots[i].n_given <= 1); /* an answer is given once */
		json_decref(f->shots[i].reply);
	}
	loop_done(&f->loop);
	return 0;
}

static struct shot *ask(struct fixture *f, size_t i, const char *format, unsigned long long ms)
{
	const struct screenshot_wish wish = {
		.max_width = 160, .max_height = 100, .format = format, .limit_ms = ms};

	f->shots[i].answer.give = give;
	capture_request(f->capture, &wish, &f->shots[i].answer);
	return &f->shots[i];
}

/* The keeper hands over a socket to a program that it has started. */
static void start_program(struct fixture *f)
{
	int fds[2];

	close_p(&f->program);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	f->program = fds[1];
	capture_connected(f->capture, fds[0]);
}

/* A field of the next request that reaches the program. */
static const char *receive(struct fixture *f, const char *name)
{
	static char bytes[4096];
	struct message message;
	struct error err;
	ssize_t n = recv(f->program, bytes, sizeof(bytes), 0);

	assert_true(n > 0);
	assert_int_equal(message_parse(&message, bytes, (size_t)n, &err), 0);
	return message_get(&message, name);
}

static int image(const char *bytes, size_t len, int seals)
{
	int fd = memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The program answers; @fd is closed, -1: none goes along. */
static void say(struct fixture *f, const char *fields, size_t len, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)(size_t)fields, len};
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
	assert_int_equal(sendmsg(f->program, &message, MSG_NOSIGNAL), len);
	close_p(&fd);
}

#define SAY(f, fields, fd) say(f, fields, sizeof(fields), fd)
#define GOOD_PNG image(PNG, sizeof(PNG) - 1, SEALS)
#define ONE(tag) "TAG=" tag "\0IMAGE=0\0COUNT=1\0PRIMARY=1\0CREATION_TIME_MS=1772438411042"

static void await(struct fixture *f, const struct shot *shot)
{
	run_until(&f->loop, shot->n_given > 0);
}

static void assert_failed(struct fixture *f, const struct shot *shot, enum error_code code,
			  const char *sentence)
{
	await(f, shot);
	assert_null(shot->reply);
	assert_int_equal(shot->err.code, code);
	assert_non_null(strstr(shot->err.message, sentence));
}

static const json_t *image_of(const struct shot *shot, size_t i)
{
	return json_array_get(
		json_object_get(json_object_get(shot->reply, "SessionScreenshot"), "Images"), i);
}

static void an_image_becomes_the_entry_of_the_api(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);
	json_auto_t *expected = json_loads(
		"{\"SessionScreenshot\":{\"SessionId\":\"s1\",\"Images\":[{\"Format\":\"png\","
		"\"CreationTime\":\"2026-03-02T08:00:11.042Z\",\"Primary\":true,"
		"\"Data\":\"iVBORw0KGgotYW5kLW1vcmU=\"}]}}",
		0, NULL);

	assert_int_equal(f->n_started, 1);
	start_program(f);
	assert_string_equal(receive(f, "FORMAT"), "png");
	SAY(f, ONE("1"), GOOD_PNG);
	await(f, shot);
	assert_true(json_equal(shot->reply, expected));
}

static void a_request_has_its_bounds_and_a_tag_of_its_own(void **state)
{
	struct fixture *f = *state;

	(void)ask(f, 0, "png", 5000);
	(void)ask(f, 1, "jpeg", 5000);
	start_program(f);
	assert_string_equal(receive(f, "MAX_WIDTH"), "160");
	assert_string_equal(receive(f, "TAG"), "2");
	assert_int_equal(f->n_started, 1);
}

static void answers_find_their_requests_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct shot *first = ask(f, 0, "png", 5000), *second = ask(f, 1, "jpeg", 5000);

	start_program(f);
	SAY(f, ONE("2"), image(JPEG, sizeof(JPEG) - 1, SEALS));
	SAY(f, ONE("1"), GOOD_PNG);
	await(f, first);
	await(f, second);
	assert_string_equal(json_get_text(image_of(first, 0), "Format"), "png");
	assert_string_equal(json_get_text(image_of(second, 0), "Format"), "jpeg");
}

static void each_monitor_is_an_image(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	SAY(f, "TAG=1\0IMAGE=0\0COUNT=2\0PRIMARY=1", GOOD_PNG);
	SAY(f, "TAG=1\0IMAGE=1\0COUNT=2\0PRIMARY=0", GOOD_PNG);
	await(f, shot);
	assert_true(json_is_true(json_object_get(image_of(shot, 0), "Primary")));
	assert_true(json_is_false(json_object_get(image_of(shot, 1), "Primary")));
	assert_null(image_of(shot, 2));
}

/* A picture of @len bytes whose bytes tell where they belong. */
static char *large_png(size_t len)
{
	char *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	memcpy(bytes, PNG, sizeof(PNG) - 1);
	return bytes;
}

static void assert_data(const struct shot *shot, size_t i, const char *bytes, size_t len)
{
	AUTO(buf_done) struct buf expected = {0};
	struct error err;

	assert_int_equal(base64_append(&expected, bytes, len, &err), 0);
	assert_string_equal(json_get_text(image_of(shot, i), "Data"), expected.data);
}

/* They become base64 in several turns of the loop, in which others come and the program leaves. */
static void large_images_come_out_whole(void **state)
{
	static const size_t lens[] = {1000 * 1000 + 1, 40, 3 * 384 * 1024, 384 * 1024 + 2};
	static const char *const answers[] = {"TAG=1\0IMAGE=0\0COUNT=4", "TAG=1\0IMAGE=1\0COUNT=4",
					      "TAG=1\0IMAGE=2\0COUNT=4", "TAG=1\0IMAGE=3\0COUNT=4"};
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		AUTO(free_p) char *bytes = large_png(lens[i]);

		say(f, answers[i], sizeof("TAG=1\0IMAGE=0\0COUNT=4"), image(bytes, lens[i], SEALS));
	}
	close_p(&f->program);
	await(f, shot);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		AUTO(free_p) char *bytes = large_png(lens[i]);

		assert_data(shot, i, bytes, lens[i]);
	}
}

static void the_end_comes_while_a_large_image_is_written(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000), *small = ask(f, 1, "png", 5000);
	const size_t len = 8 * 1024 * 1024;
	AUTO(free_p) char *bytes = large_png(len);

	start_program(f);
	SAY(f, ONE("1"), image(bytes, len, SEALS));
	SAY(f, ONE("2"), GOOD_PNG);
	await(f, small);
	assert_int_equal(shot->n_given, 0); /* the small one did not have to wait */
	capture_free(f->capture);
	f->capture = NULL;
	assert_failed(f, shot, ERR_NOT_FOUND, "");
}

static void a_running_program_is_asked_again(void **state)
{
	struct fixture *f = *state;

	start_program(f);
	for (size_t i = 0; i < 3; i++) {
		static const char *const answers[] = {ONE("1"), ONE("2"), ONE("3")};
		struct shot *shot = ask(f, i, "png", 5000);

		say(f, answers[i], sizeof(ONE("1")), GOOD_PNG);
		await(f, shot);
		assert_non_null(shot->reply);
	}
	assert_int_equal(f->n_started, 0);
}

static void a_failure_of_the_program_is_told(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	SAY(f, "TAG=1\0ERROR=the display is gone", -1);
	assert_failed(f, shot, ERR_SYSTEM, "screenshot: the display is gone");
}

static void an_image_that_is_not_trusted_fails_its_request_only(void **state)
{
	struct fixture *f = *state;
	char text[64];
	const struct {
		int fd;
		enum error_code code;
		const char *sentence;
	} bad[] = {
		{-1, ERR_INVALID, "sealed"},
		{image(PNG, sizeof(PNG) - 1, F_SEAL_SHRINK | F_SEAL_GROW), ERR_INVALID, "sealed"},
		{image(PNG, sizeof(PNG) - 1, F_SEAL_WRITE | F_SEAL_GROW), ERR_INVALID, "sealed"},
		{image(PNG, sizeof(PNG) - 1, 0), ERR_INVALID, "sealed"},
		{open("/dev/null", O_RDONLY | O_CLOEXEC), ERR_INVALID, "sealed"},
		{open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ERR_INVALID, "sealed"},
		{image("", 0, SEALS), ERR_TOO_LARGE, "image of 0 bytes"},
		{image(JPEG, sizeof(JPEG) - 1, SEALS), ERR_INVALID, "not in the format png"},
		{image("\x89PNG", 4, SEALS), ERR_INVALID, "not in the format png"},
	};

	start_program(f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct shot *shot = &f->shots[0];

		*shot = (struct shot){0};
		(void)ask(f, 0, "png", 5000);
		(void)snprintf(text, sizeof(text), "TAG=%zu%cIMAGE=0%cCOUNT=1", i + 1, 0, 0);
		say(f, text, strlen("TAG=1") + 1 + sizeof("IMAGE=0\0COUNT=1"), bad[i].fd);
		assert_failed(f, shot, bad[i].code, bad[i].sentence);
		assert_int_equal(f->n_started, 0); /* the program stays */
	}
}

static void images_are_bounded_together(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", PATIENCE_MS);
	const off_t half = 30L * 1024 * 1024;
	int fds[2];

	start_program(f);
	for (int i = 0; i < 2; i++) {
		fds[i] = memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC);
		assert_int_equal(write(fds[i], PNG, sizeof(PNG)), sizeof(PNG));
		assert_int_equal(ftruncate(fds[i], half), 0);
		assert_int_equal(fcntl(fds[i], F_ADD_SEALS, SEALS), 0);
	}
	SAY(f, "TAG=1\0IMAGE=0\0COUNT=2", fds[0]);
	SAY(f, "TAG=1\0IMAGE=1\0COUNT=2", fds[1]);
	assert_failed(f, shot, ERR_TOO_LARGE, "image of 31457280 bytes");
}

static void one_image_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);
	int fd = memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	start_program(f);
	assert_int_equal(ftruncate(fd, 1L << 40), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	SAY(f, ONE("1"), fd);
	assert_failed(f, shot, ERR_TOO_LARGE, "image of 1099511627776 bytes");
}

#define N(fields)                                                                                  \
	{                                                                                          \
		fields, sizeof(fields)                                                             \
	}

static void an_answer_in_disorder_fails_its_request_only(void **state)
{
	static const struct {
		const char *fields;
		size_t len;
	} bad[] = {
		N("TAG=1"),
		N("TAG=2\0IMAGE=0"),
		N("TAG=3\0COUNT=1"),
		N("TAG=4\0IMAGE=1\0COUNT=2"),
		N("TAG=5\0IMAGE=0\0COUNT=0"),
		N("TAG=6\0IMAGE=0\0COUNT=17"),
		N("TAG=7\0IMAGE=-1\0COUNT=1"),
		N("TAG=8\0IMAGE=1\0COUNT=1"),
		N("TAG=9\0IMAGE=x\0COUNT=1"),
		N("TAG=10\0IMAGE=0\0COUNT=99999999999999999999"),
	};
	struct fixture *f = *state;

	start_program(f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct shot *shot = &f->shots[0];

		*shot = (struct shot){0};
		(void)ask(f, 0, "png", 5000);
		say(f, bad[i].fields, bad[i].len, GOOD_PNG);
		assert_failed(f, shot, ERR_INVALID, "in disorder");
	}
	SAY(f, "TAG=nobody\0IMAGE=0\0COUNT=1", GOOD_PNG);
	SAY(f, "IMAGE=0\0COUNT=1", GOOD_PNG);
	f->shots[0] = (struct shot){0};
	(void)ask(f, 0, "png", 5000);
	SAY(f, ONE("11"), GOOD_PNG);
	await(f, &f->shots[0]);
	assert_non_null(f->shots[0].reply);
}

static void a_time_that_is_none_is_replaced_by_ours(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	SAY(f, "TAG=1\0IMAGE=0\0COUNT=1\0CREATION_TIME_MS=999999999999999999", GOOD_PNG);
	await(f, shot);
	assert_int_equal(strlen(json_get_text(image_of(shot, 0), "CreationTime")), 24);
}

static void a_program_that_hangs_is_given_up_and_replaced(void **state)
{
	struct fixture *f = *state;
	struct shot *first = ask(f, 0, "png", 50), *second;

	start_program(f);
	second = ask(f, 1, "png", 5000);
	assert_failed(f, first, ERR_TIMEOUT, FAILURE_NO_ANSWER);
	assert_int_equal(second->n_given, 0);
	assert_int_equal(f->n_started, 2);
	start_program(f);
	assert_string_equal(receive(f, "TAG"), "2");
	SAY(f, ONE("2"), GOOD_PNG);
	await(f, second);
	assert_non_null(second->reply);
}

static void what_a_replaced_program_had_begun_is_begun_anew(void **state)
{
	struct fixture *f = *state;
	struct shot *first = ask(f, 0, "png", 200), *second;

	start_program(f);
	second = ask(f, 1, "png", 5000);
	SAY(f, "TAG=2\0IMAGE=0\0COUNT=2", GOOD_PNG);
	assert_failed(f, first, ERR_TIMEOUT, FAILURE_NO_ANSWER);
	start_program(f);
	SAY(f, ONE("2"), GOOD_PNG);
	await(f, second);
	assert_non_null(second->reply);
	assert_non_null(image_of(second, 0));
	assert_null(image_of(second, 1));
}

static void a_program_that_never_comes_times_out(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 50);

	assert_failed(f, shot, ERR_TIMEOUT, FAILURE_NO_ANSWER);
	assert_int_equal(f->n_started, 1);
}

static void a_program_that_goes_away_idle_may_cross_a_request(void **state)
{
	struct fixture *f = *state;
	struct shot *shot;

	start_program(f);
	shot = ask(f, 0, "png", 5000);
	close_p(&f->program); /* without having read it */
	run_until(&f->loop, f->n_started == 1);
	assert_int_equal(shot->n_given, 0);
	start_program(f);
	SAY(f, ONE("1"), GOOD_PNG);
	await(f, shot);
	assert_non_null(shot->reply);
}

static void a_program_that_ends_at_each_request_fails_it(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	close_p(&f->program);
	run_until(&f->loop, f->n_started == 2);
	start_program(f);
	close_p(&f->program);
	assert_failed(f, shot, ERR_SYSTEM, "the capture program ended");
	assert_int_equal(f->n_started, 2);
}

static void a_program_that_goes_away_idle_is_started_when_it_is_needed(void **state)
{
	struct fixture *f = *state;

	start_program(f);
	close_p(&f->program);
	run_now(&f->loop);
	assert_int_equal(f->n_started, 0);
	(void)ask(f, 0, "png", 5000);
	assert_int_equal(f->n_started, 1);
}

static void a_program_that_cannot_be_started_fails_all_who_wait(void **state)
{
	struct fixture *f = *state;
	struct shot *first = ask(f, 0, "png", 5000), *second = ask(f, 1, "png", 5000);

	capture_failed(f->capture, "too many capture programs run already");
	assert_failed(f, first, ERR_SYSTEM, "too many capture programs");
	assert_failed(f, second, ERR_SYSTEM, "too many capture programs");
	f->refuses = true;
	assert_failed(f, ask(f, 2, "png", 5000), ERR_UNAVAILABLE, "no keeper");
	f->refuses = false;
	(void)ask(f, 3, "png", 5000);
	start_program(f);
	SAY(f, ONE("4"), GOOD_PNG);
	await(f, &f->shots[3]);
	assert_non_null(f->shots[3].reply);
}

static void a_failure_to_start_concerns_nobody_who_has_been_asked_for(void **state)
{
	struct fixture *f = *state;
	struct shot *shot;

	start_program(f);
	shot = ask(f, 0, "png", 5000);
	capture_failed(f->capture, "late");
	run_now(&f->loop);
	assert_int_equal(shot->n_given, 0);
	SAY(f, ONE("1"), GOOD_PNG);
	await(f, shot);
	assert_non_null(shot->reply);
}

static void nonsense_from_the_program_is_its_end(void **state)
{
	struct fixture *f = *state;
	struct shot *shot = ask(f, 0, "png", 5000);

	start_program(f);
	say(f, "nonsense", 8, -1);
	run_until(&f->loop, f->n_started == 2); /* once more, as when it went away */
	start_program(f);
	say(f, "nonsense", 8, -1);
	assert_failed(f, shot, ERR_SYSTEM, "the capture program ended");
}

static void the_end_answers_everybody(void **state)
{
	struct fixture *f = *state;
	struct shot *first = ask(f, 0, "png", 5000), *second;

	start_program(f);
	second = ask(f, 1, "png", 5000);
	capture_free(TAKE(f->capture));
	assert_int_equal(first->n_given, 1);
	assert_int_equal(second->n_given, 1);
	assert_string_equal(first->err.message, "Dcv session not found.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_becomes_the_entry_of_the_api),
		TEST(a_request_has_its_bounds_and_a_tag_of_its_own),
		TEST(answers_find_their_requests_in_any_order),
		TEST(each_monitor_is_an_image),
		TEST(large_images_come_out_whole),
		TEST(the_end_comes_while_a_large_image_is_written),
		TEST(a_running_program_is_asked_again),
		TEST(a_failure_of_the_program_is_told),
		TEST(an_image_that_is_not_trusted_fails_its_request_only),
		TEST(images_are_bounded_together),
		TEST(one_image_is_bounded),
		TEST(an_answer_in_disorder_fails_its_request_only),
		TEST(a_time_that_is_none_is_replaced_by_ours),
		TEST(a_program_that_hangs_is_given_up_and_replaced),
		TEST(what_a_replaced_program_had_begun_is_begun_anew),
		TEST(a_program_that_never_comes_times_out),
		TEST(a_program_that_goes_away_idle_may_cross_a_request),
		TEST(a_program_that_ends_at_each_request_fails_it),
		TEST(a_program_that_goes_away_idle_is_started_when_it_is_needed),
		TEST(a_program_that_cannot_be_started_fails_all_who_wait),
		TEST(a_failure_to_start_concerns_nobody_who_has_been_asked_for),
		TEST(nonsense_from_the_program_is_its_end),
		TEST(the_end_answers_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
