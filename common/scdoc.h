/** Text in a manual page that is written in the language of scdoc(5). */
#ifndef COMMON_SCDOC_H
#define COMMON_SCDOC_H

#include <stdio.h>

/** Print @text as it stands: what would begin bold or underlined text is a character. */
void scdoc_print(FILE *file, const char *text);

/** The same as a sentence: the first letter large, a full stop behind. */
void scdoc_print_sentence(FILE *file, const char *text);

#endif
