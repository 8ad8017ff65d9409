/* The environment of a program of the owner, who may have put anything into it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/local-display.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *authority = NULL;
	char *text = malloc(size + 1);
	int number;

	if (!text)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	number = local_display_read_environ(text, size, "7", size % 2 ? 3 : -1, &authority);
	if (number >= 0 &&
	    (number > 65535 || !authority || authority + strlen(authority) > text + size))
		abort();
	free(text);
	return 0;
}
