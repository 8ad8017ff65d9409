#include "broker-lite/wanted.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int wanted_init(struct wanted *wanted, const json_t *ids, struct error *err)
{
	*wanted = (struct wanted){0};
	if (!ids)
		return 0;
	wanted->n = json_array_size(ids);
	wanted->ids = calloc(wanted->n + 1, sizeof(*wanted->ids));
	if (!wanted->ids)
		return error_oom(err);
	for (size_t i = 0; i < wanted->n; i++)
		wanted->ids[i] = json_string_value(json_array_get(ids, i));
	qsort(wanted->ids, wanted->n, sizeof(*wanted->ids), compare);
	return 0;
}

bool wanted_has(const struct wanted *wanted, const char *id)
{
	return !wanted->ids ||
	       bsearch(&id, wanted->ids, wanted->n, sizeof(*wanted->ids), compare) != NULL;
}

void wanted_done(struct wanted *wanted)
{
	free(wanted->ids);
	*wanted = (struct wanted){0};
}
