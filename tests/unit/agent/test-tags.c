#include "agent/tags.h"

#include "common/json.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct agent_config config;
	json_t *wrong;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	(void)put(&f.folder, "tags/.keep", "");
	f.config.tags_folder = strdup(in_folder(&f.folder, "tags"));
	f.wrong = json_array();
	*state = &f;
	return f.wrong ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	json_decref(f->wrong);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

/* "key=value key=value" of all tags, in their order, but for the automatic ones. */
static const char *load(struct fixture *f)
{
	static char text[4096];
	json_auto_t *tags = tags_load(&f->config, f->wrong);
	size_t i, len = 0;
	json_t *tag;

	assert_non_null(tags);
	text[0] = '\0';
	json_array_foreach(tags, i, tag)
	{
		if (strncmp(json_get_text(tag, "Key"), "dcv:", 4) != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s",
						len ? " " : "", json_get_text(tag, "Key"),
						json_get_text(tag, "Value"));
		assert_int_equal(json_object_size(tag), 2);
	}
	return text;
}

static void a_later_file_wins_and_keys_are_sorted(void **state)
{
	struct fixture *f = *state;

	(void)put(&f->folder, "tags/20-site.toml", "rack = 'c1'\npurpose = \"training\"\n");
	(void)put(&f->folder, "tags/10-hardware.toml", "gpu = \"none\"\nrack = 'b4'\n");
	assert_string_equal(load(f), "gpu=none purpose=training rack=c1");
}

static void names_are_ordered_by_their_bytes(void **state)
{
	struct fixture *f = *state;

	(void)put(&f->folder, "tags/a.toml", "k = 'a'\n");
	(void)put(&f->folder, "tags/B.toml", "k = 'B'\n");
	(void)put(&f->folder, "tags/10.toml", "k = '10'\n");
	(void)put(&f->folder, "tags/9.toml", "k = '9'\n");
	assert_string_equal(load(f), "k=a");
}

static void values_of_every_single_type_are_texts(void **state)
{
	struct fixture *f = *state;

	(void)put(&f->folder, "tags/t.toml",
		  "s = 'x y'\nn = 7\nm = -1\nfloat = 1.5\nyes = true\nempty = ''\n");
	assert_string_equal(load(f), "empty= float=1.5 m=-1 n=7 s=x y yes=true");
}

static void a_file_that_is_wrong_is_left_out_as_a_whole(void **state)
{
	static const char *const bad[] = {
		"good = 'x'\nlist = ['a', 'b']\n", "good = 'x'\n[table]\nk = 'v'\n",
		"good = 'x'\n'dcv:own' = 'v'\n",   "good = 'x'\nnonsense\n",
		"good = 'x'\nk = '\xff'\n",        "good = 'x'\nk = 2026-03-02\n",
		"good = 'x'\n\"\xc3\" = 'v'\n",
	};
	struct fixture *f = *state;

	(void)put(&f->folder, "tags/1.toml", "kept = 'yes'\n");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)put(&f->folder, "tags/2.toml", bad[i]);
		assert_string_equal(load(f), "kept=yes");
	}
}

static void an_error_tells_file_and_line(void **state)
{
	static const struct {
		const char *text, *sentence;
	} bad[] = {
		{"a = 'x'\n\nlist = ['a', 'b']\n", "line 3: tag 'list' must be a single value"},
		{"[table]\nk = 'v'\n", "line 2: tags have no tables"},
		{"a.b = 'v'\n", "line 1: tags have no tables"},
		{"'dcv:own' = 'v'\n", "line 1: 'dcv:own': names with dcv: are reserved"},
		{"a = 'x'\nb = '1'\na = 'y'\n", "line 3: tag 'a' was given before"},
		{"'' = 'x'\n", "line 1: a tag needs a name"},
		{"a = 'x'\nday = 2026-03-02\n", "line 2: "},
		{"a = {b = 'c'}\n", "line 1: "},
		{"a = 'x'\nnonsense\n", "line 2: "},
	};
	struct fixture *f = *state;
	char sentence[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "tags/%zu.toml", i);
		(void)put(&f->folder, name, bad[i].text);
		assert_string_equal(load(f), "");
		(void)snprintf(sentence, sizeof(sentence), "tags left out: %s: %s",
			       in_folder(&f->folder, name), bad[i].sentence);
		assert_int_equal(json_array_size(f->wrong), i + 1);
		assert_memory_equal(json_string_value(json_array_get(f->wrong, i)), sentence,
				    strlen(sentence));
		(void)unlink(in_folder(&f->folder, name));
	}
}

static void only_visible_toml_files_are_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo(in_folder(&f->folder, "tags/pipe.toml"), 0600), 0);
	(void)put(&f->folder, "tags/folder.toml/x.toml", "f = '1'\n");
	(void)put(&f->folder, "tags/.hidden.toml", "a = '1'\n");
	(void)put(&f->folder, "tags/agent.conf", "b = '1'\n");
	(void)put(&f->folder, "tags/x.toml.bak", "c = '1'\n");
	(void)put(&f->folder, "tags/below/x.toml", "d = '1'\n");
	(void)put(&f->folder, "tags/.toml", "e = '1'\n");
	assert_string_equal(load(f), "");
}

static void the_automatic_tags_are_there_without_any_file(void **state)
{
	struct fixture *f = *state;
	json_auto_t *tags = NULL, *expected = NULL;

	free(f->config.tags_folder);
	f->config.tags_folder = strdup("/no/such/folder");
	f->config.max_virtual_sessions = 4;
	tags = tags_load(&f->config, f->wrong);
	expected = json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "Key",
			     "dcv:max-concurrent-sessions-per-user", "Value", "-1", "Key",
			     "dcv:max-virtual-sessions", "Value", "4", "Key", "dcv:os-family",
			     "Value", "linux");
	assert_true(json_equal(tags, expected));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_later_file_wins_and_keys_are_sorted),
		TEST(names_are_ordered_by_their_bytes),
		TEST(values_of_every_single_type_are_texts),
		TEST(a_file_that_is_wrong_is_left_out_as_a_whole),
		TEST(an_error_tells_file_and_line),
		TEST(only_visible_toml_files_are_read),
		TEST(the_automatic_tags_are_there_without_any_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
