/* Any bytes are permissions or errors with their places, and what is granted follows from it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/permissions.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the corpus imports. */
static const struct {
	const char *name, *text;
} imports[] = {
	{"a.perm", "[aliases]\nlook = display, pointer\n[permissions]\n%any% deny usb\n"},
	{"loop.perm", "#import loop.perm\n"},
	{"deep.perm", "#import a.perm\n#import none.perm\npavel\n"},
};

static char folder[] = "/tmp/fuzz-permissions-XXXXXX\0"; /* a list of one */

static void remove_folder(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(imports); i++) {
		AUTO(free_p) char *path = NULL;

		if (asprintf(&path, "%s/%s", folder, imports[i].name) >= 0)
			(void)unlink(path);
	}
	(void)rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!mkdtemp(folder))
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(imports); i++) {
		AUTO(free_p) char *path = NULL;
		struct error err;

		if (asprintf(&path, "%s/%s", folder, imports[i].name) < 0 ||
		    file_write_volatile(path, imports[i].text, strlen(imports[i].text), 0600,
					&err) < 0)
			abort();
	}
	return atexit(remove_folder);
}

static bool is_in_group(const char *group, void *userdata)
{
	(void)userdata;
	return strlen(group) % 2 == 0;
}

/* Nobody gets what no line gives, and nobody keeps what is denied. */
static void check_rights(const struct permissions *p, const char *name, bool is_owner)
{
	const struct permissions_user user = {
		.name = name, .is_owner = is_owner, .is_in_os_group = is_in_group};
	struct rights rights = {0};
	struct error err;

	if (permissions_apply(p, &user, &rights, &err) < 0)
		abort();
	for (unsigned i = 0; i < N_FEATURES; i++) {
		bool is_granted = rights_features(&rights) & FEATURE_BIT(i);

		if (is_granted != (rights.grounds[i].rule == RULE_ALLOW))
			abort();
		if ((rights.denied & FEATURE_BIT(i)) && rights.grounds[i].rule != RULE_DENY)
			abort();
		if (rights.grounds[i].rule != RULE_NONE && rights.grounds[i].place.line == 0)
			abort();
	}
	if (rights_features(&rights) & ~FEATURES_ALL)
		abort();
}

static void check_order(const struct problems *problems)
{
	if (problems->n != (problems->total < PROBLEMS_MAX ? problems->total : PROBLEMS_MAX))
		abort();
	for (size_t i = 0; i < problems->n; i++) {
		if (problems->items[i].line == 0 || !problems->items[i].text ||
		    (i > 0 && problems->items[i].order < problems->items[i - 1].order))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct permissions_options options = {.import_folders = folder};
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};
	int failed;

	options.ignores_case = size % 2 == 0;
	options.tolerates_unknown_features = size % 3 == 0;
	failed = permissions_parse((const char *)data, size, &options, &p, &report, &err);
	check_order(&report.errors);
	check_order(&report.warnings);
	if (failed == 0) {
		if (report.errors.total > 0)
			abort();
		check_rights(p, "pavel", false);
		check_rights(p, "olga", true);
		check_rights(p, NULL, false);
	} else if (err.code == ERR_INVALID && report.errors.total == 0) {
		abort();
	}
	permissions_free(p);
	permissions_report_done(&report);
	return 0;
}
