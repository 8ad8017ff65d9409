/* Whatever comes, the request keeps its bounds, and there is a reason when it is refused. */
#include <stdint.h>
#include <string.h>

#include "screenshot/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serve_request request;
	struct error err = {0};
	int result = serve_request_parse(data, size, &request, &err);

	if (!memchr(request.tag, '\0', sizeof(request.tag)) ||
	    request.options.max_width > SCREENSHOT_BOUND_MAX ||
	    request.options.max_height > SCREENSHOT_BOUND_MAX ||
	    !screenshot_format_name(request.options.format))
		__builtin_trap();
	if (result < 0 && (err.code == ERR_NONE || !*err.message))
		__builtin_trap();
	return 0;
}
