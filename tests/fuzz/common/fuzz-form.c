/* Queries and form bodies: a value never has more bytes than the form, whatever its escapes. */
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http-form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"grant_type", "a", "", "a=b"};
	AUTO(free_p) char *form = strndup((const char *)data, size);

	if (!form)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO(free_p) char *value = http_form_value(form, names[i]);

		if (value && strlen(value) > strlen(form))
			__builtin_trap();
	}
	return 0;
}
