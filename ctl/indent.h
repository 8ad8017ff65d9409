/** JSON text laid out for reading. */
#ifndef CTL_INDENT_H
#define CTL_INDENT_H

#include <stddef.h>
#include <stdio.h>

/**
 * Write @json, which must be well-formed, with one member per line, two blanks per level and a line
 * end. Only the blanks between its parts change: keys keep their order, numbers and strings their
 * spelling, which parsing and writing them again would not keep. A failure shows in ferror().
 */
void indent_json(FILE *out, const char *json, size_t len);

#endif
