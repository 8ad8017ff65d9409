/* Whatever a token says of itself and a broker answers: either there is a name, or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/admission.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(char *(*read)(const char *text, struct error *err), const char *text)
{
	struct error err = {0};
	AUTO(free_p) char *found = read(text, &err);

	if (!found == !err.message[0])
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	check(admission_session_of, text);
	check(admission_read_verdict, text);
	return 0;
}
