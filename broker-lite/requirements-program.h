/** The compiled form of Requirements, between its parser and its evaluation: postfix code. */
#ifndef BROKER_REQUIREMENTS_PROGRAM_H
#define BROKER_REQUIREMENTS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "broker-lite/numeral.h"
#include "broker-lite/strings.h"

enum code { PUSH, AND, OR, NOT }; /* PUSH: the truth of a comparison */
enum comparison { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, CONTAINS };

struct instruction {
	enum code code;
	enum comparison comparison;
	bool is_negated; /* "!=" is EQUAL, negated: so it is true where there is no value */
	int property;    /* -1: a tag */
	char *tag;       /* owned */
	char *text;      /* of the literal, owned; a number's too */
	size_t text_len;
	struct pairs pairs; /* of the text */
	bool is_number;     /* the literal was written as a number */
	bool has_number;    /* it can be read as one */
	struct numeral number;
	size_t source, source_len; /* where the comparison stands in the text */
};

struct requirements {
	char *source;
	struct instruction *code;
	size_t n, capacity;
};

#endif
