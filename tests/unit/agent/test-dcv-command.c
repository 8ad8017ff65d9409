/* Commands that this test writes as scripts. */
#include "agent/engines/dcv-command.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct loop loop;
	struct dcv_commands *commands;
	const char *program;
	unsigned n_answers, n_wanted;
	enum error_code code;
	char text[400];
};

static void on_answer(struct buf *output, const struct error *err, void *userdata)
{
	struct fixture *f = userdata;

	f->n_answers++;
	f->code = err ? err->code : ERR_NONE;
	(void)snprintf(f->text, sizeof(f->text), "%s",
		       err            ? err->message
		       : output->data ? output->data
				      : "");
}

static void make(struct fixture *f, const char *script)
{
	struct error err;

	*f = (struct fixture){0};
	folder_make(&f->folder);
	f->program = put(&f->folder, "dcv", script);
	assert_int_equal(chmod(f->program, 0755), 0);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	f->commands = dcv_commands_new(&f->loop, f->program, &err);
	assert_non_null(f->commands);
}

static void unmake(struct fixture *f)
{
	dcv_commands_free(f->commands);
	run_now(&f->loop);
	loop_stop(&f->loop);
	loop_run(&f->loop);
	loop_done(&f->loop);
	folder_remove(&f->folder);
}

static void order(struct fixture *f, unsigned long long limit_ms, const char *argument)
{
	const struct dcv_order order = {
		.limit_ms = limit_ms, .output_max_bytes = 100, .done = on_answer, .userdata = f};
	struct dcv_arguments arguments = {0};
	struct error err;

	dcv_arguments_add(&arguments, "list");
	dcv_arguments_add_option(&arguments, "--name", argument);
	assert_int_equal(dcv_command_run(f->commands, &order, &arguments, NULL, &err), 0);
	f->n_wanted++;
}

static void wait_for_answers(struct fixture *f)
{
	run_until(&f->loop, f->n_answers == f->n_wanted);
}

static void arguments_arrive_as_they_are(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, "#!/bin/sh\nprintf '<%s>' \"$@\" \"$LC_ALL\"\n");
	order(&f, PATIENCE_MS, "-x $(id) 'y'");
	wait_for_answers(&f);
	assert_string_equal(f.text, "<list><--name=-x $(id) 'y'><C.UTF-8>");
	unmake(&f);
}

static void failures_have_their_reason(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, "#!/bin/sh\necho out; printf '\\n  No \\033licence\\nmore\\n' >&2; exit 3\n");
	order(&f, PATIENCE_MS, NULL);
	wait_for_answers(&f);
	assert_int_equal(f.code, ERR_SYSTEM);
	assert_string_equal(f.text, "dcv list: No ?licence");
	assert_int_equal(unlink(f.program), 0);
	order(&f, PATIENCE_MS, NULL);
	wait_for_answers(&f);
	assert_int_equal(f.code, ERR_UNREACHABLE);
	unmake(&f);
}

static void output_is_bounded(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, "#!/bin/sh\nwhile :; do echo 0123456789; done\n");
	order(&f, PATIENCE_MS, NULL);
	wait_for_answers(&f);
	assert_int_equal(f.code, ERR_TOO_LARGE);
	unmake(&f);
}

/* Whoever has inherited it may be slow to take its status. */
static bool has_ended(int pid)
{
	AUTO(fclose_p) FILE *file = NULL;
	char path[64], state = '\0';

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	return !file || fscanf(file, "%*d %*s %c", &state) != 1 || state == 'Z';
}

static void a_command_that_hangs_is_ended_with_its_children(void **state)
{
	struct fixture f;
	AUTO(buf_done) struct buf pid = {0};
	struct error err;

	(void)state;
	make(&f, "#!/bin/sh\nsleep 1000 &\necho $! >\"$0.pid\"\nwait\n");
	order(&f, 500, NULL);
	wait_for_answers(&f);
	assert_int_equal(f.code, ERR_TIMEOUT);
	assert_int_equal(file_read(in_folder(&f.folder, "dcv.pid"), 100, &pid, &err), 0);
	while (!has_ended(atoi(pid.data)))
		(void)uv_run(&f.loop.uv, UV_RUN_NOWAIT);
	unmake(&f);
}

/* Each command writes a line when it begins and when it ends. */
static void four_run_at_a_time(void **state)
{
	struct fixture f;
	AUTO(buf_done) struct buf log = {0};
	struct error err;
	int n = 0, most = 0;

	(void)state;
	make(&f, "#!/bin/sh\nprintf + >>\"$0.log\"\nsleep 0.3\nprintf - >>\"$0.log\"\n");
	for (int i = 0; i < 9; i++)
		order(&f, PATIENCE_MS, NULL);
	wait_for_answers(&f);
	assert_int_equal(file_read(in_folder(&f.folder, "dcv.log"), 100, &log, &err), 0);
	assert_int_equal(log.len, 18);
	for (size_t i = 0; i < log.len; i++) {
		n += log.data[i] == '+' ? 1 : -1;
		most = n > most ? n : most;
	}
	assert_int_equal(most, DCV_COMMANDS_AT_ONCE);
	unmake(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_arrive_as_they_are),
		cmocka_unit_test(failures_have_their_reason),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(a_command_that_hangs_is_ended_with_its_children),
		cmocka_unit_test(four_run_at_a_time),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
