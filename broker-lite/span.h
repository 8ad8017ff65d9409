/** How far a JSON object goes, found without building it. */
#ifndef BROKER_SPAN_H
#define BROKER_SPAN_H

#include <stddef.h>

/**
 * Length of the JSON object that @text begins with; 0 if there is none. Checked is the whole
 * grammar (RFC 8259) up to 64 levels, so the span can be spliced into a larger text; not checked
 * are repeated keys, and that bytes above 127 are UTF-8. @text[@len] must be readable and NUL.
 */
size_t json_object_span(const char *text, size_t len);

#endif
