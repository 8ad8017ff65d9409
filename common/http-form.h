/** Parameters of a query, or of a body that is a form. Source: WHATWG URL, 5.1. */
#ifndef COMMON_HTTP_FORM_H
#define COMMON_HTTP_FORM_H

#include "common/buf.h"
#include "common/error.h"

/** Value of a parameter by its name, decoded; free() it. NULL if absent. */
char *http_form_value(const char *form, const char *name);

/** Append @text with %XX for every byte but letters, digits and "-._~". Source: RFC 3986, 2.1. */
int http_percent_append(struct buf *buf, const char *text, struct error *err);

#endif
