/* The small texts: base64 decodes to what encodes to it, a time that is read is written the same.
 */
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/number.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_base64(const char *text, const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf encoded = {0}, decoded = {0}, again = {0};
	struct error err = {0};

	if (base64_append(&encoded, data, size, &err) < 0 ||
	    base64_decode(encoded.data, &decoded, &err) < 0 || decoded.len != size ||
	    (size > 0 && memcmp(decoded.data, data, size) != 0))
		__builtin_trap();
	buf_done(&decoded);
	if (base64_decode(text, &decoded, &err) < 0) {
		if (decoded.len != 0)
			__builtin_trap();
		return;
	}
	buf_done(&encoded);
	if (base64_append(&encoded, decoded.data, decoded.len, &err) < 0 ||
	    base64_decode(encoded.data, &again, &err) < 0 || again.len != decoded.len)
		__builtin_trap();
}

static void check_time(const char *text)
{
	char written[TIME_SIZE];
	long long ms;

	if (!time_parse(text, &ms))
		return;
	time_format(ms, written);
	/* the seconds; the fraction may have had any length, and there are years before 1970 */
	if (ms >= 0 && strncmp(text, written, 19) != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = strndup((const char *)data, size);
	long long number;

	if (!text)
		return 0;
	check_base64(text, data, size);
	check_time(text);
	(void)is_uuid(text);
	if (number_parse(text, -5, 1000, &number) && (number < -5 || number > 1000))
		__builtin_trap();
	return 0;
}
