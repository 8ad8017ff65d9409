/* The head of a request: its end is found however it arrives, and every part that is read is a text
 * within the head. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http-head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(const char *part, const char *text, size_t len)
{
	if (*part && (part < text || part + strlen(part) >= text + len))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head;
	struct error err;
	const char *value;
	size_t len = http_head_length((const char *)data, size, 0);
	AUTO(free_p) char *text = malloc(len + 1);

	for (size_t seen = 0; seen < len; seen++) {
		if (http_head_length((const char *)data, size, seen) != len ||
		    http_head_length((const char *)data, seen, 0) != 0)
			__builtin_trap();
	}
	if (!text || len == 0)
		return 0;
	memcpy(text, data, len);
	if (http_head_read(text, len, &head, &err) < 0)
		return 0;
	if (head.path[0] != '/' || !head.method[0])
		__builtin_trap();
	check_within(head.method, text, len);
	check_within(head.path, text, len);
	check_within(head.query, text, len);
	for (size_t i = 0; i < head.n_fields; i++) {
		check_within(head.fields[i].name, text, len);
		check_within(head.fields[i].value, text, len);
	}
	if (http_head_field(&head, "a", &value, &err) == 0 && value)
		check_within(value, text, len);
	(void)http_head_has_token(&head, "a", "b");
	return 0;
}
