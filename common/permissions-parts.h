/**
 * What permissions are made of; for the permissions*.c files alone.
 *
 * Everything that a line can name is a term: a user, a group, an alias. Groups and aliases have
 * members, which are terms again, so that one walk resolves both; the features of a permission line
 * are an alias without a name. After reading, the terms are in such an order that members come
 * before what they are members of.
 */
#ifndef COMMON_PERMISSIONS_PARTS_H
#define COMMON_PERMISSIONS_PARTS_H

#include <sys/types.h>

#include "common/permissions.h"

enum term_kind { TERM_OWNER, TERM_ANY, TERM_USER, TERM_GROUP, TERM_OS_GROUP, TERM_ALIAS };

struct reference {
	struct term *to;
	struct place place;
};

struct term {
	enum term_kind kind;
	char *name;         /* NULL: the features of a line */
	bool ignores_case;  /* of the name */
	bool is_defined;    /* users and groups of the system are by themselves */
	struct place place; /* where it was spoken of first */
	uint32_t features;  /* TERM_ALIAS; with those of its members, once resolved */
	struct reference *members;
	size_t n_members, capacity;
	/* The walk that resolves. */
	enum { TERM_NEW, TERM_OPEN, TERM_DONE } state;
	size_t n_walked; /* members */
	size_t index;    /* in permissions::terms */
};

struct permission {
	struct term *actor;
	enum rule rule;
	struct term *features; /* TERM_ALIAS */
	struct place place;
};

struct permissions {
	bool ignores_case;
	char **files; /* names that places borrow */
	size_t n_files, files_capacity;
	struct term **terms;
	size_t n_terms, terms_capacity;
	struct permission *entries; /* in the order of the text */
	size_t n_entries, entries_capacity;
};

/* What is being read. */
struct permissions_reader {
	struct permissions *permissions;
	const struct permissions_options *options;
	struct permissions_report *report;
	void *tree; /* named terms, for tsearch() */
	size_t n_bytes, n_lines;
};

enum section {
	SECTION_NONE,
	SECTION_GROUPS,
	SECTION_ALIASES,
	SECTION_PERMISSIONS,
	SECTION_UNKNOWN
};

/* One of the files, while it is read. */
struct source {
	const struct source *importer; /* NULL: the first one */
	unsigned depth;
	dev_t device;
	ino_t inode;
	enum section section;
	struct place place; /* the line that is read */
};

/** Make room for one more item. */
int permissions_grow(void *array, size_t n, size_t *capacity, size_t item_size, struct error *err);

/** The lines of @text, which are changed, to parts. Only a lack of memory is a failure. */
int permissions_read_lines(struct permissions_reader *reader, struct source *source, char *text,
			   size_t len, struct error *err);

/** Find an import and read what is in it. Failures are problems, but for a lack of memory. */
int permissions_import(struct permissions_reader *reader, const struct source *source,
		       const char *path, struct error *err);

/** Keep a file's name: *ret is borrowed. */
int permissions_add_file(struct permissions *permissions, const char *path, const char **ret,
			 struct error *err);

/** The term of that kind and name, which is made when there is none. Name NULL: a new one. */
struct term *term_find(struct permissions_reader *reader, enum term_kind kind, const char *name,
		       const struct place *place, struct error *err);

/** Make @member one of @term. */
int term_add_member(struct term *term, struct term *member, const struct place *place,
		    struct error *err);

/** All is read: follow what names what, and tell of what is unknown or cyclic. */
int terms_resolve(struct permissions_reader *reader, struct error *err);

void term_free(struct term *term);
bool term_is_named(const struct term *term, const char *name);

#endif
