/* Parsed by recursive descent into postfix code: comparisons push a truth value, AND, OR and NOT
 * work on the values on top. Evaluation is then one loop over an array with a small stack. */
#include "broker-lite/requirements.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/json.h"

#define TEXT_MAX_BYTES 8192
#define NESTING_MAX 64
/* A value for the left side of each OR and AND that is open on each level. */
#define STACK_MAX (3 * NESTING_MAX + 8)

enum code { PUSH, AND, OR, NOT };
enum comparison { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, CONTAINS };

struct number {
	double approximate;
	long long exact;
	bool is_exact;
};

struct instruction {
	enum code code;
	enum comparison comparison;
	const char *path[3]; /* of a property; path[0] NULL: a tag */
	char *tag;           /* owned */
	char *text;          /* of the literal, owned; a number's too */
	bool is_number;      /* the literal was written as a number */
	bool has_number;     /* it can be read as one */
	struct number number;
};

struct requirements {
	struct instruction *code;
	size_t n, capacity;
};

struct parser {
	const char *text, *at;
	unsigned nesting;
	struct requirements *program;
	struct error *err;
};

static const struct property {
	const char *name;
	bool is_number;
	const char *path[3];
} properties[] = {
	{"Id", false, {"Id"}},
	{"Hostname", false, {"Hostname"}},
	{"Version", false, {"Version"}},
	{"SessionManagerAgentVersion", false, {"SessionManagerAgentVersion"}},
	{"Host.Os.BuildNumber", false, {"Host", "Os", "BuildNumber"}},
	{"Host.Os.Family", false, {"Host", "Os", "Family"}},
	{"Host.Os.KernelVersion", false, {"Host", "Os", "KernelVersion"}},
	{"Host.Os.Name", false, {"Host", "Os", "Name"}},
	{"Host.Os.Version", false, {"Host", "Os", "Version"}},
	{"Host.Memory.TotalBytes", true, {"Host", "Memory", "TotalBytes"}},
	{"Host.Memory.UsedBytes", true, {"Host", "Memory", "UsedBytes"}},
	{"Host.Swap.TotalBytes", true, {"Host", "Swap", "TotalBytes"}},
	{"Host.Swap.UsedBytes", true, {"Host", "Swap", "UsedBytes"}},
	{"Host.CpuLoadAverage.OneMinute", true, {"Host", "CpuLoadAverage", "OneMinute"}},
	{"Host.CpuLoadAverage.FiveMinutes", true, {"Host", "CpuLoadAverage", "FiveMinutes"}},
	{"Host.CpuLoadAverage.FifteenMinutes", true, {"Host", "CpuLoadAverage", "FifteenMinutes"}},
	{"Host.Aws.Ec2InstanceId", false, {"Host", "Aws", "EC2InstanceId"}},
	{"Host.Aws.EC2InstanceId", false, {"Host", "Aws", "EC2InstanceId"}},
	{"Host.Aws.Ec2InstanceType", false, {"Host", "Aws", "EC2InstanceType"}},
	{"Host.Aws.EC2InstanceType", false, {"Host", "Aws", "EC2InstanceType"}},
	{"Host.Aws.Ec2ImageId", false, {"Host", "Aws", "EC2ImageId"}},
	{"Host.Aws.EC2ImageId", false, {"Host", "Aws", "EC2ImageId"}},
	{"Host.Aws.Region", false, {"Host", "Aws", "Region"}},
	{"Host.CpuInfo.Architecture", false, {"Host", "CpuInfo", "Architecture"}},
	{"Host.CpuInfo.ModelName", false, {"Host", "CpuInfo", "ModelName"}},
	{"Host.CpuInfo.Vendor", false, {"Host", "CpuInfo", "Vendor"}},
	{"Host.CpuInfo.NumberOfCpus", true, {"Host", "CpuInfo", "NumberOfCpus"}},
	{"Host.CpuInfo.PhysicalCoresPerCpu", true, {"Host", "CpuInfo", "PhysicalCoresPerCpu"}},
};

/* --- characters and numbers --------------------------------------------------------------------
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

/* Length of the number that @p begins with; 0 if there is none. */
static size_t number_length(const char *p)
{
	const char *start = p;

	p += *p == '+' || *p == '-';
	if (!is_digit(*p))
		return 0;
	while (is_digit(*p))
		p++;
	if (*p == '.' && is_digit(p[1])) {
		for (p++; is_digit(*p);)
			p++;
	}
	if ((*p == 'e' || *p == 'E') &&
	    (is_digit(p[1]) || ((p[1] == '+' || p[1] == '-') && is_digit(p[2])))) {
		for (p += 2; is_digit(*p);)
			p++;
	}
	return (size_t)(p - start);
}

static bool read_number(const char *text, struct number *ret)
{
	size_t len = number_length(text);

	if (len == 0 || text[len])
		return false;
	ret->approximate = strtod(text, NULL);
	errno = 0;
	ret->exact = strtoll(text, NULL, 10);
	ret->is_exact = errno == 0 && !strpbrk(text, ".eE");
	return true;
}

static int compare_numbers(const struct number *a, const struct number *b)
{
	if (a->is_exact && b->is_exact)
		return (a->exact > b->exact) - (a->exact < b->exact);
	return (a->approximate > b->approximate) - (a->approximate < b->approximate);
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
	*instruction = (struct instruction){.code = code};
	return instruction;
}

static int parse_tag(struct parser *parser, struct instruction *instruction)
{
	const char *start = parser->at, *p = start;
	bool is_dcv = strncmp(p, "dcv:", 4) == 0;

	if (is_dcv)
		p += 4;
	else if (is_digit(*p))
		return fail(parser, p, "a tag key begins with a letter");
	while (is_letter(*p) || is_digit(*p) || *p == '_' || (is_dcv && *p == '-'))
		p++;
	if (p == start + (is_dcv ? 4 : 0))
		return fail(parser, p, "a tag key is missing");
	instruction->tag = strndup(start, (size_t)(p - start));
	parser->at = p;
	return instruction->tag ? 0 : error_oom(parser->err);
}

static int parse_property(struct parser *parser, const char *start, struct instruction *instruction,
			  bool *ret_is_number)
{
	const char *p = parser->at;
	size_t len;

	while (is_letter(*p) || (p > parser->at && (is_digit(*p) || *p == '.')))
		p++;
	len = (size_t)(p - parser->at);
	if (len == 0)
		return fail(parser, p, "a property's name is missing");
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		if (strlen(properties[i].name) != len ||
		    strncmp(properties[i].name, parser->at, len) != 0)
			continue;
		memcpy(instruction->path, properties[i].path, sizeof(instruction->path));
		*ret_is_number = properties[i].is_number;
		parser->at = p;
		return 0;
	}
	return error_set(parser->err, ERR_INVALID,
			 "Invalid requirements: unknown server property '%.*s' at position %zu",
			 (int)(p - start > 100 ? 100 : p - start), start,
			 (size_t)(start - parser->text) + 1);
}

static int parse_operand(struct parser *parser, struct instruction *instruction,
			 bool *ret_is_number)
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
		return parse_property(parser, start, instruction, ret_is_number);
	}
	return fail(parser, start, "expected 'tag:' or 'server:'");
}

static int parse_operator(struct parser *parser, struct instruction *instruction)
{
	/* longest match first */
	static const struct {
		const char *text;
		enum comparison comparison;
	} operators[] = {{"!=", NOT_EQUAL}, {"<=", LESS_EQUAL}, {">=", GREATER_EQUAL},
			 {":=", CONTAINS},  {"=", EQUAL},       {"<", LESS},
			 {">", GREATER}};

	skip_blanks(parser);
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		if (strncmp(parser->at, operators[i].text, strlen(operators[i].text)) != 0)
			continue;
		parser->at += strlen(operators[i].text);
		instruction->comparison = operators[i].comparison;
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
		len = number_length(parser->at);
		if (len == 0)
			return fail(parser, parser->at, "expected a string in quotes or a number");
		instruction->text = strndup(parser->at, len);
		if (!instruction->text)
			return error_oom(parser->err);
		instruction->is_number = true;
		parser->at += len;
	}
	instruction->has_number = read_number(instruction->text, &instruction->number);
	return 0;
}

static int parse_comparison(struct parser *parser)
{
	struct instruction *instruction = emit(parser, PUSH);
	bool is_number = false;
	const char *operator_at;

	if (!instruction || parse_operand(parser, instruction, &is_number) < 0)
		return -1;
	skip_blanks(parser);
	operator_at = parser->at;
	if (parse_operator(parser, instruction) < 0 || parse_literal(parser, instruction) < 0)
		return -1;
	if (instruction->comparison == CONTAINS && (instruction->is_number || is_number))
		return fail(parser, operator_at, "the operator := is for texts");
	if (is_number && !instruction->has_number)
		return fail(parser, operator_at, "the property is a number and the literal is not");
	return 0;
}

static int parse_alternatives(struct parser *parser);

static int parse_group(struct parser *parser)
{
	const char *start = parser->at;

	if (++parser->nesting > NESTING_MAX)
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
	if (!parser.program)
		return error_oom(err);
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
	free(requirements);
}

/* --- evaluation --------------------------------------------------------------------------------
 */

static const json_t *find_tag(const json_t *server, const char *key)
{
	const json_t *tags = json_object_get(server, "Tags"), *found = NULL;

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);
		const char *name = json_get_text(tag, "Key");

		if (name && strcmp(name, key) == 0)
			found = json_object_get(tag, "Value");
	}
	return found;
}

static const json_t *find_value(const struct instruction *instruction, const json_t *server)
{
	const json_t *value = server;

	if (instruction->tag)
		return find_tag(server, instruction->tag);
	for (size_t i = 0; i < 3 && instruction->path[i]; i++)
		value = json_object_get(value, instruction->path[i]);
	return value;
}

static bool read_value(const json_t *value, struct number *ret)
{
	if (json_is_string(value))
		return read_number(json_string_value(value), ret);
	ret->is_exact = json_is_integer(value);
	ret->exact = json_integer_value(value);
	ret->approximate = json_number_value(value);
	return json_is_number(value);
}

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

/* Every operator but !=, which is the exact opposite of =. */
static bool compares(const struct instruction *instruction, enum comparison comparison,
		     const json_t *value)
{
	const char *text = json_string_value(value);
	bool orders = comparison != EQUAL;
	struct number number;

	if (!value)
		return false;
	if (comparison == CONTAINS)
		return text && strstr(text, instruction->text);
	/* A text is compared as a number when the literal is one, or when an order is asked for
	 * and both can be read so. */
	if (!text || instruction->is_number || (orders && instruction->has_number)) {
		if (instruction->has_number && read_value(value, &number))
			return fulfils(comparison, compare_numbers(&number, &instruction->number));
		if (!text || instruction->is_number)
			return false;
	}
	return fulfils(comparison, strcmp(text, instruction->text));
}

static bool holds(const struct instruction *instruction, const json_t *server)
{
	const json_t *value = find_value(instruction, server);

	if (instruction->comparison == NOT_EQUAL)
		return !compares(instruction, EQUAL, value);
	return compares(instruction, instruction->comparison, value);
}

bool requirements_hold(const struct requirements *requirements, const json_t *server)
{
	bool stack[STACK_MAX];
	size_t n = 0;

	for (size_t i = 0; i < requirements->n; i++) {
		const struct instruction *instruction = &requirements->code[i];

		switch (instruction->code) {
		case PUSH:
			if (n == STACK_MAX)
				return false; /* the nesting limit keeps us far from here */
			stack[n++] = holds(instruction, server);
			break;
		case NOT:
			stack[n - 1] = !stack[n - 1];
			break;
		case AND:
			n--;
			stack[n - 1] = stack[n - 1] && stack[n];
			break;
		case OR:
			n--;
			stack[n - 1] = stack[n - 1] || stack[n];
			break;
		}
	}
	return n == 1 && stack[0];
}
