/* Evaluation is one loop over the program with a stack of bit sets, one bit a row. A comparison fills
 * a set from one column, 64 rows to a word; AND, OR and NOT work on whole words. So what is decided
 * once for the fleet (which column, which literal, which operator) is not decided for each row, and
 * there is no worst case that an order of terms could bring about. */
#include <string.h>

#include "broker-lite/requirements-program.h"
#include "broker-lite/requirements.h"

#define ROWS_PER_WORD 64

/* The words of the rows that are asked for. */
struct span {
	size_t first, end;
};

/* Fill a set: @holds is an expression in `row`. */
#define FILL(span, ret, holds)                                                                     \
	for (size_t word = (span)->first; word < (span)->end; word++) {                            \
		uint64_t bits = 0;                                                                 \
                                                                                                   \
		for (size_t bit = 0; bit < ROWS_PER_WORD; bit++) {                                 \
			size_t row = word * ROWS_PER_WORD + bit;                                   \
                                                                                                   \
			bits |= (uint64_t)(holds) << bit;                                          \
		}                                                                                  \
		(ret)[word] = bits;                                                                \
	}

/* --- numbers -----------------------------------------------------------------------------------
 */

/* Every comparison of whole numbers asks for a range; a missing value lies outside of all. */
static void match_wholes(const struct instruction *instruction, const uint64_t *values,
			 const struct span *span, uint64_t *ret)
{
	uint64_t at_least, above, from = 0, to = NUMERAL_WHOLE_END;

	numeral_bounds(&instruction->number, &at_least, &above);
	if (instruction->comparison == EQUAL || instruction->comparison == GREATER_EQUAL)
		from = at_least;
	else if (instruction->comparison == GREATER)
		from = above;
	if (instruction->comparison == EQUAL || instruction->comparison == LESS_EQUAL)
		to = above;
	else if (instruction->comparison == LESS)
		to = at_least;
	FILL(span, ret, values[row] - from < to - from);
}

/* A missing value is a NaN, for which all of these are false. */
static void match_reals(const struct instruction *instruction, const double *values,
			const struct span *span, uint64_t *ret)
{
	double wanted = instruction->number.approximate;

	switch (instruction->comparison) {
	case EQUAL:
		FILL(span, ret, values[row] >= wanted && values[row] <= wanted);
		break;
	case LESS:
		FILL(span, ret, values[row] < wanted);
		break;
	case LESS_EQUAL:
		FILL(span, ret, values[row] <= wanted);
		break;
	case GREATER:
		FILL(span, ret, values[row] > wanted);
		break;
	case GREATER_EQUAL:
	case CONTAINS: /* refused by the parser */
		FILL(span, ret, values[row] >= wanted);
		break;
	}
}

/* --- texts -------------------------------------------------------------------------------------
 */

static bool fulfils(enum comparison comparison, int order)
{
	switch (comparison) {
	case EQUAL:
		return order == 0;
	case LESS:
		return order < 0;
	case LESS_EQUAL:
		return order <= 0;
	case GREATER:
		return order > 0;
	default:
		return order >= 0;
	}
}

/* A text is compared as a number when the literal is one, or when an order is asked for and both
 * can be read so. */
static bool compares(const struct instruction *instruction, const struct strings *strings,
		     uint32_t value)
{
	const struct reading *reading = &strings->readings[value];
	bool orders = instruction->comparison != EQUAL;

	if (instruction->has_number && reading->has_number && (instruction->is_number || orders))
		return fulfils(instruction->comparison,
			       numeral_compare(&reading->number, &instruction->number));
	return !instruction->is_number &&
	       fulfils(instruction->comparison,
		       strcmp(interned_text(&strings->items[value]), instruction->text));
}

/* strstr() takes longer to get going than a short text is long. */
static bool contains(const struct instruction *instruction, const struct strings *strings,
		     uint32_t value)
{
	const struct interned *item = &strings->items[value];
	const char *text = interned_text(item), *wanted = instruction->text;
	size_t len = instruction->text_len;

	if (len == 0 || item->long_text)
		return strstr(text, wanted) != NULL;
	for (size_t at = 0; at + len <= item->len; at++) {
		if (text[at] == *wanted && memcmp(text + at, wanted, len) == 0)
			return true;
	}
	return false;
}

/* What was found out about a string holds for all rows that have it. A verdict is the number of the
 * comparison that was last asked about, doubled, and the answer: so none need be erased. */
static bool recall(struct attributes *attributes, const struct instruction *instruction,
		   bool (*find_out)(const struct instruction *instruction,
				    const struct strings *strings, uint32_t value),
		   uint32_t value)
{
	const struct strings *strings = &attributes->strings;
	uint32_t *verdict;

	if (value == STRINGS_NONE)
		return false;
	if (strings->items[value].n_uses == 1)
		return find_out(instruction, strings, value);
	verdict = &attributes->verdicts[value];
	if (*verdict >> 1 != attributes->verdict)
		*verdict = attributes->verdict << 1 | find_out(instruction, strings, value);
	return *verdict & 1;
}

static void next_verdict(struct attributes *attributes)
{
	if (++attributes->verdict < UINT32_MAX >> 1)
		return;
	memset(attributes->verdicts, 0, attributes->n_verdicts * sizeof(*attributes->verdicts));
	attributes->verdict = 1;
}

static void match_texts(const struct instruction *instruction, struct attributes *attributes,
			const uint32_t *values, const struct span *span, uint64_t *ret)
{
	uint32_t wanted;

	next_verdict(attributes);
	if (instruction->comparison == CONTAINS) {
		FILL(span, ret,
		     values[row] != STRINGS_NONE &&
			     pairs_may_contain(&attributes->strings.pairs[values[row]],
					       &instruction->pairs) &&
			     recall(attributes, instruction, contains, values[row]));
		return;
	}
	if (instruction->comparison != EQUAL || instruction->is_number) {
		FILL(span, ret, recall(attributes, instruction, compares, values[row]));
		return;
	}
	wanted = strings_find(&attributes->strings, instruction->text);
	if (wanted == STRINGS_NONE)
		memset(ret + span->first, 0, (span->end - span->first) * sizeof(*ret));
	else
		FILL(span, ret, values[row] == wanted);
}

/* --- the program -------------------------------------------------------------------------------
 */

static void negate(const struct span *span, uint64_t *bits)
{
	for (size_t word = span->first; word < span->end; word++)
		bits[word] = ~bits[word];
}

static int match(const struct instruction *instruction, struct attributes *attributes,
		 const struct span *span, uint64_t *ret, struct error *err)
{
	const union column *column = NULL;
	const uint32_t *tags;

	if (instruction->property < 0) {
		tags = attributes_tag(attributes, instruction->tag);
		if (!tags)
			return error_oom(err);
		match_texts(instruction, attributes, tags, span, ret);
	} else {
		column = &attributes->columns[instruction->property];
		switch (properties[instruction->property].type) {
		case PROPERTY_TEXT:
			match_texts(instruction, attributes, column->texts, span, ret);
			break;
		case PROPERTY_WHOLE:
			match_wholes(instruction, column->wholes, span, ret);
			break;
		case PROPERTY_REAL:
			match_reals(instruction, column->reals, span, ret);
			break;
		}
	}
	if (instruction->is_negated)
		negate(span, ret);
	return 0;
}

int requirements_match(const struct requirements *requirements, struct attributes *attributes,
		       size_t first, size_t n, const uint64_t **ret, struct error *err)
{
	const size_t n_words = attributes->capacity / ROWS_PER_WORD;
	const struct span span = {first / ROWS_PER_WORD,
				  n ? (first + n - 1) / ROWS_PER_WORD + 1 : first / ROWS_PER_WORD};
	uint64_t *top = attributes->scratch; /* the first free set */

	for (size_t i = 0; n > 0 && i < requirements->n; i++) {
		const struct instruction *instruction = &requirements->code[i];

		switch (instruction->code) {
		case PUSH:
			if (match(instruction, attributes, &span, top, err) < 0)
				return -1;
			top += n_words;
			break;
		case NOT:
			negate(&span, top - n_words);
			break;
		case AND:
			top -= n_words;
			for (size_t word = span.first; word < span.end; word++)
				top[word - n_words] &= top[word];
			break;
		case OR:
			top -= n_words;
			for (size_t word = span.first; word < span.end; word++)
				top[word - n_words] |= top[word];
			break;
		}
	}
	*ret = attributes->scratch;
	return 0;
}

bool requirements_bit(const uint64_t *bits, size_t row)
{
	return bits[row / ROWS_PER_WORD] >> (row % ROWS_PER_WORD) & 1;
}

/* --- for people --------------------------------------------------------------------------------
 */

static int append_text(const struct attributes *attributes, uint32_t value, struct buf *ret,
		       struct error *err)
{
	if (value == STRINGS_NONE)
		return buf_append_text(ret, "nothing", err);
	return buf_printf(ret, err, "'%.100s'", interned_text(&attributes->strings.items[value]));
}

static int append_value(const struct instruction *instruction, struct attributes *attributes,
			size_t row, struct buf *ret, struct error *err)
{
	const union column *column =
		&attributes->columns[instruction->property < 0 ? 0 : instruction->property];
	const uint32_t *tags;

	if (instruction->property < 0) {
		tags = attributes_tag(attributes, instruction->tag);
		return tags ? append_text(attributes, tags[row], ret, err) : error_oom(err);
	}
	switch (properties[instruction->property].type) {
	case PROPERTY_TEXT:
		return append_text(attributes, column->texts[row], ret, err);
	case PROPERTY_WHOLE:
		if (column->wholes[row] == ATTRIBUTES_NO_WHOLE)
			break;
		return buf_printf(ret, err, "%llu", (unsigned long long)column->wholes[row]);
	case PROPERTY_REAL:
		if (!(column->reals[row] >= 0 || column->reals[row] < 0))
			break; /* NaN */
		return buf_printf(ret, err, "%g", column->reals[row]);
	}
	return buf_append_text(ret, "nothing", err);
}

int requirements_explain(const struct requirements *requirements, struct attributes *attributes,
			 size_t row, struct buf *ret, struct error *err)
{
	const struct span span = {row / ROWS_PER_WORD, row / ROWS_PER_WORD + 1};
	const char *separator = "";

	for (size_t i = 0; i < requirements->n; i++) {
		const struct instruction *instruction = &requirements->code[i];

		if (instruction->code != PUSH)
			continue;
		if (match(instruction, attributes, &span, attributes->scratch, err) < 0)
			return -1;
		if (requirements_bit(attributes->scratch, row))
			continue;
		if (buf_printf(ret, err, "%s%.*s (has ", separator, (int)instruction->source_len,
			       requirements->source + instruction->source) < 0 ||
		    append_value(instruction, attributes, row, ret, err) < 0 ||
		    buf_append_text(ret, ")", err) < 0)
			return -1;
		separator = ", ";
	}
	return 0;
}
