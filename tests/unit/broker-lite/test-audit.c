#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "broker-lite/audit.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/unit/unit.h"

static const struct log_rotation rotation = {.max_bytes = 1 << 20, .n_kept = 3};

struct fixture {
	char folder[64], path[128];
	struct audit audit;
};

static int set_up(void **state)
{
	static struct fixture f;

	log_set_level(LOG_LEVEL_ERROR);
	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/test-audit-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	(void)snprintf(f.path, sizeof(f.path), "%s/audit.log", f.folder);
	audit_init(&f.audit);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	audit_close(&f->audit);
	(void)unlink(f->path);
	return rmdir(f->folder);
}

static void open_audit(struct fixture *f)
{
	struct error err;

	assert_int_equal(audit_open(&f->audit, f->folder, &rotation, &err), 0);
}

/* The line of this number, from 0, without its time; a new reference. */
static json_t *line(const struct fixture *f, size_t number)
{
	AUTO(buf_done) struct buf text = {0};
	const char *at;
	struct error err;
	json_t *object;
	long long ms;

	assert_int_equal(file_read(f->path, 1 << 20, &text, &err), 0);
	for (at = text.data; number > 0; number--)
		at = strchr(at, '\n') + 1;
	assert_int_equal(json_parse(at, strcspn(at, "\n"), &object, &err), 0);
	assert_true(time_parse(json_get_text(object, "time"), &ms));
	(void)json_object_del(object, "time");
	return object;
}

static void assert_line(const struct fixture *f, size_t number, json_t *expected)
{
	json_auto_t *written = line(f, number);

	assert_non_null(expected);
	if (!json_equal(written, expected))
		fail_msg("%s", json_dumps(written, 0));
	json_decref(expected);
}

static void a_line_tells_who_did_what_to_what(void **state)
{
	struct fixture *f = *state;
	const struct client client = {.id = "c1", .name = (char *)"portal \"x\"\n"};

	open_audit(f);
	audit_add(&f->audit, &(struct audit_entry){.what = "DeleteSessions",
						   .who = AUDIT_CLIENT,
						   .client = &client,
						   .address = "192.0.2.7",
						   .session = "s1",
						   .server = "h1",
						   .request_id = "r1"});
	audit_add(&f->audit, &(struct audit_entry){.what = "register-api-client",
						   .who = AUDIT_COMMAND,
						   .uid = 0,
						   .object = "c2",
						   .address = "",
						   .has_failed = true,
						   .reason = "because"});
	audit_add(&f->audit, &(struct audit_entry){.what = "unregister-api-client",
						   .who = AUDIT_COMMAND,
						   .uid = 113});
	audit_flush(&f->audit);
	assert_line(f, 0,
		    json_pack("{s:s,s:{s:s,s:s,s:s,s:s},s:s,s:s,s:s,s:s}", "what", "DeleteSessions",
			      "who", "kind", "client", "id", "c1", "name", "portal \"x\"\n",
			      "address", "192.0.2.7", "session", "s1", "server", "h1", "outcome",
			      "done", "request", "r1"));
	assert_line(f, 1,
		    json_pack("{s:s,s:{s:s,s:i,s:s},s:s,s:s,s:s}", "what", "register-api-client",
			      "who", "kind", "command", "uid", 0, "name", "root", "object", "c2",
			      "outcome", "failed", "reason", "because"));
	assert_line(f, 2,
		    json_pack("{s:s,s:{s:s,s:i},s:s}", "what", "unregister-api-client", "who",
			      "kind", "command", "uid", 113, "outcome", "done"));
}

static void what_was_lost_is_counted_and_told_in_the_next_line(void **state)
{
	const struct audit_entry entry = {.what = "x", .who = AUDIT_BROKER};
	struct fixture *f = *state;

	audit_add(&f->audit, &entry);
	audit_add(&f->audit, &entry);
	audit_flush(&f->audit);
	assert_int_equal(audit_n_dropped(&f->audit), 2);
	open_audit(f);
	audit_add(&f->audit, &entry);
	audit_add(&f->audit, &entry);
	audit_flush(&f->audit);
	assert_int_equal(audit_n_dropped(&f->audit), 2);
	assert_line(f, 0,
		    json_pack("{s:s,s:{s:s},s:s,s:i}", "what", "LinesDropped", "who", "kind",
			      "broker", "outcome", "failed", "lines", 2));
	for (size_t i = 1; i <= 2; i++)
		assert_line(f, i,
			    json_pack("{s:s,s:{s:s},s:s}", "what", "x", "who", "kind", "broker",
				      "outcome", "done"));
}

static void a_burst_is_written_before_it_takes_much_memory(void **state)
{
	struct fixture *f = *state;
	const struct audit_entry entry = {.what = "x", .who = AUDIT_BROKER};

	open_audit(f);
	for (unsigned i = 0; i < 10000; i++)
		audit_add(&f->audit, &entry);
	assert_true(f->audit.held.capacity < 256 << 10);
	audit_flush(&f->audit);
	json_decref(line(f, 9999));
	assert_int_equal(audit_n_dropped(&f->audit), 0);
}

static void an_entry_that_is_not_utf8_is_still_a_line(void **state)
{
	struct fixture *f = *state;

	open_audit(f);
	audit_add(&f->audit,
		  &(struct audit_entry){.what = "x", .who = AUDIT_BROKER, .session = "\xff"});
	audit_flush(&f->audit);
	assert_line(f, 0,
		    json_pack("{s:s,s:{s:s},s:s,s:s}", "what", "x", "who", "kind", "broker",
			      "outcome", "done", "session", "\uFFFD"));
}

#define WITH_AUDIT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_AUDIT(a_line_tells_who_did_what_to_what),
		WITH_AUDIT(what_was_lost_is_counted_and_told_in_the_next_line),
		WITH_AUDIT(a_burst_is_written_before_it_takes_much_memory),
		WITH_AUDIT(an_entry_that_is_not_utf8_is_still_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
