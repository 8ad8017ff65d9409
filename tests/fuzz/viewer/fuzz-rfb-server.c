/* What an X server sends means the same in one piece and in pieces, what is let through of it would be
 * let through again, unchanged, and is never more than came. The first byte is the size of the pieces,
 * the next four are the features, then comes one for the pixels that the client has chosen. */
#include <stdint.h>
#include <string.h>

#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char client[] = "RFB 003.008\n\1\1"
			     "\3\0\0\0\0\0\0\0\0\0";
static const char formats[][20] = {
	{0, 0, 0, 0, 32, 24, 0, 1, 0, (char)255, 0, (char)255, 0, (char)255, 0, 8, 16, 0, 0, 0},
	{0, 0, 0, 0, 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0},
	{0, 0, 0, 0, 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0},
};

static int take(uint32_t features, unsigned format, const void *bytes, size_t len, size_t step,
		struct buf *out)
{
	AUTO(buf_done) struct buf ignored = {0};
	struct rfb_keyboard keyboard = {{0}};
	struct rfb rfb;
	struct error err = {0};
	int result;

	rfb_init(&rfb, features | FEATURE_BIT(FEATURE_display), &keyboard);
	result = rfb_take_client(&rfb, client, 14, &ignored, &err);
	if (format < ARRAY_SIZE(formats) && result == 0)
		result = rfb_take_client(&rfb, formats[format], 20, &ignored, &err);
	if (result < 0 || rfb_take_client(&rfb, client + 14, 10, &ignored, &err) < 0)
		__builtin_trap();
	for (size_t at = 0; at < len && result == 0; at += step)
		result = rfb_take_server(&rfb, (const char *)bytes + at,
					 len - at < step ? len - at : step, out, &err);
	rfb_done(&rfb);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf whole = {0}, pieces = {0}, again = {0};
	uint32_t features;
	int result;

	if (size < 7)
		return 0;
	features = rfb_u32(data + 1);
	result = take(features, data[5], data + 6, size - 6, size, &whole);
	if (take(features, data[5], data + 6, size - 6, data[0] ? data[0] : 1, &pieces) != result)
		__builtin_trap();
	if (whole.len != pieces.len ||
	    (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
		__builtin_trap();
	if (whole.len > size)
		__builtin_trap();
	if (!whole.len)
		return 0;
	if (take(features, data[5], whole.data, whole.len, whole.len, &again) < 0 ||
	    again.len != whole.len || memcmp(again.data, whole.data, whole.len) != 0)
		__builtin_trap();
	return 0;
}
