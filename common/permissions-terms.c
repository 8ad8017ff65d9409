#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/permissions-parts.h"

void term_free(struct term *term)
{
	if (!term)
		return;
	free(term->name);
	free(term->members);
	free(term);
}

static void term_free_p(struct term **term)
{
	term_free(*term);
}

bool term_is_named(const struct term *term, const char *name)
{
	return (term->ignores_case ? strcasecmp(term->name, name) : strcmp(term->name, name)) == 0;
}

static int compare(const void *a, const void *b)
{
	const struct term *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->ignores_case ? strcasecmp(x->name, y->name) : strcmp(x->name, y->name);
}

static struct term *term_new(struct permissions_reader *reader, const struct term *like,
			     struct error *err)
{
	struct permissions *p = reader->permissions;
	AUTO(term_free_p) struct term *term = calloc(1, sizeof(*term));

	if (!term || permissions_grow(&p->terms, p->n_terms, &p->terms_capacity, sizeof(*p->terms),
				      err) < 0) {
		(void)error_oom(err);
		return NULL;
	}
	*term = *like;
	term->name = like->name ? strdup(like->name) : NULL;
	if (like->name && (!term->name || !tsearch(term, &reader->tree, compare))) {
		(void)error_oom(err);
		return NULL;
	}
	return p->terms[p->n_terms++] = TAKE(term);
}

struct term *term_find(struct permissions_reader *reader, enum term_kind kind, const char *name,
		       const struct place *place, struct error *err)
{
	const struct term wanted = {
		.kind = kind,
		.name = (char *)name,
		.ignores_case = kind != TERM_ALIAS && reader->permissions->ignores_case,
		.is_defined = !name || (kind != TERM_GROUP && kind != TERM_ALIAS),
		.place = *place,
	};
	struct term **found = name ? tfind(&wanted, &reader->tree, compare) : NULL;

	return found ? *found : term_new(reader, &wanted, err);
}

int term_add_member(struct term *term, struct term *member, const struct place *place,
		    struct error *err)
{
	if (permissions_grow(&term->members, term->n_members, &term->capacity,
			     sizeof(*term->members), err) < 0)
		return -1;
	term->members[term->n_members++] = (struct reference){member, *place};
	return 0;
}

/* --- resolving ---------------------------------------------------------------------------------
 */

static void tell_unknown(struct permissions_reader *reader, const struct term *term,
			 const struct place *place)
{
	struct permissions_report *report = reader->report;
	bool is_alias = term->kind == TERM_ALIAS;

	problems_add(is_alias && reader->options->tolerates_unknown_features ? &report->warnings
									     : &report->errors,
		     place, "unknown %s %s", is_alias ? "feature" : "group", term->name);
}

static void tell_cycle(struct permissions_reader *reader, const struct term *term)
{
	/* where the term itself enters the cycle */
	problems_add(&reader->report->errors, &term->members[term->n_walked - 1].place,
		     "cyclic %s %s", term->kind == TERM_ALIAS ? "alias" : "group", term->name);
}

static void finish(struct term *term, struct term **ordered, size_t *n_ordered)
{
	for (size_t i = 0; i < term->n_members; i++)
		term->features |= term->members[i].to->features;
	term->state = TERM_DONE;
	term->index = *n_ordered;
	ordered[(*n_ordered)++] = term;
}

/* From @term down to all that is new, without recursion: the depth is the text's choice. */
static void walk(struct permissions_reader *reader, struct term *term, struct term **stack,
		 struct term **ordered, size_t *n_ordered)
{
	size_t depth = 0;

	stack[depth++] = term;
	term->state = TERM_OPEN;
	while (depth > 0) {
		struct term *top = stack[depth - 1], *to;

		if (top->n_walked == top->n_members) {
			finish(top, ordered, n_ordered);
			depth--;
			continue;
		}
		to = top->members[top->n_walked++].to;
		if (!to->is_defined)
			tell_unknown(reader, to, &top->members[top->n_walked - 1].place);
		else if (to->state == TERM_OPEN)
			tell_cycle(reader, to);
		if (to->state == TERM_NEW) {
			to->state = TERM_OPEN;
			stack[depth++] = to;
		}
	}
}

int terms_resolve(struct permissions_reader *reader, struct error *err)
{
	struct permissions *p = reader->permissions;
	AUTO(free_p) struct term **stack = calloc(p->n_terms + 1, sizeof(struct term *));
	AUTO(free_p) struct term **ordered = calloc(p->n_terms + 1, sizeof(struct term *));
	size_t n_ordered = 0;

	if (!stack || !ordered)
		return error_oom(err);
	for (size_t i = 0; i < p->n_terms; i++) {
		if (p->terms[i]->state == TERM_NEW)
			walk(reader, p->terms[i], stack, ordered, &n_ordered);
	}
	for (size_t i = 0; i < p->n_entries; i++) {
		if (!p->entries[i].actor->is_defined)
			tell_unknown(reader, p->entries[i].actor, &p->entries[i].place);
	}
	free(p->terms);
	p->terms = TAKE(ordered);
	p->terms_capacity = p->n_terms + 1;
	return 0;
}
