/** The value of an option, from text to JSON. Source: the CLI reference, "Value types". */
#ifndef CTL_VALUE_H
#define CTL_VALUE_H

#include <jansson.h>

#include "common/error.h"
#include "ctl/option.h"

/**
 * Read @text as a value of @spec; @kind and @param are what option_kind() and option_param() say.
 * Lists add to what *value holds, anything else replaces it. ERR_INVALID names the option.
 */
int value_read(const struct option_spec *spec, enum option_kind kind, const struct param *param,
	       const char *text, json_t **value, struct error *err);

#endif
