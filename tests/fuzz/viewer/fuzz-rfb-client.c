/* What a client sends means the same in one piece and in pieces, and what is let through of it would be
 * let through again, unchanged: nothing forbidden is hidden in it. The first byte is the size of the
 * pieces, the next four are the features. */
#include <stdint.h>
#include <string.h>

#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(uint32_t features, const void *bytes, size_t len, size_t step, struct buf *out)
{
	struct rfb_keyboard keyboard = {{0}};
	struct rfb rfb;
	struct error err = {0};
	int result = 0;

	rfb_init(&rfb, features, &keyboard);
	for (size_t at = 0; at < len && result == 0; at += step)
		result = rfb_take_client(&rfb, (const char *)bytes + at,
					 len - at < step ? len - at : step, out, &err);
	rfb_done(&rfb);
	for (size_t i = 0; i < RFB_N_KEY_KINDS; i++) {
		if (keyboard.n_held[i] != 0)
			__builtin_trap();
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf whole = {0}, pieces = {0}, again = {0};
	uint32_t features;
	int result;

	if (size < 6)
		return 0;
	features = rfb_u32(data + 1);
	result = take(features, data + 5, size - 5, size, &whole);
	if (take(features, data + 5, size - 5, data[0] ? data[0] : 1, &pieces) != result)
		__builtin_trap();
	if (whole.len != pieces.len ||
	    (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
		__builtin_trap();
	if (whole.len > 3 * size + 400)
		__builtin_trap();
	if (!whole.len)
		return 0;
	if (take(features, whole.data, whole.len, whole.len, &again) < 0 ||
	    again.len != whole.len || memcmp(again.data, whole.data, whole.len) != 0)
		__builtin_trap();
	return 0;
}
