#include "agent/viewer/rfb-encodings.h"

#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

#define BIT(feature) FEATURE_BIT(FEATURE_##feature)

static const struct known {
	int32_t first, last;
	uint32_t needs;
} known[] = {
	{RFB_RAW, RFB_RAW, 0},
	{RFB_COPY_RECT, RFB_COPY_RECT, 0},
	{RFB_HEXTILE, RFB_HEXTILE, 0},
	{RFB_TIGHT, RFB_TIGHT, 0},
	{RFB_ZRLE, RFB_ZRLE, 0},
	{-32, -23, 0},   /* quality of JPEG in Tight */
	{-256, -247, 0}, /* how hard to compress */
	{RFB_DESKTOP_SIZE, RFB_DESKTOP_SIZE, 0},
	{RFB_LAST_RECT, RFB_LAST_RECT, 0},
	{RFB_CURSOR, RFB_CURSOR, BIT(pointer)},
	{RFB_QEMU_KEY, RFB_QEMU_KEY, 0},
	{RFB_EXTENDED_DESKTOP_SIZE, RFB_EXTENDED_DESKTOP_SIZE, 0},
	{RFB_FENCE, RFB_FENCE, 0},
	{RFB_CONTINUOUS_UPDATES, RFB_CONTINUOUS_UPDATES, 0},
	/* Who offers and who asks cannot be told apart in it. */
	{RFB_EXTENDED_CLIPBOARD, RFB_EXTENDED_CLIPBOARD,
	 BIT(clipboard_copy) | BIT(clipboard_paste)},
};

static const struct known *find(int32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (number >= known[i].first && number <= known[i].last)
			return &known[i];
	}
	return NULL;
}

void rfb_encodings_add(struct rfb_encodings *encodings, int32_t number)
{
	if (!find(number) || encodings->n == RFB_ENCODINGS_MAX)
		return;
	for (size_t i = 0; i < encodings->n; i++) {
		if (encodings->numbers[i] == number)
			return;
	}
	encodings->numbers[encodings->n++] = number;
}

int rfb_encodings_append(const struct rfb_encodings *encodings, uint32_t features, struct buf *out,
			 struct error *err)
{
	unsigned char message[4 + 4 * (RFB_ENCODINGS_MAX + 1)] = {2};
	size_t n = 0;

	for (size_t i = 0; i < encodings->n; i++) {
		uint32_t needs = find(encodings->numbers[i])->needs;

		if ((features & needs) == needs)
			rfb_put_u32(message + 4 + 4 * n++, (uint32_t)encodings->numbers[i]);
	}
	/* A server draws the pointer into the picture for a client that does not draw it. Who may not
	 * see it has it sent, and rfb-rectangle.c empties it. *Trap*: Xvnc draws it nevertheless where
	 * somebody else has moved it. */
	if (!(features & BIT(pointer)))
		rfb_put_u32(message + 4 + 4 * n++, (uint32_t)RFB_CURSOR);
	rfb_put_u16(message + 2, (unsigned)n);
	return buf_append(out, message, 4 + 4 * n, err);
}
