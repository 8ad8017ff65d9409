#include "common/log-limit.h"

#include <uv.h>

#include "common/log.h"

#define MINUTE_NS (60 * UINT64_C(1000000000))

bool log_limit_passes(struct log_limit *limit, const char *what)
{
	uint64_t now_ns = uv_hrtime();

	if (limit->since_ns == 0 || now_ns - limit->since_ns >= MINUTE_NS) {
		if (limit->n > LOG_LIMIT)
			log_warning("%u more %s within a minute", limit->n - LOG_LIMIT, what);
		limit->since_ns = now_ns;
		limit->n = 0;
	}
	return ++limit->n <= LOG_LIMIT;
}
