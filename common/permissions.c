#include "common/permissions.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/failures.h"
#include "common/file.h"
#include "common/permissions-parts.h"
#include "common/text.h"

int permissions_grow(void *array, size_t n, size_t *capacity, size_t item_size, struct error *err)
{
	void **items = array, *grown;
	size_t wanted = *capacity ? *capacity * 2 : 4;

	if (n < *capacity)
		return 0;
	grown = reallocarray(*items, wanted, item_size);
	if (!grown)
		return error_oom(err);
	*items = grown;
	*capacity = wanted;
	return 0;
}

/* --- what is wrong -----------------------------------------------------------------------------
 */

static void problem_done(struct problem *problem)
{
	free(problem->file);
	free(problem->text);
}

static void problems_done(struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		problem_done(&problems->items[i]);
	*problems = (struct problems){0};
}

void permissions_report_done(struct permissions_report *report)
{
	problems_done(&report->errors);
	problems_done(&report->warnings);
}

/* Some problems show only when all is read; the text's order is kept nevertheless. */
void problems_add(struct problems *problems, const struct place *place, const char *format, ...)
{
	struct problem problem = {.line = place->line, .order = place->order};
	size_t at = problems->n;
	va_list args;

	problems->total++;
	while (at > 0 && problems->items[at - 1].order > place->order)
		at--;
	if (at == PROBLEMS_MAX)
		return;
	va_start(args, format);
	if (vasprintf(&problem.text, format, args) < 0)
		problem.text = NULL;
	va_end(args);
	problem.file = place->file ? strdup(place->file) : NULL;
	if (problems->n == PROBLEMS_MAX)
		problem_done(&problems->items[--problems->n]);
	memmove(&problems->items[at + 1], &problems->items[at],
		(problems->n - at) * sizeof(problem));
	problems->items[at] = problem;
	problems->n++;
}

static int tell_first(const struct problems *errors, struct error *err)
{
	const struct problem *first = &errors->items[0];

	if (!first->text)
		return error_oom(err);
	return error_set(err, ERR_INVALID, "line %u%s%s: %s", first->line,
			 first->file ? " of " : "", first->file ? first->file : "", first->text);
}

/* --- reading -----------------------------------------------------------------------------------
 */

void permissions_free_p(struct permissions **permissions)
{
	permissions_free(*permissions);
}

void permissions_free(struct permissions *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_files; i++)
		free(p->files[i]);
	free(p->files);
	for (size_t i = 0; i < p->n_terms; i++)
		term_free(p->terms[i]);
	free(p->terms);
	free(p->entries);
	free(p);
}

int permissions_add_file(struct permissions *p, const char *path, const char **ret,
			 struct error *err)
{
	AUTO(free_p) char *copy = strdup(path);

	if (!copy)
		return error_oom(err);
	if (permissions_grow(&p->files, p->n_files, &p->files_capacity, sizeof(*p->files), err) < 0)
		return -1;
	*ret = p->files[p->n_files++] = TAKE(copy);
	return 0;
}

static void keep(void *term)
{
	(void)term; /* it belongs to the permissions, not to the tree */
}

/* @text is changed. */
static int read_all(struct permissions_reader *reader, struct source *source, struct buf *text,
		    struct error *err)
{
	int failed;

	reader->n_bytes = text->len;
	failed = permissions_read_lines(reader, source, text->data ? text->data : (char[]){""},
					text->len, err);
	if (failed == 0)
		failed = terms_resolve(reader, err);
	tdestroy(reader->tree, keep);
	if (failed < 0)
		return -1;
	return reader->report->errors.total > 0 ? tell_first(&reader->report->errors, err) : 0;
}

static struct permissions *permissions_new(const struct permissions_options *options,
					   struct error *err)
{
	struct permissions *p = calloc(1, sizeof(*p));

	if (!p)
		(void)error_oom(err);
	else
		p->ignores_case = options->ignores_case;
	return p;
}

int permissions_parse(const char *text, size_t len, const struct permissions_options *options,
		      struct permissions **ret, struct permissions_report *report,
		      struct error *err)
{
	AUTO(permissions_free_p) struct permissions *p = permissions_new(options, err);
	AUTO(buf_done) struct buf copy = {0};
	struct permissions_reader reader = {.permissions = p, .options = options, .report = report};
	struct source source = {0};

	if (!p)
		return -1;
	if (len > PERMISSIONS_TOTAL_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "it is larger than %d bytes",
				 PERMISSIONS_TOTAL_MAX_BYTES);
	if (buf_append(&copy, text, len, err) < 0 || read_all(&reader, &source, &copy, err) < 0)
		return -1;
	*ret = TAKE(p);
	return 0;
}

int permissions_load(const char *path, const struct permissions_options *options,
		     struct permissions **ret, struct permissions_report *report, struct error *err)
{
	AUTO(permissions_free_p) struct permissions *p = permissions_new(options, err);
	AUTO(buf_done) struct buf text = {0};
	struct permissions_reader reader = {.permissions = p, .options = options, .report = report};
	struct source source = {0};
	struct stat status;

	if (!p || file_read(path, PERMISSIONS_TOTAL_MAX_BYTES, &text, err) < 0 ||
	    permissions_add_file(p, path, &source.place.file, err) < 0)
		return -1;
	if (stat(path, &status) == 0) { /* what is gone by now cannot be imported */
		source.device = status.st_dev;
		source.inode = status.st_ino;
	}
	if (read_all(&reader, &source, &text, err) < 0)
		return -1;
	*ret = TAKE(p);
	return 0;
}

int permissions_decode(const char *base64, struct buf *ret, struct error *err)
{
	size_t start = ret->len;

	if (base64_decode(base64, ret, err) < 0)
		return error_set(err, ERR_INVALID, FAILURE_BAD_PERMISSIONS);
	if (ret->len - start <= PERMISSIONS_FILE_MAX_BYTES)
		return 0;
	buf_truncate(ret, start);
	return error_set(err, ERR_TOO_LARGE, "PermissionsFile is larger than %d bytes",
			 PERMISSIONS_FILE_MAX_BYTES);
}
