/**
 * A second, plain reading of the Requirements language for tests and benchmarks to compare with: it
 * goes over the text again for each server and looks values up in the server's JSON. Slow, and as
 * close to the words of the API reference as can be. Only for texts that the product's parser takes.
 */
#ifndef TESTS_NAIVE_REQUIREMENTS_H
#define TESTS_NAIVE_REQUIREMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct naive {
	const char *at;
	const json_t *server;
};

static bool naive_or(struct naive *n);

static void naive_blanks(struct naive *n)
{
	n->at += strspn(n->at, " \t\r\n");
}

static bool naive_word(struct naive *n, const char *word)
{
	naive_blanks(n);
	if (strncasecmp(n->at, word, strlen(word)) != 0)
		return false;
	n->at += strlen(word);
	return true;
}

static const json_t *naive_tag(const json_t *server, const char *key, size_t len)
{
	const json_t *tag, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(server, "Tags"), i, tag)
	{
		const char *known = json_string_value(json_object_get(tag, "Key"));

		if (strlen(known) == len && strncmp(known, key, len) == 0)
			found = json_object_get(tag, "Value");
	}
	return found;
}

static const json_t *naive_property(const json_t *value, const char *path, size_t len)
{
	while (value && len > 0) {
		size_t step = strcspn(path, "."), used = step < len ? step : len;
		char name[64] = "";

		memcpy(name, path, used);
		if (strncmp(name, "Ec2", 3) == 0)
			memcpy(name, "EC2", 3);
		value = json_object_get(value, name);
		path += used < len ? used + 1 : used;
		len -= used < len ? used + 1 : used;
	}
	return value;
}

static const json_t *naive_operand(struct naive *n)
{
	bool is_tag = strncmp(n->at, "tag:", 4) == 0;
	const char *start = n->at + (is_tag ? 4 : 7);
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t len = strspn(start, letters);

	if (is_tag && strncmp(start, "dcv:", 4) == 0 &&
	    strspn(start + 4, letters) + strspn(start + 4, "-") > 0) {
		len = 4;
		while (start[len] == '-' || strspn(start + len, letters) > 0)
			len++;
	}
	while (!is_tag && start[len] == '.')
		len += 1 + strspn(start + len + 1, letters);
	n->at = start + len;
	return is_tag ? naive_tag(n->server, start, len) : naive_property(n->server, start, len);
}

/* Is all of @text a number of the grammar? */
static bool naive_is_number(const char *text)
{
	const char *digits = "0123456789", *p = text + strspn(text, "+-");

	if (p - text > 1 || strspn(p, digits) == 0)
		return false;
	p += strspn(p, digits);
	if (*p == '.') {
		if (strspn(p + 1, digits) == 0)
			return false;
		p += 1 + strspn(p + 1, digits);
	}
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '+' || p[1] == '-');
		if (strspn(p, digits) == 0)
			return false;
		p += strspn(p, digits);
	}
	return !*p;
}

/* -1, 0, 1. Both are numbers. */
static int naive_order(const char *a, const char *b)
{
	if (!strpbrk(a, ".eE") && !strpbrk(b, ".eE")) {
		long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);

		return (x > y) - (x < y);
	}
	return (strtod(a, NULL) > strtod(b, NULL)) - (strtod(a, NULL) < strtod(b, NULL));
}

static bool naive_compare(const json_t *value, const char *operator, const char * literal,
			  bool is_number)
{
	char number[400];
	const char *text = json_string_value(value);
	bool is_equal = strcmp(operator, "=") == 0;
	int order;

	if (!value)
		return false;
	if (json_is_integer(value))
		(void)snprintf(number, sizeof(number), "%lld", json_integer_value(value));
	if (json_is_real(value))
		(void)snprintf(number, sizeof(number), "%.17e", json_real_value(value));
	if (!text)
		text = number;
	if (strcmp(operator, ":=") == 0)
		return strstr(text, literal);
	if (!json_is_string(value) || is_number ||
	    (!is_equal && naive_is_number(text) && naive_is_number(literal))) {
		if (!naive_is_number(text))
			return false;
		order = naive_order(text, literal);
	} else {
		order = strcmp(text, literal);
	}
	return is_equal    ? order == 0 :
	       operator[1] ? (operator[0] == '<' ? order <= 0 : order >= 0)
	       :
	       operator[0] == '<' ? order < 0
				  : order> 0;
}

static bool naive_comparison(struct naive *n)
{
	const json_t *value = naive_operand(n);
	char operator[3] = "", literal[8200];
	bool is_number;
	size_t len = 0;

	naive_blanks(n);
	operator[0] = * n->at++;
	if (*n->at == '=')
		operator[1] = * n->at++;
	naive_blanks(n);
	is_number = *n->at != '\'';
	if (is_number) {
		len = strspn(n->at, "+-0123456789.");
		if (n->at[len] == 'e' || n->at[len] == 'E') {
			size_t more = strspn(n->at + len + 1, "+-0123456789");

			len += more > 0 ? 1 + more : 0;
		}
		memcpy(literal, n->at, len);
		n->at += len;
	} else {
		for (n->at++; *n->at != '\'' || n->at[1] == '\''; n->at++) {
			n->at += *n->at == '\'';
			literal[len++] = *n->at;
		}
		n->at++;
	}
	literal[len] = '\0';
	if (strcmp(operator, "!=") == 0)
		return !naive_compare(value, "=", literal, is_number);
	return naive_compare(value, operator, literal, is_number);
}

static bool naive_factor(struct naive *n)
{
	bool is_negated = naive_word(n, "not"), result;

	naive_blanks(n);
	if (*n->at == '(') {
		n->at++;
		result = naive_or(n);
		naive_blanks(n);
		n->at++;
	} else {
		result = naive_comparison(n);
	}
	return result != is_negated;
}

static bool naive_and(struct naive *n)
{
	bool result = naive_factor(n);

	while (naive_word(n, "and"))
		result = naive_factor(n) && result;
	return result;
}

static bool naive_or(struct naive *n)
{
	bool result = naive_and(n);

	while (naive_word(n, "or"))
		result = naive_and(n) || result;
	return result;
}

static inline bool naive_requirements_hold(const char *text, const json_t *server)
{
	struct naive n = {text, server};

	return naive_or(&n);
}

#endif
