#include "agent/render-node.h"

#include <sys/sysmacros.h>

#include "tests/unit/agent/fixture.h"

/* Devices that every host has stand for render nodes. */
#define NODES "/dev/nul?\0/dev/z*ro\0/dev/full\0"

static int set_up(void **state)
{
	static struct folder f;

	folder_make(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	folder_remove(*state);
	return 0;
}

struct users {
	long long null, zero, full;
};

static long long users_of(const char *path, void *userdata)
{
	const struct users *users = userdata;

	if (strcmp(path, "/dev/null") == 0)
		return users->null;
	if (strcmp(path, "/dev/zero") == 0)
		return users->zero;
	assert_string_equal(path, "/dev/full");
	return users->full;
}

static void assert_chosen(struct users users, const char *expected)
{
	AUTO(free_p) char *path = NULL;
	struct error err;

	assert_int_equal(render_node_choose(NODES, users_of, &users, &path, &err), 0);
	assert_string_equal(path, expected);
}

static void the_least_used_is_chosen_and_of_equals_the_first(void **state)
{
	(void)state;
	assert_chosen((struct users){0, 0, 0}, "/dev/null");
	assert_chosen((struct users){1, 0, 0}, "/dev/zero");
	assert_chosen((struct users){1, 1, 0}, "/dev/full");
	assert_chosen((struct users){1, 1, 1}, "/dev/null");
	assert_chosen((struct users){3, 2, 2}, "/dev/zero");
}

static void without_a_device_the_reason_says_what_was_looked_for(void **state)
{
	struct folder *f = *state;
	char patterns[256] = {0};
	char *path = NULL;
	struct error err;

	(void)put(f, "renderD128", "no device");
	(void)snprintf(patterns, sizeof(patterns) - 1, "%s/renderD*", f->path);
	assert_fails(render_node_choose(patterns, users_of, NULL, &path, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "there is no device"));
	assert_non_null(strstr(err.message, patterns));
	assert_fails(render_node_choose("\0", users_of, NULL, &path, &err), ERR_UNSUPPORTED);
	assert_string_equal(err.message, "DcvGlEnabled: this host gives sessions no GPU");
	assert_null(path);
}

static void only_what_the_patterns_name_is_allowed(void **state)
{
	(void)state;
	assert_true(render_node_is_allowed(NODES, "/dev/null"));
	assert_true(render_node_is_allowed(NODES, "/dev/full"));
	assert_false(render_node_is_allowed(NODES, "/dev/random"));
	assert_false(render_node_is_allowed(NODES, "/dev/z/../ero"));
	assert_false(render_node_is_allowed("/dev/*/null\0", "/dev/../null"));
	assert_false(render_node_is_allowed("/d*v/../null\0", "/dev/../null"));
	assert_false(render_node_is_allowed("\0", "/dev/null"));
	assert_false(render_node_is_allowed(NODES, ""));
}

static void what_is_no_device_or_gone_is_the_hosts_fault(void **state)
{
	struct folder *f = *state;
	struct error err;

	assert_int_equal(render_node_try("/dev/null", "alice", &err), 0);
	assert_fails(render_node_try(put(f, "file", "x"), "alice", &err), ERR_SYSTEM);
	assert_fails(render_node_try("/dev/no-such-device", "alice", &err), ERR_SYSTEM);
	assert_memory_equal(err.message, "open the GPU /dev/no-such-device: ", 34);
}

/* Where @path leads in sysfs, below the test's folder. */
static void put_gpu(const struct folder *f, const char *path, const char *name)
{
	char file[256];
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	(void)snprintf(file, sizeof(file), "sys/dev/char/%u:%u/device/drm/%s/dev",
		       major(st.st_rdev), minor(st.st_rdev), name);
	(void)put(f, file, "");
}

static const char *display(const struct folder *f, const char *path)
{
	static char text[RENDER_NODE_DISPLAY_SIZE];

	render_node_display(f->path, path, text);
	return text;
}

static void virtualgl_is_told_the_primary_node_of_the_same_gpu(void **state)
{
	struct folder *f = *state;

	put_gpu(f, "/dev/null", "renderD128");
	put_gpu(f, "/dev/null", "card0");
	put_gpu(f, "/dev/zero", "card1");
	put_gpu(f, "/dev/zero", "card1-DP-1");
	(void)put(f, "dev/dri/card0", "");
	(void)put(f, "dev/dri/card1", "");
	assert_string_equal(display(f, "/dev/null"), "/dev/dri/card0");
	assert_string_equal(display(f, "/dev/zero"), "/dev/dri/card1");
}

static void a_gpu_without_a_primary_node_here_is_the_first_one_of_egl(void **state)
{
	struct folder *f = *state;

	put_gpu(f, "/dev/null", "renderD128");
	put_gpu(f, "/dev/null", "cardinal");
	put_gpu(f, "/dev/zero", "card7"); /* which is not in this container */
	assert_string_equal(display(f, "/dev/null"), "egl");
	assert_string_equal(display(f, "/dev/zero"), "egl");
	assert_string_equal(display(f, "/dev/full"), "egl");
	assert_string_equal(display(f, "/dev/no-such-device"), "egl");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_least_used_is_chosen_and_of_equals_the_first),
		TEST(without_a_device_the_reason_says_what_was_looked_for),
		TEST(only_what_the_patterns_name_is_allowed),
		TEST(what_is_no_device_or_gone_is_the_hosts_fault),
		TEST(virtualgl_is_told_the_primary_node_of_the_same_gpu),
		TEST(a_gpu_without_a_primary_node_here_is_the_first_one_of_egl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
