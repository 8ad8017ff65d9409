#include "ctl/check-permissions.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/os-groups.h"
#include "common/permissions.h"
#include "ctl/indent.h"
#include "ctl/outcome.h"
#include "ctl/table.h"
#include "ctl/visible.h"

/* What is asked for, and what was found. */
struct check {
	const char *file, *user, *owner; /* user and owner: NULL if not given */
	bool wants_json, wants_all;
	struct permissions *permissions; /* NULL: there are errors */
	struct permissions_report report;
};

static void check_done(struct check *check)
{
	permissions_free(check->permissions);
	permissions_report_done(&check->report);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void warn_of_groups(struct check *check)
{
	struct place place;
	const char *group;
	size_t at = 0;
	gid_t gid;

	while ((group = permissions_next_os_group(check->permissions, &at, &place))) {
		if (!os_group_find(group, &gid))
			problems_add(&check->report.warnings, &place, "there is no group %s here",
				     group);
	}
}

/* A file with errors has been read well, too. */
static int read_file(struct check *check, const struct arguments *args, struct error *err)
{
	const char *unknown_feature = arguments_text(args, "unknown-feature");
	const struct permissions_options options = {
		.ignores_case = arguments_flag(args, "ignore-case"),
		.tolerates_unknown_features = unknown_feature &&
					      strcmp(unknown_feature, "warn") == 0,
	};

	if (permissions_load(check->file, &options, &check->permissions, &check->report, err) == 0)
		warn_of_groups(check);
	else if (check->report.errors.total == 0)
		return -1;
	return 0;
}

static bool is_in_os_group(const char *group, void *userdata)
{
	return os_groups_have(userdata, group);
}

/* The rights of a user, or without a name those of any owner or of anybody else. */
static int evaluate(const struct check *check, const char *name, bool is_owner, struct rights *ret,
		    struct error *err)
{
	AUTO(os_groups_done) struct os_groups groups = {0};
	const struct permissions_user user = {
		.name = name,
		.is_owner = is_owner,
		.is_in_os_group = name ? is_in_os_group : NULL,
		.userdata = &groups,
	};

	if (name && os_groups_load(&groups, name, err) < 0)
		return -1;
	*ret = (struct rights){0};
	return permissions_apply(check->permissions, &user, ret, err);
}

/* Of the user that was asked for: --user, or else --owner. */
static int evaluate_user(const struct check *check, struct rights *ret, struct error *err)
{
	const char *name = check->user ? check->user : check->owner;
	bool is_owner = check->owner &&
			permissions_same_user(check->permissions, name, check->owner);

	return evaluate(check, name, is_owner, ret, err);
}

/* --- for people --------------------------------------------------------------------------------
 */

static int print_problems(const struct check *check, const struct problems *problems,
			  const char *mark, struct buf *out, struct error *err)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];
		AUTO(free_p) char *line = NULL;

		if (asprintf(&line, "%s:%u: %s%s", p->file ? p->file : check->file, p->line, mark,
			     p->text ? p->text : "") < 0) {
			line = NULL;
			return error_oom(err);
		}
		if (visible_append(out, line, NULL, err) < 0 || buf_append_text(out, "\n", err) < 0)
			return -1;
	}
	return 0;
}

static int print_ground(const struct check *check, const struct ground *ground, struct buf *out,
			struct error *err)
{
	bool is_import = ground->place.file && strcmp(ground->place.file, check->file) != 0;

	if (ground->rule == RULE_NONE)
		return buf_append_text(out, "no line speaks of it", err);
	return buf_printf(out, err, "%s in line %u%s%s", rule_name(ground->rule),
			  ground->place.line, is_import ? " of " : "",
			  is_import ? ground->place.file : "");
}

static int print_rows(const struct table *table, struct buf *out, struct error *err)
{
	if (table->n_rows == 0)
		return buf_append_text(out, "no features\n", err);
	return table_print(table, out, err);
}

static int print_user(const struct check *check, struct buf *out, struct error *err)
{
	AUTO(table_done) struct table table = {.heads = {"FEATURE", "ALLOWED", "BECAUSE"}};
	struct rights rights;

	if (evaluate_user(check, &rights, err) < 0)
		return -1;
	for (unsigned i = 0; i < N_FEATURES; i++) {
		AUTO(buf_done) struct buf ground = {0};
		bool is_allowed = rights_features(&rights) & FEATURE_BIT(i);

		if (!is_allowed && !check->wants_all)
			continue;
		if (print_ground(check, &rights.grounds[i], &ground, err) < 0)
			return -1;
		if (table_add(&table,
			      (const char *[]){feature_name(i), is_allowed ? "yes" : "no",
					       ground.data},
			      NULL, err) < 0)
			return -1;
	}
	return print_rows(&table, out, err);
}

static int print_everybody(const struct check *check, struct buf *out, struct error *err)
{
	AUTO(table_done) struct table table = {.heads = {"FEATURE", "OWNER", "OTHERS"}};
	struct rights owner, others;

	if (evaluate(check, NULL, true, &owner, err) < 0 ||
	    evaluate(check, NULL, false, &others, err) < 0)
		return -1;
	for (unsigned i = 0; i < N_FEATURES; i++) {
		const char *const cells[] = {
			feature_name(i),
			rights_features(&owner) & FEATURE_BIT(i) ? "yes" : "no",
			rights_features(&others) & FEATURE_BIT(i) ? "yes" : "no",
		};

		if (!check->wants_all &&
		    !((rights_features(&owner) | rights_features(&others)) & FEATURE_BIT(i)))
			continue;
		if (table_add(&table, cells, NULL, err) < 0)
			return -1;
	}
	return print_rows(&table, out, err);
}

static int print_table(const struct check *check, struct buf *out, struct error *err)
{
	AUTO(buf_done) struct buf warnings = {0};

	if (print_problems(check, &check->report.warnings, "warning: ", &warnings, err) < 0)
		return -1;
	if (warnings.len > 0)
		(void)fputs(warnings.data, stderr);
	if (!check->permissions)
		return print_problems(check, &check->report.errors, "", out, err);
	return check->user || check->owner ? print_user(check, out, err)
					   : print_everybody(check, out, err);
}

/* --- for programs ------------------------------------------------------------------------------
 */

static json_t *pack_problems(const struct check *check, const struct problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];
		json_t *object = json_pack("{s:i}", "Line", (int)p->line);

		json_set_text(object, "File", p->file ? p->file : check->file);
		json_set_text(object, "Text", p->text);
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *pack_features(const struct rights *rights)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < N_FEATURES; i++) {
		if (rights_features(rights) & FEATURE_BIT(i))
			(void)json_array_append_new(list, json_string(feature_name(i)));
	}
	return list;
}

static int pack_rights(const struct check *check, json_t *object, struct error *err)
{
	struct rights rights;

	if (check->user || check->owner) {
		if (evaluate_user(check, &rights, err) < 0)
			return -1;
		(void)json_object_set_new(object, "Features", pack_features(&rights));
		return 0;
	}
	if (evaluate(check, NULL, true, &rights, err) < 0)
		return -1;
	(void)json_object_set_new(object, "FeaturesOfOwner", pack_features(&rights));
	if (evaluate(check, NULL, false, &rights, err) < 0)
		return -1;
	(void)json_object_set_new(object, "FeaturesOfOthers", pack_features(&rights));
	return 0;
}

static int print_json(const struct check *check, struct buf *out, struct error *err)
{
	json_auto_t *object = json_pack("{s:b}", "Valid", check->permissions != NULL);

	json_set_text(object, "File", check->file);
	json_set_text(object, "User", check->user);
	json_set_text(object, "Owner", check->owner);
	if (check->permissions && pack_rights(check, object, err) < 0)
		return -1;
	if (!check->permissions)
		(void)json_object_set_new(object, "Errors",
					  pack_problems(check, &check->report.errors));
	(void)json_object_set_new(object, "Warnings",
				  pack_problems(check, &check->report.warnings));
	return json_append(out, object, err);
}

/* --- the command -------------------------------------------------------------------------------
 */

static enum exit_status print(const struct check *check)
{
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	if ((check->wants_json ? print_json : print_table)(check, &out, &err) < 0)
		return fail(&err, STATUS_OTHER);
	if (!check->wants_json)
		return write_out(out.data ? out.data : "", out.len);
	indent_json(stdout, out.data, out.len);
	return write_out("", 0);
}

enum exit_status check_permissions(const struct arguments *args, bool wants_json)
{
	const char *output = arguments_text(args, "output");
	AUTO(check_done)
	struct check check = {
		.file = arguments_text(args, "file"),
		.user = arguments_text(args, "user"),
		.owner = arguments_text(args, "owner"),
		.wants_all = arguments_flag(args, "all"),
		.wants_json = output ? strcmp(output, "json") == 0 : wants_json,
	};
	struct error err = {0};
	size_t n;

	if (read_file(&check, args, &err) < 0)
		return fail(&err, err.code == ERR_NO_MEMORY ? STATUS_OTHER : STATUS_VALUE);
	if (print(&check) != STATUS_SUCCESS)
		return STATUS_OTHER;
	n = check.report.errors.total;
	if (n == 0)
		return STATUS_SUCCESS;
	complain("%s has %zu error%s%s", check.file, n, n == 1 ? "" : "s",
		 n > PROBLEMS_MAX ? ", of which the first are shown" : "");
	return STATUS_VALUE;
}
