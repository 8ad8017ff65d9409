/* X-Forwarded-For: what is no address is none, and one that is one has the form that is counted. */
#include <stdint.h>
#include <string.h>

#include "broker-lite/throttle.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}, none[8];
	AUTO(free_p) char *text = strndup((const char *)data, size);
	unsigned char address[16];

	if (text && throttle_read_forwarded(text, address) && memcmp(address, mapped, 12) != 0 &&
	    memcmp(address + 8, none, 8) != 0)
		__builtin_trap();
	return 0;
}
