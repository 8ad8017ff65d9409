/* From the X server to the client. It is let speak only what rfb-encodings.c has asked for; but it is
 * the owner's program, and may say anything. */
#include <string.h>

#include "agent/viewer/rfb.h"

#define BIT(feature) FEATURE_BIT(FEATURE_##feature)
#define NAME_MAX_BYTES 65536
#define FENCE_MAX_BYTES 64
#define NO_COUNT 0xffff /* of rectangles: LastRect ends them */

static rfb_portion_fn take_type;

static void await_message(struct rfb *rfb)
{
	rfb_side_await(&rfb->server, 1, take_type);
}

/* --- the beginning -----------------------------------------------------------------------------
 */

static int take_init(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	uint32_t name_bytes = rfb_u32(side->portion + 20);
	struct rfb_pixel pixel;

	if (rfb_pixel_read(&pixel, side->portion + 4, err) < 0)
		return -1;
	if (name_bytes > NAME_MAX_BYTES)
		return error_set(err, ERR_INVALID, "name of %u bytes", name_bytes);
	if (!rfb->is_pixel_chosen) /* a client may be faster than we */
		rfb->pixel = pixel;
	if (rfb_side_pass(side, out, err) < 0)
		return -1;
	rfb_side_body(side, name_bytes, true);
	await_message(rfb);
	return 0;
}

static int take_result(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (rfb_u32(rfb->server.portion) != 0)
		return error_set(err, ERR_INVALID, "it admits nobody");
	rfb_side_await(&rfb->server, 24, take_init);
	return buf_append(out, "\0\0\0\0", 4, err);
}

/* Who connects has been checked by others: only the type without any check is offered. */
static int take_security_types(struct rfb *rfb, struct buf *out, struct error *err)
{
	const struct rfb_side *side = &rfb->server;

	if (!memchr(side->portion + 1, 1, side->portion[0]))
		return error_set(err, ERR_INVALID, "it wants a password");
	rfb_side_await(&rfb->server, 4, take_result);
	return buf_append(out, "\1\1", 2, err);
}

static int take_security(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;

	(void)out;
	if (side->portion[0] == 0)
		return error_set(err, ERR_INVALID, "it admits nobody");
	rfb_side_extend(side, 1U + side->portion[0], take_security_types);
	return 0;
}

int rfb_server_version(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (memcmp(rfb->server.portion, "RFB 003.008\n", 12) != 0)
		return error_set(err, ERR_INVALID, "protocol version 3.8 is not what it speaks");
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	rfb_side_await(&rfb->server, 1, take_security);
	return 0;
}

/* --- updates -----------------------------------------------------------------------------------
 */

static void await_rectangle(struct rfb *rfb)
{
	if (rfb->n_rectangles_left > 0 || rfb->is_update_endless)
		rfb_side_await(&rfb->server, 12, rfb_rectangle_begin);
	else
		await_message(rfb);
}

void rfb_rectangle_end(struct rfb *rfb)
{
	if (!rfb->is_update_endless)
		rfb->n_rectangles_left--;
	await_rectangle(rfb);
}

static int take_update(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (!rfb_may(rfb, BIT(display)))
		return error_set(err, ERR_INVALID, "a picture for somebody who may see none");
	if (!rfb->is_pixel_fixed)
		return error_set(err, ERR_INVALID, "an update that was not asked for");
	rfb->n_rectangles_left = rfb_u16(rfb->server.portion + 2);
	rfb->is_update_endless = rfb->n_rectangles_left == NO_COUNT;
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	await_rectangle(rfb);
	return 0;
}

/* --- other messages ----------------------------------------------------------------------------
 */

/* A message of one byte. */
static int pass_single(struct rfb *rfb, bool may, struct buf *out, struct error *err)
{
	if (may && rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	await_message(rfb);
	return 0;
}

static int take_cut_text(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	uint32_t length = rfb_u32(side->portion + 4);
	bool is_extended = length & 0x80000000U;
	bool may = rfb_may(rfb, BIT(clipboard_copy)) &&
		   (!is_extended || rfb_may(rfb, BIT(clipboard_paste)));

	if (may && rfb_side_pass(side, out, err) < 0)
		return -1;
	rfb_side_body(side, is_extended ? ~length + UINT64_C(1) : length, may);
	await_message(rfb);
	return 0;
}

static int take_fence(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	unsigned bytes = side->portion[8];

	if (bytes > FENCE_MAX_BYTES)
		return error_set(err, ERR_INVALID, "fence of %u bytes", bytes);
	if (rfb_side_pass(side, out, err) < 0)
		return -1;
	rfb_side_body(side, bytes, true);
	await_message(rfb);
	return 0;
}

static int take_type(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;

	switch (side->portion[0]) {
	case 0: /* FramebufferUpdate */
		rfb_side_extend(side, 4, take_update);
		return 0;
	case 2: /* Bell */
		return pass_single(rfb, rfb_may(rfb, BIT(audio_out)), out, err);
	case 3: /* ServerCutText */
		rfb_side_extend(side, 8, take_cut_text);
		return 0;
	case 150: /* EndOfContinuousUpdates */
		return pass_single(rfb, true, out, err);
	case 248: /* ServerFence */
		rfb_side_extend(side, 9, take_fence);
		return 0;
	default: /* a colour map, too, which no client could have asked for */
		return error_set(err, ERR_INVALID, "message of unknown type %u", side->portion[0]);
	}
}
