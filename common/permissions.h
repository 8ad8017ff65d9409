/**
 * Permission files: which user may use which feature of a session.
 *
 * The agent reads them to refuse broken ones, dcvctl to check them; so they are in common/. A file
 * is read into a struct permissions, with everything that it imports, or not at all. That is then
 * asked for any user what they may do.
 *
 * Source: the permissions reference; sections 2 to 4 (grammar, imports, names), 6 (evaluation) and
 * 7 (the sentences of errors). A sentence that is not there is ours.
 */
#ifndef COMMON_PERMISSIONS_H
#define COMMON_PERMISSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/features.h"

#define PERMISSIONS_FILE_MAX_BYTES (64 * 1024)   /* one that comes through the API */
#define PERMISSIONS_TOTAL_MAX_BYTES (256 * 1024) /* a file with all its imports */
#define PERMISSIONS_LINE_MAX_BYTES (8 * 1024)
#define PERMISSIONS_IMPORT_DEPTH_MAX 16

/** Where something stands. A line number without a file is one of the text that was given. */
struct place {
	const char *file; /* NULL: the text itself */
	unsigned line;    /* from 1 */
	size_t order;     /* of all lines as they were read, imports in their place */
};

/* --- what is wrong ----------------------------------------------------------------------------- */

#define PROBLEMS_MAX 20

struct problem {
	char *file; /* as in struct place */
	unsigned line;
	size_t order;
	char *text; /* NULL: memory ran out */
};

/** The first ones, in the order of the text. */
struct problems {
	struct problem items[PROBLEMS_MAX];
	size_t n;     /* of them */
	size_t total; /* that there were */
};

/** Keep a problem if it is among the first ones; it counts in any case. */
void problems_add(struct problems *problems, const struct place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Start with {0}, end with permissions_report_done(). */
struct permissions_report {
	struct problems errors;
	struct problems warnings; /* what was probably meant otherwise */
};

void permissions_report_done(struct permissions_report *report);

/* --- reading ----------------------------------------------------------------------------------- */

struct permissions_options {
	/**
	 * Folders that imports must end up in, links resolved, as a list: each ends in NUL, an
	 * empty one ends all. Relative imports of a text without a file are looked for in them, one
	 * after the other. NULL: imports may come from anywhere.
	 */
	const char *import_folders;
	bool ignores_case;               /* of the names of users and groups, as Windows does */
	bool tolerates_unknown_features; /* they are warnings: files for newer servers */
};

struct permissions;

/**
 * Read @text. With errors: ERR_INVALID with the sentence of the first one, as in "line 3: unknown
 * rule permit" or, in an import, "line 3 of PATH: ..."; all are in @report.
 */
int permissions_parse(const char *text, size_t len, const struct permissions_options *options,
		      struct permissions **ret, struct permissions_report *report,
		      struct error *err);

/** Read a file. Its relative imports are looked for beside it. */
int permissions_load(const char *path, const struct permissions_options *options,
		     struct permissions **ret, struct permissions_report *report,
		     struct error *err);

/** Takes NULL. */
void permissions_free(struct permissions *permissions);
void permissions_free_p(struct permissions **permissions);

/**
 * The contents of a PermissionsFile field. ERR_INVALID, with the sentence of the API, if it is not
 * base64; ERR_TOO_LARGE above PERMISSIONS_FILE_MAX_BYTES.
 */
int permissions_decode(const char *base64, struct buf *ret, struct error *err);

/* --- evaluating -------------------------------------------------------------------------------- */

struct permissions_user {
	const char *name; /* NULL: somebody whom no line names */
	bool is_owner;
	/** Is the user in this group of the operating system? NULL: in none. */
	bool (*is_in_os_group)(const char *group, void *userdata);
	void *userdata;
};

enum rule { RULE_NONE, RULE_ALLOW, RULE_DISALLOW, RULE_DENY };

/** Start with {0}: nothing is granted. File names in it are borrowed from the permissions. */
struct rights {
	uint32_t granted, denied;
	struct ground {
		enum rule rule; /* RULE_NONE: no line spoke of it */
		struct place place;
	} grounds[N_FEATURES]; /* what decided on each feature */
};

/**
 * Let the lines work on @rights, in their order. To merge two files, apply one after the other.
 * Membership is that of this moment. ERR_NO_MEMORY.
 */
int permissions_apply(const struct permissions *permissions, const struct permissions_user *user,
		      struct rights *rights, struct error *err);

/** The features that are left. */
uint32_t rights_features(const struct rights *rights);

/** "allow"; "" for RULE_NONE. */
const char *rule_name(enum rule rule);

/** Do both mean one user, as these permissions compare names? */
bool permissions_same_user(const struct permissions *permissions, const char *a, const char *b);

/**
 * Walk the groups of the operating system that are spoken of, each with the place where it is
 * first. *@at is 0 to begin with. NULL after the last one.
 */
const char *permissions_next_os_group(const struct permissions *permissions, size_t *at,
				      struct place *ret_place);

#endif
