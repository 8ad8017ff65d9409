/* A message that is accepted has a body that the JSON parser accepts too, but for repeated keys
 * and text that is not UTF-8, which the span does not look at. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/link-message.h"
#include "common/cleanup.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	struct link_message message;
	json_auto_t *body = NULL;
	json_error_t problem;
	struct error err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (link_message_read(text, size, &message, &err) < 0)
		return 0;
	link_message_read_failure(&message, &err);
	body = json_loadb(message.body, message.body_len, 0, &problem);
	switch (body ? json_error_unknown : json_error_code(&problem)) {
	case json_error_invalid_syntax:
	case json_error_premature_end_of_input:
	case json_error_end_of_input_expected:
	case json_error_wrong_type:
		/* a lone surrogate or an escaped NUL is a matter of the text */
		if (!memchr(message.body, '\\', message.body_len))
			__builtin_trap();
		break;
	default:
		break;
	}
	return 0;
}
