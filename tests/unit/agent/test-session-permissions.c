#include "agent/session-permissions.h"

#include <unistd.h>

#include "common/text.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct agent_config config;
	char import_folders[128];
	char *original_folders;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	(void)snprintf(f.import_folders, sizeof(f.import_folders), "%s", f.folder.path);
	f.original_folders = f.config.permissions_import_folders;
	f.config.permissions_import_folders = f.import_folders;
	free(f.config.permissions_default_file);
	f.config.permissions_default_file = strdup(in_folder(&f.folder, "default.perm"));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->config.permissions_import_folders = f->original_folders;
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static struct session *session_of(const char *text)
{
	AUTO(buf_done) struct buf base64 = {0};
	struct create_session_request request = {.name = "n", .owner = "alice", .type = "VIRTUAL"};
	struct error err;
	struct session *s;

	if (text) {
		assert_int_equal(base64_append(&base64, text, strlen(text), &err), 0);
		request.permissions_file = base64.data ? base64.data : "";
	}
	s = session_new("s1", &request, 0, &err);
	assert_non_null(s);
	return s;
}

static void assert_may(const struct session *s, const char *user, uint32_t features)
{
	const struct permissions_user who = {.name = user, .is_owner = strcmp(user, "alice") == 0};
	struct rights rights = {0};
	struct error err;

	assert_non_null(s->rights);
	assert_int_equal(permissions_apply(s->rights, &who, &rights, &err), 0);
	assert_int_equal(rights_features(&rights), features);
}

static int read_text(const struct fixture *f, const char *text, struct error *err)
{
	struct session *s = session_of(text);
	int failed = session_permissions_read("s1", s->permissions, &f->config, &s->rights, err);

	session_free(s);
	return failed;
}

static void without_any_file_the_owner_may_do_all(void **state)
{
	struct fixture *f = *state;
	struct session *s = session_of(NULL);

	session_permissions_restore(s, &f->config);
	assert_may(s, "alice", FEATURES_ALL);
	assert_may(s, "bob", 0);
	session_free(s);
}

static void a_default_file_is_for_sessions_without_their_own(void **state)
{
	struct fixture *f = *state;
	struct session *s = session_of(NULL);

	/* it is the administrator's, who may import from anywhere */
	f->config.permissions_import_folders = (char *)"";
	(void)put(&f->folder, "default.perm", "#import base.perm\n");
	(void)put(&f->folder, "base.perm", "[permissions]\nbob allow usb\n");
	session_permissions_restore(s, &f->config);
	assert_may(s, "alice", 0);
	assert_may(s, "bob", FEATURE_BIT(FEATURE_usb));
	session_free(s);
	s = session_of("[permissions]\n%any% allow display\n");
	session_permissions_restore(s, &f->config);
	assert_may(s, "alice", FEATURE_BIT(FEATURE_display));
	assert_may(s, "bob", FEATURE_BIT(FEATURE_display));
	session_free(s);
}

/* Another host may have a better one. */
static void a_broken_default_file_is_the_hosts_fault(void **state)
{
	struct fixture *f = *state;
	char expected[256];
	struct error err = {0};

	(void)snprintf(expected, sizeof(expected),
		       "Invalid permissions file, line 1 of %s: entry outside of a section",
		       put(&f->folder, "default.perm", "bob allow usb\n"));
	assert_fails(read_text(f, NULL, &err), ERR_SYSTEM);
	assert_string_equal(err.message, expected);
	assert_fails(read_text(f, "bob allow usb\n", &err), ERR_INVALID);
	assert_string_equal(err.message,
			    "Invalid permissions file, line 1: entry outside of a section");
}

static void imports_come_from_the_folders_of_the_settings(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	(void)put(&f->folder, "site/base.perm", "[permissions]\nbob allow usb\n");
	assert_int_equal(read_text(f, "#import site/base.perm\n", &err), 0);
	assert_fails(read_text(f, "#import /etc/hostname\n", &err), ERR_INVALID);
	assert_non_null(strstr(err.message, "outside"));
	f->config.permissions_import_folders = (char *)"";
	assert_fails(read_text(f, "#import site/base.perm\n", &err), ERR_INVALID);
}

static void rights_that_cannot_be_restored_are_nobodys(void **state)
{
	struct fixture *f = *state;
	struct session *s = session_of("#import base.perm\n[permissions]\nalice allow usb\n");

	session_permissions_restore(s, &f->config);
	assert_null(s->rights);
	(void)put(&f->folder, "base.perm", "");
	session_permissions_restore(s, &f->config);
	assert_may(s, "alice", FEATURE_BIT(FEATURE_usb));
	session_free(s);
}

static void unknown_features_are_errors_unless_the_settings_say_otherwise(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char *before = f->config.permissions_unknown_feature;

	assert_fails(read_text(f, "[permissions]\nbob allow hologram\n", &err), ERR_INVALID);
	f->config.permissions_unknown_feature = (char *)"warn";
	assert_int_equal(read_text(f, "[permissions]\nbob allow hologram\n", &err), 0);
	f->config.permissions_unknown_feature = before;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_any_file_the_owner_may_do_all),
		TEST(a_default_file_is_for_sessions_without_their_own),
		TEST(a_broken_default_file_is_the_hosts_fault),
		TEST(imports_come_from_the_folders_of_the_settings),
		TEST(rights_that_cannot_be_restored_are_nobodys),
		TEST(unknown_features_are_errors_unless_the_settings_say_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
