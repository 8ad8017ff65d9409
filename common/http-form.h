/** Parameters of a query, or of a body that is a form. Source: WHATWG URL, 5.1. */
#ifndef COMMON_HTTP_FORM_H
#define COMMON_HTTP_FORM_H

/** Value of a parameter by its name, decoded; free() it. NULL if absent. */
char *http_form_value(const char *form, const char *name);

#endif
