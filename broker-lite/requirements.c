/* The parser: recursive descent into postfix code. Comparisons push a truth value, AND, OR and NOT
 * work on the values on top. */
#include "broker-lite/requirements.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker-lite/requirements-program.h"
#include "common/buf.h"
#include "common/cleanup.h"

#define TEXT_MAX_BYTES 8192

struct parser {
	const char *text, *at;
	unsigned nesting;
	struct requirements *program;
	struct error *err;
};

/* --- characters --------------------------------------------------------------------------------
 */

/* The locale has no say in this language. */
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- the parser --------------------------------------------------------------------------------
 */

static int fail(struct parser *parser, const char *at, const char *what)
{
	return error_set(parser->err, ERR_INVALID, "Invalid requirements: %s at position %zu", what,
			 (size_t)(at - parser->text) + 1);
}

static void skip_blanks(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t\n\r");
}

/* A word in any letter case, which the next character does not go on with. */
static bool take_word(struct parser *parser, const char *word)
{
	size_t len = strlen(word);
	const char *at;

	skip_blanks(parser);
	at = parser->at;
	if (strncasecmp(at, word, len) != 0 || is_letter(at[len]) || is_digit(at[len]) ||
	    at[len] == '_' || at[len] == ':')
		return false;
	parser->at += len;
	return true;
}

static struct instruction *emit(struct parser *parser, enum code code)
{
	struct requirements *program = parser->program;
	struct instruction *instruction;

	if (program->n == program->capacity) {
		size_t capacity = program->capacity ? program->capacity * 2 : 8;
		struct instruction *grown = reallocarray(program->code, capacity, sizeof(*grown));

		if (!grown) {
			(void)error_oom(parser->err);
			return NULL;
		}
		program->code = grown;
		program->capacity = capacity;
	}
	instruction = &program->code[program->n++];
	*instruction = (struct instruction){.code = code, .property = -1};
	return instruction;
}

static bool is_tag_character(char c, bool is_dcv)
{
	return is_letter(c) || is_digit(c) || c == '_' || (is_dcv && c == '-');
}

/* Longest match: "tag:dcv:os-family" is one key, "tag:dcv:='x'" is the key "dcv" and ":=". */
static int parse_tag(struct parser *parser, struct instruction *instruction)
{
	const char *start = parser->at, *p = start;
	bool is_dcv = strncmp(p, "dcv:", 4) == 0 && is_tag_character(p[4], true);

	if (is_dcv)
		p += 4;
	else if (is_digit(*p))
		return fail(parser, p, "a tag key begins with a letter");
	while (is_tag_character(*p, is_dcv))
		p++;
	if (p == start)
		return fail(parser, p, "a tag key is missing");
	instruction->tag = strndup(start, (size_t)(p - start));
	parser->at = p;
	return instruction->tag ? 0 : error_oom(parser->err);
}

static int parse_property(struct parser *parser, const char *start, struct instruction *instruction)
{
	const char *p = parser->at;

	while (is_letter(*p) || (p > parser->at && (is_digit(*p) || *p == '.')))
		p++;
	if (p == parser->at)
		return fail(parser, p, "a property's name is missing");
	instruction->property = property_find(parser->at, (size_t)(p - parser->at));
	parser->at = p;
	if (instruction->property >= 0)
		return 0;
	return error_set(parser->err, ERR_INVALID,
			 "Invalid requirements: unknown server property '%.*s' at position %zu",
			 (int)(p - start > 100 ? 100 : p - start), start,
			 (size_t)(start - parser->text) + 1);
}

static int parse_operand(struct parser *parser, struct instruction *instruction)
{
	const char *start;

	skip_blanks(parser);
	start = parser->at;
	if (strncmp(start, "tag:", 4) == 0) {
		parser->at += 4;
		return parse_tag(parser, instruction);
	}
	if (strncmp(start, "server:", 7) == 0) {
		parser->at += 7;
		return parse_property(parser, start, instruction);
	}
	return fail(parser, start, "expected 'tag:' or 'server:'");
}

static int parse_operator(struct parser *parser, struct instruction *instruction)
{
	/* longest match first */
	static const struct {
		const char *text;
		enum comparison comparison;
		bool is_negated;
	} operators[] = {
		{"!=", EQUAL, true},     {"<=", LESS_EQUAL, false}, {">=", GREATER_EQUAL, false},
		{":=", CONTAINS, false}, {"=", EQUAL, false},       {"<", LESS, false},
		{">", GREATER, false},
	};

	skip_blanks(parser);
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		if (strncmp(parser->at, operators[i].text, strlen(operators[i].text)) != 0)
			continue;
		parser->at += strlen(operators[i].text);
		instruction->comparison = operators[i].comparison;
		instruction->is_negated = operators[i].is_negated;
		return 0;
	}
	return fail(parser, parser->at, "expected an operator");
}

/* 'text', in which '' stands for one quote. */
static int parse_string(struct parser *parser, struct instruction *instruction)
{
	const char *start = parser->at, *p = start + 1;
	struct buf text = {0};

	for (; *p && (*p != '\'' || p[1] == '\''); p += *p == '\'' ? 2 : 1) {
		if (buf_append(&text, p, 1, parser->err) < 0) {
			buf_done(&text);
			return -1;
		}
	}
	instruction->text = buf_steal(&text);
	if (!instruction->text)
		return error_oom(parser->err);
	if (*p != '\'')
		return fail(parser, start, "a string without an end");
	parser->at = p + 1;
	return 0;
}

static int parse_literal(struct parser *parser, struct instruction *instruction)
{
	size_t len;

	skip_blanks(parser);
	if (*parser->at == '\'') {
		if (parse_string(parser, instruction) < 0)
			return -1;
	} else {
		len = numeral_length(parser->at);
		if (len == 0)
			return fail(parser, parser->at, "expected a string in quotes or a number");
		instruction->text = strndup(parser->at, len);
		if (!instruction->text)
			return error_oom(parser->err);
		instruction->is_number = true;
		parser->at += len;
	}
	instruction->text_len = strlen(instruction->text);
	instruction->pairs = pairs_of(instruction->text);
	instruction->has_number = numeral_read(instruction->text, &instruction->number);
	return 0;
}

static int check_types(struct parser *parser, const struct instruction *instruction,
		       const char *operator_at)
{
	bool is_number = instruction->property >= 0 &&
			 properties[instruction->property].type != PROPERTY_TEXT;

	if (instruction->comparison == CONTAINS && (instruction->is_number || is_number))
		return fail(parser, operator_at, "the operator := is for texts");
	if (is_number && !instruction->has_number)
		return fail(parser, operator_at, "the property is a number and the literal is not");
	return 0;
}

static int parse_comparison(struct parser *parser)
{
	struct instruction *instruction = emit(parser, PUSH);
	const char *operator_at;

	if (!instruction)
		return -1;
	skip_blanks(parser);
	instruction->source = (size_t)(parser->at - parser->text);
	if (parse_operand(parser, instruction) < 0)
		return -1;
	skip_blanks(parser);
	operator_at = parser->at;
	if (parse_operator(parser, instruction) < 0 || parse_literal(parser, instruction) < 0)
		return -1;
	instruction->source_len = (size_t)(parser->at - parser->text) - instruction->source;
	return check_types(parser, instruction, operator_at);
}

static int parse_alternatives(struct parser *parser);

static int parse_group(struct parser *parser)
{
	const char *start = parser->at;

	if (++parser->nesting > REQUIREMENTS_NESTING_MAX)
		return fail(parser, start, "nested too deeply");
	parser->at++;
	if (parse_alternatives(parser) < 0)
		return -1;
	skip_blanks(parser);
	if (*parser->at != ')')
		return fail(parser, parser->at, "expected ')'");
	parser->at++;
	parser->nesting--;
	return 0;
}

static int parse_factor(struct parser *parser)
{
	bool is_negated = take_word(parser, "not");

	skip_blanks(parser);
	if (*parser->at == '(' ? parse_group(parser) < 0 : parse_comparison(parser) < 0)
		return -1;
	return is_negated && !emit(parser, NOT) ? -1 : 0;
}

static int parse_conjunction(struct parser *parser)
{
	if (parse_factor(parser) < 0)
		return -1;
	while (take_word(parser, "and")) {
		if (parse_factor(parser) < 0 || !emit(parser, AND))
			return -1;
	}
	return 0;
}

static int parse_alternatives(struct parser *parser)
{
	if (parse_conjunction(parser) < 0)
		return -1;
	while (take_word(parser, "or")) {
		if (parse_conjunction(parser) < 0 || !emit(parser, OR))
			return -1;
	}
	return 0;
}

int requirements_parse(const char *text, struct requirements **ret, struct error *err)
{
	struct parser parser = {.text = text, .at = text, .err = err};

	skip_blanks(&parser);
	if (!*parser.at) {
		*ret = NULL;
		return 0;
	}
	if (strlen(text) > TEXT_MAX_BYTES)
		return error_set(err, ERR_INVALID, "Invalid requirements: longer than %d bytes",
				 TEXT_MAX_BYTES);
	parser.program = calloc(1, sizeof(*parser.program));
	if (!parser.program || !(parser.program->source = strdup(text))) {
		requirements_free(parser.program);
		return error_oom(err);
	}
	if (parse_alternatives(&parser) == 0) {
		skip_blanks(&parser);
		if (!*parser.at) {
			*ret = parser.program;
			return 0;
		}
		(void)fail(&parser, parser.at, "expected 'and', 'or' or the end");
	}
	requirements_free(parser.program);
	return -1;
}

void requirements_free(struct requirements *requirements)
{
	if (!requirements)
		return;
	for (size_t i = 0; i < requirements->n; i++) {
		free(requirements->code[i].tag);
		free(requirements->code[i].text);
	}
	free(requirements->code);
	free(requirements->source);
	free(requirements);
}
