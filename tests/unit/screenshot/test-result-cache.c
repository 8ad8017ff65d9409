#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/result-cache.h"

static const struct screenshot_options png = {.format = SCREENSHOT_PNG};

static struct screenshot_options of_width(unsigned width)
{
	return (struct screenshot_options){.format = SCREENSHOT_PNG, .max_width = width};
}

/* Put a file of @n_bytes, as far as the cache is told, and give back its descriptor. */
static int put(struct result_cache *cache, const struct screenshot_options *options,
	       uint64_t generation, size_t n_bytes)
{
	struct result result = {.options = *options, .generation = generation};
	int fd = memfd_create("result", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "picture", 7), 7);
	result_add(&result, fd, n_bytes);
	result_cache_put(cache, &result);
	assert_int_equal(result.n_files, 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void what_was_put_is_found_by_what_was_asked_for(void **state)
{
	AUTO(result_cache_done) struct result_cache cache = {.n_calls = 0};
	struct screenshot_options jpeg = {.format = SCREENSHOT_JPEG}, wide = of_width(9);
	int fd = put(&cache, &png, 1, 10);

	(void)state;
	assert_int_equal(result_cache_find(&cache, &png, 1)->fds[0], fd);
	assert_null(result_cache_find(&cache, &jpeg, 1));
	assert_null(result_cache_find(&cache, &wide, 1));
}

static void another_state_of_the_screen_drops_everything(void **state)
{
	AUTO(result_cache_done) struct result_cache cache = {.n_calls = 0};
	struct screenshot_options wide = of_width(9);
	int one = put(&cache, &png, 1, 10), other = put(&cache, &wide, 1, 10);

	(void)state;
	assert_null(result_cache_find(&cache, &png, 2));
	assert_false(is_open(one));
	assert_false(is_open(other));
	assert_null(result_cache_find(&cache, &png, 1));
}

static void the_one_not_asked_for_for_longest_makes_room(void **state)
{
	AUTO(result_cache_done) struct result_cache cache = {.n_calls = 0};
	struct screenshot_options options;

	(void)state;
	for (unsigned i = 0; i < RESULTS_MAX; i++) {
		options = of_width(i + 1);
		(void)put(&cache, &options, 1, 10);
	}
	options = of_width(1);
	assert_non_null(result_cache_find(&cache, &options, 1));
	options = of_width(100);
	(void)put(&cache, &options, 1, 10);
	for (unsigned i = 0; i < RESULTS_MAX; i++) {
		options = of_width(i + 1);
		if (i == 1)
			assert_null(result_cache_find(&cache, &options, 1));
		else
			assert_non_null(result_cache_find(&cache, &options, 1));
	}
}

static void files_are_bounded_together(void **state)
{
	AUTO(result_cache_done) struct result_cache cache = {.n_calls = 0};
	struct screenshot_options wide = of_width(9);
	int fd;

	(void)state;
	(void)put(&cache, &png, 1, RESULTS_MAX_BYTES - 10);
	fd = put(&cache, &wide, 1, 11);
	assert_false(is_open(fd));
	assert_null(result_cache_find(&cache, &wide, 1));
	(void)put(&cache, &wide, 1, 10);
	assert_non_null(result_cache_find(&cache, &wide, 1));
	assert_non_null(result_cache_find(&cache, &png, 1));
}

static void every_receiver_reads_from_the_beginning(void **state)
{
	AUTO(result_cache_done) struct result_cache cache = {.n_calls = 0};
	int kept = put(&cache, &png, 1, 7);

	(void)state;
	for (int i = 0; i < 2; i++) {
		AUTO(close_p) int fd = -1;
		struct error err = {0};
		char bytes[8];

		assert_int_equal(result_share(kept, &fd, &err), 0);
		assert_int_equal(read(fd, bytes, sizeof(bytes)), 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_by_what_was_asked_for),
		cmocka_unit_test(another_state_of_the_screen_drops_everything),
		cmocka_unit_test(the_one_not_asked_for_for_longest_makes_room),
		cmocka_unit_test(files_are_bounded_together),
		cmocka_unit_test(every_receiver_reads_from_the_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
