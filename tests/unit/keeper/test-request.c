#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/protocol.h"
#include "agent/keeper/request.h"
#include "common/cleanup.h"

#define PARSE(request, text, err) request_parse(request, text, sizeof(text) - 1, err)

static void a_start_is_taken_apart(void **state)
{
	AUTO(request_done) struct request r = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(
		PARSE(&r,
		      "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0INIT_FILE=a.sh\0"
		      "RENDER_NODE=/dev/dri/renderD128\0"
		      "AUTORUN_FILE=b.sh\0ARGUMENT=one\0ARGUMENT=\0ARGUMENT=$(x) \"y\"\n\0",
		      &err),
		0);
	assert_int_equal(r.operation, OPERATION_START);
	assert_string_equal(r.session_id, "s1");
	assert_string_equal(r.owner, "alice");
	assert_string_equal(r.init_file, "a.sh");
	assert_string_equal(r.autorun_file, "b.sh");
	assert_string_equal(r.render_node, "/dev/dri/renderD128");
	assert_int_equal(r.n_arguments, 3);
	assert_string_equal(r.arguments[0], "one");
	assert_string_equal(r.arguments[1], "");
	assert_string_equal(r.arguments[2], "$(x) \"y\"\n");
	assert_null(r.arguments[3]);
}

static void a_session_is_virtual_unless_it_is_said_otherwise(void **state)
{
	AUTO(request_done) struct request none = {0};
	AUTO(request_done) struct request given = {0};
	AUTO(request_done) struct request console = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&none, "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0", &err), 0);
	assert_false(none.is_console);
	assert_int_equal(
		PARSE(&given, "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0TYPE=virtual\0", &err),
		0);
	assert_false(given.is_console);
	assert_int_equal(PARSE(&console,
			       "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0TYPE=console\0", &err),
			 0);
	assert_true(console.is_console);
}

static void absent_files_are_told_from_empty_names(void **state)
{
	AUTO(request_done) struct request r = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(
		PARSE(&r, "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0INIT_FILE=\0", &err), 0);
	assert_string_equal(r.init_file, "");
	assert_null(r.autorun_file);
}

static void the_other_operations_have_their_fields(void **state)
{
	AUTO(request_done) struct request stop = {0};
	AUTO(request_done) struct request capture = {0};
	AUTO(request_done) struct request clean = {0};
	AUTO(request_done) struct request usage = {0};
	AUTO(request_done) struct request notify = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&stop, "OPERATION=stop\0REASON=deleted\0", &err), 0);
	assert_string_equal(stop.reason, "deleted");
	assert_int_equal(PARSE(&capture, "OPERATION=capture\0TAG=7\0", &err), 0);
	assert_string_equal(capture.tag, "7");
	assert_int_equal(PARSE(&clean, "OPERATION=clean\0NUMBER=12\0", &err), 0);
	assert_int_equal(clean.number, 12);
	assert_int_equal(PARSE(&usage, "OPERATION=usage\0", &err), 0);
	assert_int_equal(usage.operation, OPERATION_USAGE);
	assert_int_equal(PARSE(&notify, "OPERATION=notify\0TEXT=-x $(y)\0", &err), 0);
	assert_string_equal(notify.text, "-x $(y)");
}

static void assert_refused(const char *packet, size_t len, const char *sentence)
{
	AUTO(request_done) struct request r = {0};
	struct error err = {0};

	assert_int_equal(request_parse(&r, packet, len, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	if (!strstr(err.message, sentence))
		fail_msg("'%s' does not say '%s'", err.message, sentence);
}

#define REFUSED(packet, sentence) assert_refused(packet, sizeof(packet) - 1, sentence)
#define START "OPERATION=start\0SESSION_ID=s1\0OWNER=alice\0"

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	REFUSED("", "message of 0 bytes");
	REFUSED("OPERATION=start", "");
	REFUSED("OPERATION=\0", "OPERATION");
	REFUSED("SESSION_ID=s1\0OPERATION=start\0OWNER=a\0", "first");
	REFUSED(START "OPERATION=start\0", "first");
	REFUSED(START "OWNER=bob\0", "OWNER: given twice");
	REFUSED(START "TAG=1\0", "unknown field 'TAG'");
	REFUSED(START "COLOUR=1\0", "unknown field 'COLOUR'");
	REFUSED(START "ARGUMENT=1\0", "ARGUMENT without AUTORUN_FILE");
	REFUSED(START "TYPE=\0", "TYPE: expected virtual or console");
	REFUSED(START "TYPE=CONSOLE\0", "TYPE: expected virtual or console");
	REFUSED(START "TYPE=console\0INIT_FILE=a\0", "a console session starts no INIT_FILE");
	REFUSED(START "TYPE=console\0AUTORUN_FILE=a\0", "a console session starts no AUTORUN_FILE");
	REFUSED("OPERATION=stop\0TYPE=console\0", "unknown field 'TYPE'");
	REFUSED("OPERATION=stop\0ARGUMENT=1\0", "unknown field 'ARGUMENT'");
	REFUSED("OPERATION=start\0OWNER=alice\0", "SESSION_ID is missing");
	REFUSED("OPERATION=start\0SESSION_ID=s1\0", "OWNER is missing");
	REFUSED("OPERATION=start\0SESSION_ID=a/b\0OWNER=a\0", "SESSION_ID: expected");
	REFUSED("OPERATION=start\0SESSION_ID=..\0OWNER=a\0", "SESSION_ID: expected");
	REFUSED("OPERATION=start\0SESSION_ID=\0OWNER=a\0", "SESSION_ID: expected");
	REFUSED("OPERATION=capture\0", "TAG is missing");
	REFUSED("OPERATION=connect\0", "TAG is missing");
	REFUSED("OPERATION=notify\0", "TEXT is missing");
	REFUSED("OPERATION=usage\0TEXT=x\0", "unknown field 'TEXT'");
	REFUSED("OPERATION=clean\0NUMBER=1x\0", "NUMBER: expected");
	REFUSED("OPERATION=clean\0NUMBER=-1\0", "NUMBER: expected");
}

static void a_packet_has_a_largest_size(void **state)
{
	AUTO(free_p) char *packet = calloc(1, KEEPER_MESSAGE_MAX_BYTES + 1);

	(void)state;
	assert_non_null(packet);
	assert_refused(packet, KEEPER_MESSAGE_MAX_BYTES + 1, "message of");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_is_taken_apart),
		cmocka_unit_test(a_session_is_virtual_unless_it_is_said_otherwise),
		cmocka_unit_test(absent_files_are_told_from_empty_names),
		cmocka_unit_test(the_other_operations_have_their_fields),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_packet_has_a_largest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
