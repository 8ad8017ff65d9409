/* JSON from outside through the table of an operation, which the first byte chooses: what is
 * accepted has what it must have, and its echo is accepted too and is its own echo; what is plain is
 * read alike out of its text. */
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/operations.h"
#include "common/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_required(const struct param_table *table, const char *request)
{
	for (size_t i = 0; i < table->n_params; i++) {
		const struct param *p = &table->params[i];
		const char *text;

		if (!p->required || (p->type != PARAM_STRING && p->type != PARAM_CHOICE))
			continue;
		memcpy(&text, request + p->offset, sizeof(text));
		if (!text || !*text)
			__builtin_trap();
	}
}

static bool is_same(const struct param *p, const char *a, const char *b)
{
	const char *x, *y;

	if (p->given && a[p->given] != b[p->given])
		return false;
	if (p->type == PARAM_BOOLEAN)
		return a[p->offset] == b[p->offset];
	if (p->type == PARAM_INTEGER)
		return memcmp(a + p->offset, b + p->offset, sizeof(long long)) == 0;
	memcpy(&x, a + p->offset, sizeof(x));
	memcpy(&y, b + p->offset, sizeof(y));
	return x && y ? strcmp(x, y) == 0 : !x && !y;
}

/* What is read out of the text is what the parser reads. */
static void check_scan(const struct param_table *table, const char *text, size_t size)
{
	_Alignas(max_align_t) char scanned[512], request[512];
	AUTO(free_p) char *copy = strndup(text, size);
	size_t len = params_scan(table, copy, scanned);
	json_auto_t *object = NULL;
	struct error err;

	if (len == 0)
		return;
	if (len > size || json_parse(text, len, &object, &err) < 0 ||
	    params_read(table, object, request, &err) < 0)
		__builtin_trap();
	for (size_t i = 0; i < table->n_params; i++) {
		if (!is_same(&table->params[i], scanned, request))
			__builtin_trap();
	}
}

static void check_object(const struct param_table *table, const json_t *object)
{
	_Alignas(max_align_t) char request[512];
	struct error err = {0};
	json_auto_t *echo = NULL, *again = NULL;

	if (params_read(table, object, request, &err) < 0) {
		if (err.code != ERR_INVALID || err.message[0] == '\0')
			__builtin_trap();
		return;
	}
	check_required(table, request);
	if (params_check_scope(table, request, "CONSOLE", &err) < 0 && err.code != ERR_INVALID &&
	    err.code != ERR_UNSUPPORTED)
		__builtin_trap();
	echo = params_echo(table, object);
	if (params_read(table, echo, request, &err) < 0)
		__builtin_trap();
	again = params_echo(table, echo);
	if (!json_equal(echo, again))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *value = NULL, *again = NULL;
	const struct param_table *table;
	struct error err = {0};

	if (size == 0)
		return 0;
	table = operations[data[0] % N_OPERATIONS].params;
	check_scan(table, (const char *)data + 1, size - 1);
	if (json_parse((const char *)data + 1, size - 1, &value, &err) < 0)
		return 0;
	/* what was read can be written and read again; reals may lose digits, so not compared */
	if (json_append(&text, value, &err) < 0 ||
	    json_parse(text.data, text.len, &again, &err) < 0)
		__builtin_trap();
	if (!json_is_array(value))
		check_object(table, value);
	for (size_t i = 0; i < json_array_size(value); i++)
		check_object(table, json_array_get(value, i));
	return 0;
}
