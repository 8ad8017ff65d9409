#include "agent/viewer/rfb.h"

#include <string.h>

#include "tests/unit/unit.h"

#define BIT(feature) FEATURE_BIT(FEATURE_##feature)
#define SERVER_BEGINS                                                                              \
	"RFB "                                                                                     \
	"003.008\n\1\1\0\0\0\0\0\x10\0\x08\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0\0\0\0\1n"
#define CLIENT_BEGINS "RFB 003.008\n\1\1"
#define REQUEST "\3\0\0\0\0\0\0\x10\0\x08"
#define KEY_A "\4\1\0\0\0\0\0a"
#define KEY_A_UP "\4\0\0\0\0\0\0a"
#define CONTROL "\4\1\0\0\0\0\xff\xe3"
#define CONTROL_UP "\4\0\0\0\0\0\xff\xe3"
#define ALT "\4\1\0\0\0\0\xff\xe9"
#define DELETE "\4\1\0\0\0\0\xff\xff"
#define QEMU_DELETE "\xff\0\0\1\0\0\0a\0\0\0\xd3"
#define CLICK "\5\1\0\2\0\3"
#define CUT "\6\0\0\0\0\0\0\3cut"
#define EXTENDED_CUT "\6\0\0\0\xff\xff\xff\xfc\2\0\0\1"
#define SERVER_CUT "\3\0\0\0\0\0\0\3cut"
#define EXTENDED_SERVER_CUT "\3\0\0\0\xff\xff\xff\xfc\2\0\0\1"
#define RESIZE "\373\0\0\x20\0\x10\1\0\0\0\0\1\0\0\0\0\0\x20\0\x10\0\0\0\0"

struct fixture {
	struct rfb rfb;
	struct rfb_keyboard keyboard;
	struct buf out;
	struct error err;
};

#define TAKE_CLIENT(f, literal) take_client(f, literal, sizeof(literal) - 1)
#define TAKE_SERVER(f, literal) take_server(f, literal, sizeof(literal) - 1)
#define ASSERT_OUT(f, literal) assert_out(f, literal, sizeof(literal) - 1)

static int take_client(struct fixture *f, const char *bytes, size_t len)
{
	return rfb_take_client(&f->rfb, bytes, len, &f->out, &f->err);
}

static int take_server(struct fixture *f, const char *bytes, size_t len)
{
	return rfb_take_server(&f->rfb, bytes, len, &f->out, &f->err);
}

/* Exactly this has been passed on since the last time. */
static void assert_out(struct fixture *f, const char *expected, size_t len)
{
	assert_int_equal(f->out.len, len);
	if (len > 0)
		assert_memory_equal(f->out.data, expected, len);
	buf_truncate(&f->out, 0);
}

/* A connection on which both have said hello, and a picture has been asked for. */
static void begin(struct fixture *f, uint32_t features)
{
	*f = (struct fixture){0};
	rfb_init(&f->rfb, features, &f->keyboard);
	assert_int_equal(TAKE_SERVER(f, SERVER_BEGINS), 0);
	assert_int_equal(TAKE_CLIENT(f, CLIENT_BEGINS REQUEST), 0);
	assert_int_equal(f->err.code, ERR_NONE);
	if (f->out.data)
		buf_truncate(&f->out, 0);
}

static void end(struct fixture *f)
{
	rfb_done(&f->rfb);
	buf_done(&f->out);
}

/* --- the client's side -------------------------------------------------------------------------
 */

static void every_message_passes_with_all_features(void **state)
{
	static const char all[] = KEY_A CONTROL ALT DELETE CLICK CUT EXTENDED_CUT RESIZE
		"\377\0\0\1\0\0\0b\0\0\0\x30"
		"\370\0\0\0\0\0\0\1\2xy"
		"\226\1\0\0\0\0\0\x10\0\x08" REQUEST;
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(take_client(&f, all, sizeof(all) - 1), 0);
	assert_out(&f, all, sizeof(all) - 1);
	end(&f);
}

static void a_client_who_may_only_look_reaches_neither_keyboard_nor_pointer_nor_clipboard(
	void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, BIT(display));
	assert_int_equal(TAKE_CLIENT(&f, KEY_A CLICK CUT EXTENDED_CUT RESIZE CONTROL QEMU_DELETE),
			 0);
	ASSERT_OUT(&f, "");
	assert_int_equal(TAKE_CLIENT(&f, REQUEST), 0);
	ASSERT_OUT(&f, REQUEST);
	end(&f);
}

static void each_feature_lets_its_own_messages_through(void **state)
{
	static const struct {
		uint32_t feature;
		const char *bytes;
		size_t len;
	} cases[] = {
		{BIT(keyboard), KEY_A, sizeof(KEY_A) - 1},
		{BIT(mouse), CLICK, sizeof(CLICK) - 1},
		{BIT(mouse), RESIZE, sizeof(RESIZE) - 1},
		{BIT(clipboard_paste), CUT, sizeof(CUT) - 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;

		begin(&f, cases[i].feature | BIT(display));
		assert_int_equal(take_client(&f, cases[i].bytes, cases[i].len), 0);
		assert_out(&f, cases[i].bytes, cases[i].len);
		end(&f);
		begin(&f, FEATURES_ALL & ~cases[i].feature);
		assert_int_equal(take_client(&f, cases[i].bytes, cases[i].len), 0);
		ASSERT_OUT(&f, "");
		end(&f);
	}
}

static void a_desktop_is_always_shared(void **state)
{
	struct fixture f = {0};

	(void)state;
	rfb_init(&f.rfb, FEATURES_ALL, &f.keyboard);
	assert_int_equal(TAKE_CLIENT(&f, "RFB 003.008\n\1\0"), 0);
	ASSERT_OUT(&f, "RFB 003.008\n\1\1");
	end(&f);
}

static void only_encodings_that_can_be_measured_are_asked_for(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	/* Raw, TightPNG, ZRLE, xvp, ZRLE again, extended clipboard, DesktopName, Cursor */
	assert_int_equal(TAKE_CLIENT(&f,
				     "\2\0\0\x08\0\0\0\0\xff\xff\xfe\xfc\0\0\0\x10\xff\xff\xfe\xcb"
				     "\0\0\0\x10\xc0\xa1\xe5\xce\xff\xff\xfe\xcd\xff\xff\xff\x11"),
			 0);
	ASSERT_OUT(&f, "\2\0\0\4\0\0\0\0\0\0\0\x10\xc0\xa1\xe5\xce\xff\xff\xff\x11");
	end(&f);
}

static void the_extended_clipboard_needs_both_rights(void **state)
{
	const uint32_t rights[] = {BIT(clipboard_copy), BIT(clipboard_paste)};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		begin(&f, BIT(display) | BIT(pointer) | rights[i]);
		assert_int_equal(TAKE_CLIENT(&f, "\2\0\0\1\xc0\xa1\xe5\xce"), 0);
		ASSERT_OUT(&f, "\2\0\0\0");
		assert_int_equal(TAKE_CLIENT(&f, EXTENDED_CUT), 0);
		ASSERT_OUT(&f, "");
		assert_int_equal(TAKE_SERVER(&f, EXTENDED_SERVER_CUT), 0);
		ASSERT_OUT(&f, "");
		end(&f);
	}
}

static void ctrl_alt_del_needs_keyboard_sas(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL & ~BIT(keyboard_sas));
	assert_int_equal(TAKE_CLIENT(&f, CONTROL ALT DELETE QEMU_DELETE), 0);
	ASSERT_OUT(&f, CONTROL ALT);
	assert_int_equal(TAKE_CLIENT(&f, CONTROL_UP DELETE CONTROL), 0);
	ASSERT_OUT(&f, CONTROL_UP DELETE); /* the last of the three is left out, whichever it is */
	end(&f);
}

static void two_connections_do_not_put_ctrl_alt_del_together(void **state)
{
	struct fixture f;
	struct rfb other;

	(void)state;
	begin(&f, FEATURES_ALL & ~BIT(keyboard_sas));
	rfb_init(&other, FEATURES_ALL & ~BIT(keyboard_sas), &f.keyboard);
	assert_int_equal(rfb_take_client(&other, CLIENT_BEGINS CONTROL ALT, 30, &f.out, &f.err), 0);
	buf_truncate(&f.out, 0);
	assert_int_equal(TAKE_CLIENT(&f, DELETE), 0);
	ASSERT_OUT(&f, "");
	rfb_done(&other);
	assert_int_equal(TAKE_CLIENT(&f, DELETE), 0);
	ASSERT_OUT(&f, DELETE);
	end(&f);
}

static void keys_and_buttons_are_let_go_when_the_right_to_them_is_lost(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(TAKE_CLIENT(&f, KEY_A CLICK), 0);
	ASSERT_OUT(&f, KEY_A CLICK);
	assert_int_equal(rfb_set_features(&f.rfb, BIT(display), &f.out, &f.err), 0);
	ASSERT_OUT(&f, KEY_A_UP "\5\0\0\2\0\3");
	assert_int_equal(TAKE_CLIENT(&f, KEY_A_UP KEY_A), 0);
	ASSERT_OUT(&f, "");
	end(&f);
}

static void a_lost_right_does_not_wait_for_the_end_of_a_message_that_is_under_way(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(TAKE_CLIENT(&f, KEY_A "\6\0\0\0\0\0\0\3c"), 0);
	ASSERT_OUT(&f, KEY_A);
	assert_int_equal(rfb_set_features(&f.rfb, BIT(display), &f.out, &f.err), 0);
	ASSERT_OUT(&f, KEY_A_UP);
	assert_int_equal(TAKE_CLIENT(&f, "ut"), 0);
	ASSERT_OUT(&f, "");
	end(&f);
}

static void who_goes_in_the_middle_of_a_message_lets_go_of_keys_and_buttons(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(TAKE_CLIENT(&f, KEY_A CLICK "\6\0\0\0\0\0\0\3c"), 0);
	ASSERT_OUT(&f, KEY_A CLICK);
	assert_int_equal(rfb_let_go(&f.rfb, &f.out, &f.err), 0);
	ASSERT_OUT(&f, KEY_A_UP "\5\0\0\2\0\3");
	end(&f);
}

static void a_text_that_no_server_takes_is_dropped(void **state)
{
	static const char rest[RFB_HELD_MAX_BYTES + 1];
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(TAKE_CLIENT(&f, "\6\0\0\0\0\4\0\1"), 0);
	assert_int_equal(take_client(&f, rest, sizeof(rest)), 0);
	assert_int_equal(TAKE_CLIENT(&f, KEY_A), 0);
	ASSERT_OUT(&f, KEY_A);
	end(&f);
}

static void a_right_that_comes_does_not_wait_either(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL & ~BIT(pointer));
	assert_int_equal(TAKE_CLIENT(&f, "\2\0\0\1\0\0\0\7\6\0\0\0\0\0\0\3c"), 0);
	f.out.len = 0;
	assert_int_equal(rfb_set_features(&f.rfb, FEATURES_ALL, &f.out, &f.err), 0);
	ASSERT_OUT(&f, "\2\0\0\1\0\0\0\7");
	assert_int_equal(TAKE_CLIENT(&f, "ut"), 0);
	ASSERT_OUT(&f, CUT);
	end(&f);
}

static void a_lost_clipboard_is_not_asked_for_any_more(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(TAKE_CLIENT(&f, "\2\0\0\2\0\0\0\7\xc0\xa1\xe5\xce"), 0);
	ASSERT_OUT(&f, "\2\0\0\2\0\0\0\7\xc0\xa1\xe5\xce");
	assert_int_equal(
		rfb_set_features(&f.rfb, FEATURES_ALL & ~BIT(clipboard_copy), &f.out, &f.err), 0);
	ASSERT_OUT(&f, "\2\0\0\1\0\0\0\7");
	end(&f);
}

static void what_a_client_may_not_say_at_all_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"\7", 1},                          /* unknown types */
		{"\377\1\0\0\0\0\0\0\0\0\0\0", 12}, /* QEMU's sound */
		{"\6\0\0\0\1\0\0\1", 8},            /* a clipboard above the limit, */
		{"\6\0\0\0\x80\0\0\0", 8},          /* extended, too */
		{"\370\0\0\0\0\0\0\0\x41", 9},      /* fences have 64 bytes */
		{"\0\0\0\0\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0", 20}, /* too late */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;
		struct error err;

		begin(&f, FEATURES_ALL);
		assert_fails(rfb_take_client(&f.rfb, cases[i].bytes, cases[i].len, &f.out, &err),
			     ERR_INVALID);
		end(&f);
	}
}

static void hellos_that_were_not_agreed_on_end_the_connection(void **state)
{
	static const char *const client[] = {"RFB 003.003\n", "GET / HTTP/1", "RFB 003.008\n\2"};
	struct rfb_keyboard keyboard = {{0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(client); i++) {
		AUTO(buf_done) struct buf out = {0};
		struct rfb rfb;
		struct error err;

		rfb_init(&rfb, FEATURES_ALL, &keyboard);
		assert_fails(rfb_take_client(&rfb, client[i], strlen(client[i]), &out, &err),
			     ERR_INVALID);
	}
}

/* --- the server's side -------------------------------------------------------------------------
 */

/* An update of one rectangle, of 16 x 8 pixels of 4 bytes unless they say otherwise. */
#define UPDATE "\0\0\0\1"
#define RECTANGLE UPDATE "\0\0\0\0\0\x10\0\x08"
#define BELL "\2"
#define X8 "xxxxxxxx"
#define X32 X8 X8 X8 X8
#define X128 X32 X32 X32 X32
#define X512 X128 X128 X128 X128

static const struct rectangle {
	const char *name, *bytes;
	size_t len;
} rectangles[] = {
#define R(name, bytes)                                                                             \
	{                                                                                          \
		name, RECTANGLE bytes, sizeof(RECTANGLE bytes) - 1                                 \
	}
	R("Raw", "\0\0\0\0" X512),
	R("CopyRect", "\0\0\0\1xxxx"),
	R("Hextile raw", "\0\0\0\5\1" X512),
	R("Hextile with parts", "\0\0\0\5\16BBBBFFFF\3xxxxxx"),
	R("Hextile with coloured parts", "\0\0\0\5\30\2" X8 "xxxx"),
	R("Hextile of before", "\0\0\0\5\0"),
	R("ZRLE", "\0\0\0\x10\0\0\0\3xxx"),
	R("Tight, filled", "\0\0\0\7\200rgb"),
	R("Tight, JPEG", "\0\0\0\7\220\x03xxx"),
	R("Tight, copied", "\0\0\0\7\0\x80\1" X128),
	R("Tight, bitmap", "\0\0\0\7\100\1\1rgbrgb\x08" X8),
	R("Tight, palette", "\0\0\0\7\100\1\2rgbrgbrgb\x04xxxx"),
	R("Tight, gradient", "\0\0\0\7\140\2\3xxx"),
	R("Cursor", "\xff\xff\xff\x11" X512 "xxxxxxxxxxxxxxxx"),
	R("DesktopSize", "\xff\xff\xff\x21"),
	R("ExtendedDesktopSize", "\xff\xff\xfe\xcc\1\0\0\0xxxxxxxxxxxxxxxx"),
	R("QEMU key", "\xff\xff\xfe\xfe"),
	/* nine bytes are not worth compressing */
	{"Tight, small", UPDATE "\0\0\0\0\0\1\0\3\0\0\0\7\0rgbrgbrgb", 26},
	{"ended by LastRect", "\0\0\xff\xff\0\0\0\0\0\0\0\0\xff\xff\xff\x20", 16},
	{"of no rectangles", "\0\0\0\0", 4},
#undef R
};

static void every_rectangle_ends_where_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rectangles); i++) {
		struct fixture f;

		begin(&f, FEATURES_ALL & ~BIT(audio_out));
		if (take_server(&f, rectangles[i].bytes, rectangles[i].len) < 0)
			fail_msg("%s: %s", rectangles[i].name, f.err.message);
		if (f.out.len != rectangles[i].len)
			fail_msg("%s: %zu bytes are passed on", rectangles[i].name, f.out.len);
		assert_out(&f, rectangles[i].bytes, rectangles[i].len);
		/* where a new message is expected, this one is dropped, and else it would not be */
		assert_int_equal(TAKE_SERVER(&f, BELL), 0);
		if (f.out.len > 0)
			fail_msg("%s: its end is not known", rectangles[i].name);
		end(&f);
	}
}

static void pixels_have_the_size_that_the_client_has_chosen(void **state)
{
	struct fixture f = {0};

	(void)state;
	rfb_init(&f.rfb, BIT(display), &f.keyboard);
	assert_int_equal(
		TAKE_CLIENT(&f, CLIENT_BEGINS
			    "\0\0\0\0\x10\x10\0\1\0\x1f\0\x3f\0\x1f\x0b\5\0\0\0\0" REQUEST),
		0);
	assert_int_equal(TAKE_SERVER(&f, SERVER_BEGINS), 0); /* it was late */
	buf_truncate(&f.out, 0);
	assert_int_equal(TAKE_SERVER(&f, UPDATE "\0\0\0\0\0\2\0\2\0\0\0\0" X8 BELL), 0);
	ASSERT_OUT(&f, UPDATE "\0\0\0\0\0\2\0\2\0\0\0\0" X8);
	end(&f);
}

static void the_clipboard_reaches_those_who_may_copy(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, BIT(display) | BIT(clipboard_copy));
	assert_int_equal(TAKE_SERVER(&f, SERVER_CUT), 0);
	ASSERT_OUT(&f, SERVER_CUT);
	assert_int_equal(rfb_set_features(&f.rfb, BIT(display), &f.out, &f.err), 0);
	assert_int_equal(TAKE_SERVER(&f, SERVER_CUT SERVER_CUT), 0);
	ASSERT_OUT(&f, "");
	end(&f);
}

static void who_may_not_see_the_pointer_gets_an_empty_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, BIT(display));
	assert_int_equal(TAKE_CLIENT(&f, "\2\0\0\1\0\0\0\0"), 0);
	ASSERT_OUT(&f, "\2\0\0\2\0\0\0\0\xff\xff\xff\x11");
	assert_int_equal(TAKE_SERVER(&f, UPDATE "\0\1\0\1\0\2\0\2\xff\xff\xff\x11" X8 X8 "xx"), 0);
	ASSERT_OUT(&f, UPDATE "\0\0\0\0\0\0\0\0\xff\xff\xff\x11");
	end(&f);
}

static void what_a_server_may_not_say_at_all_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"\1", 1},                          /* a colour map */
		{"\372", 1},                        /* xvp */
		{RECTANGLE "\xff\xff\xfe\xcd", 16}, /* DesktopName */
		{RECTANGLE "\0\0\0\7\240", 17},     /* Tight with PNG */
		{RECTANGLE "\0\0\0\7\100\3", 18},   /* Tight with an unknown filter */
		{RECTANGLE "\0\0\0\5\40", 17},      /* Hextile of another kind */
		{"\370\0\0\0\0\0\0\0\x41", 9},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;
		struct error err;

		begin(&f, FEATURES_ALL);
		assert_fails(rfb_take_server(&f.rfb, cases[i].bytes, cases[i].len, &f.out, &err),
			     ERR_INVALID);
		end(&f);
	}
}

static void no_picture_reaches_those_who_have_lost_it(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, FEATURES_ALL);
	assert_int_equal(rfb_set_features(&f.rfb, FEATURES_ALL & ~BIT(display), &f.out, &f.err), 0);
	assert_fails(rfb_take_server(&f.rfb, "\0\0\0\0", 4, &f.out, &err), ERR_INVALID);
	end(&f);
}

static void a_server_that_wants_a_password_is_not_ours(void **state)
{
	struct fixture f = {0};
	struct error err;

	(void)state;
	rfb_init(&f.rfb, FEATURES_ALL, &f.keyboard);
	assert_fails(rfb_take_server(&f.rfb, "RFB 003.008\n\1\2", 14, &f.out, &err), ERR_INVALID);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_passes_with_all_features),
		cmocka_unit_test(
			a_client_who_may_only_look_reaches_neither_keyboard_nor_pointer_nor_clipboard),
		cmocka_unit_test(each_feature_lets_its_own_messages_through),
		cmocka_unit_test(a_desktop_is_always_shared),
		cmocka_unit_test(only_encodings_that_can_be_measured_are_asked_for),
		cmocka_unit_test(the_extended_clipboard_needs_both_rights),
		cmocka_unit_test(ctrl_alt_del_needs_keyboard_sas),
		cmocka_unit_test(two_connections_do_not_put_ctrl_alt_del_together),
		cmocka_unit_test(keys_and_buttons_are_let_go_when_the_right_to_them_is_lost),
		cmocka_unit_test(
			a_lost_right_does_not_wait_for_the_end_of_a_message_that_is_under_way),
		cmocka_unit_test(who_goes_in_the_middle_of_a_message_lets_go_of_keys_and_buttons),
		cmocka_unit_test(a_text_that_no_server_takes_is_dropped),
		cmocka_unit_test(a_right_that_comes_does_not_wait_either),
		cmocka_unit_test(a_lost_clipboard_is_not_asked_for_any_more),
		cmocka_unit_test(what_a_client_may_not_say_at_all_ends_the_connection),
		cmocka_unit_test(hellos_that_were_not_agreed_on_end_the_connection),
		cmocka_unit_test(every_rectangle_ends_where_it_says),
		cmocka_unit_test(pixels_have_the_size_that_the_client_has_chosen),
		cmocka_unit_test(the_clipboard_reaches_those_who_may_copy),
		cmocka_unit_test(who_may_not_see_the_pointer_gets_an_empty_one),
		cmocka_unit_test(what_a_server_may_not_say_at_all_ends_the_connection),
		cmocka_unit_test(no_picture_reaches_those_who_have_lost_it),
		cmocka_unit_test(a_server_that_wants_a_password_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
