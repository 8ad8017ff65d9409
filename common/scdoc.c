#include "common/scdoc.h"

#include <ctype.h>
#include <string.h>

void scdoc_print(FILE *file, const char *text)
{
	for (; *text; text++)
		(void)fprintf(file, strchr("*_\\", *text) ? "\\%c" : "%c", *text);
}

void scdoc_print_sentence(FILE *file, const char *text)
{
	if (*text)
		(void)fputc(toupper((unsigned char)*text++), file);
	scdoc_print(file, text);
	(void)fputc('.', file);
}
