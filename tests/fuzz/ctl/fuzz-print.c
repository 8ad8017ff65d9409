/* The answer of a service that means no good: whatever it says, what reaches the terminal is UTF-8
 * without a control character but our own line ends. The first byte chooses the operation. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "ctl/indent.h"
#include "ctl/print-details.h"
#include "ctl/print-log.h"
#include "ctl/print.h"
#include "ctl/visible.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_visible(const struct buf *out)
{
	mbstate_t state = {0};
	wchar_t c;

	for (size_t i = 0, n; i < out->len; i += n) {
		n = mbrtowc(&c, out->data + i, out->len - i, &state);
		if (n == 0 || n > out->len - i || (c != L'\n' && wcwidth(c) < 0) ||
		    (c >= 0x202a && c <= 0x202e))
			__builtin_trap();
	}
}

static void print_failures(const struct operation *op, const json_t *answer)
{
	json_t *failure;
	size_t i;

	json_array_foreach(print_failures_of(answer), i, failure)
	{
		AUTO(buf_done) struct buf text = {0}, shown = {0};
		struct error err = {0};

		if (print_failure(op, failure, &text, &err) < 0 ||
		    visible_append(&shown, text.data, NULL, &err) < 0)
			__builtin_trap();
		check_visible(&shown);
	}
}

/* Laid out anew it must still be the same value. */
static void check_indented(const char *text, size_t len, const json_t *answer)
{
	json_auto_t *again = NULL;
	char *laid_out = NULL;
	size_t laid_out_len = 0;
	struct error err = {0};
	FILE *out = open_memstream(&laid_out, &laid_out_len);

	if (!out)
		return;
	indent_json(out, text, len);
	(void)fclose(out);
	if (json_parse(laid_out, laid_out_len, &again, &err) < 0 || !json_equal(again, answer))
		__builtin_trap();
	free(laid_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf out = {0}, details = {0}, log = {0};
	const struct operation *op;
	json_auto_t *answer = NULL;
	struct error err = {0};

	if (size == 0)
		return 0;
	visible_use_utf8();
	op = &operations[data[0] % N_OPERATIONS];
	if (json_parse((const char *)data + 1, size - 1, &answer, &err) < 0)
		return 0;
	check_indented((const char *)data + 1, size - 1, answer);
	if (print_answer(op, answer, &out, &err) == 0)
		check_visible(&out);
	if (print_details(answer, &details, &err) == 0)
		check_visible(&details);
	if (print_log(answer, &log, &err) == 0)
		check_visible(&log);
	print_failures(op, answer);
	return 0;
}
