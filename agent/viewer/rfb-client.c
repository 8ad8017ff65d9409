/* From the client to the X server. Every message that there is stands in one table, with what it needs;
 * what is not in it ends the connection, because nobody knows where it would end. */
#include <string.h>

#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

#define BIT(feature) FEATURE_BIT(FEATURE_##feature)
#define FENCE_MAX_BYTES 64

/** May this one pass? Asked when the features allow it; may note and change it. -1: no sense in it. */
typedef int judge_fn(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err);

/** The bytes that follow the fixed portion of a message. -1: too many. */
typedef int body_fn(const unsigned char *message, uint64_t *ret_bytes, struct error *err);

static rfb_portion_fn take_type, take_encodings;
static judge_fn judge_pixel_format, judge_request, judge_key, judge_pointer, judge_cut_text,
	judge_qemu_key;
static body_fn measure_cut_text, measure_fence, measure_screens;

static const struct client_message {
	unsigned char type;
	unsigned char bytes; /* of the fixed portion, with the type */
	uint32_t needs;      /* features */
	judge_fn *judge;
	body_fn *measure;
	rfb_portion_fn *take; /* instead of all that */
} messages[] = {
	{0, 20, BIT(display), .judge = judge_pixel_format}, /* SetPixelFormat */
	{2, 4, BIT(display), .take = take_encodings},       /* SetEncodings */
	{3, 10, BIT(display), .judge = judge_request},      /* FramebufferUpdateRequest */
	{4, 8, BIT(keyboard), .judge = judge_key},          /* KeyEvent */
	{5, 6, BIT(mouse), .judge = judge_pointer},         /* PointerEvent */
	{6, 8, BIT(clipboard_paste), .judge = judge_cut_text, .measure = measure_cut_text},
	{150, 10, BIT(display), .judge = judge_request},  /* EnableContinuousUpdates */
	{248, 9, BIT(display), .measure = measure_fence}, /* ClientFence */
	{251, 8, BIT(mouse),
	 .measure = measure_screens}, /* SetDesktopSize: a hand on the desktop */
	{255, 12, BIT(keyboard), .judge = judge_qemu_key}, /* QEMU's, of which there is one */
};

/* --- the beginning -----------------------------------------------------------------------------
 */

static void await_message(struct rfb *rfb)
{
	rfb_side_await(&rfb->client, 1, take_type);
}

/* Others are connected already, and stay so: whatever is asked for, the desktop is shared. */
static int take_init(struct rfb *rfb, struct buf *out, struct error *err)
{
	rfb->client.portion[0] = 1;
	if (rfb_side_pass(&rfb->client, out, err) < 0)
		return -1;
	rfb->has_begun = true;
	await_message(rfb);
	return 0;
}

static int take_security(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (rfb->client.portion[0] != 1)
		return error_set(err, ERR_INVALID, "security type %u was not offered",
				 rfb->client.portion[0]);
	if (rfb_side_pass(&rfb->client, out, err) < 0)
		return -1;
	rfb_side_await(&rfb->client, 1, take_init);
	return 0;
}

int rfb_client_version(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (memcmp(rfb->client.portion, "RFB 003.008\n", 12) != 0)
		return error_set(err, ERR_INVALID, "protocol version 3.8 is not what it speaks");
	if (rfb_side_pass(&rfb->client, out, err) < 0)
		return -1;
	rfb_side_await(&rfb->client, 1, take_security);
	return 0;
}

/* --- messages ----------------------------------------------------------------------------------
 */

static const struct client_message *find(unsigned type)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		if (messages[i].type == type)
			return &messages[i];
	}
	return NULL;
}

/* A whole one: does it pass? */
static int take_whole(struct rfb *rfb, unsigned char *bytes, size_t len, struct buf *out,
		      struct error *err)
{
	const struct client_message *message = find(bytes[0]);
	bool may = rfb_may(rfb, message->needs);

	if (may && message->judge && message->judge(rfb, bytes, &may, err) < 0)
		return -1;
	return may ? buf_append(out, bytes, len, err) : 0;
}

int rfb_client_whole(struct rfb *rfb, struct buf *out, struct error *err)
{
	int result = take_whole(rfb, (unsigned char *)rfb->held.data, rfb->held.len, out, err);

	buf_done(&rfb->held);
	return result;
}

/* Its fixed portion is there. Whether it may pass or not, it is known where it ends. */
static int take_message(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->client;
	const struct client_message *message = find(side->portion[0]);
	uint64_t body = 0;
	bool is_held;

	if (message->measure && message->measure(side->portion, &body, err) < 0)
		return -1;
	is_held = body > 0 && body <= RFB_HELD_MAX_BYTES && rfb_may(rfb, message->needs);
	if (body == 0 && take_whole(rfb, side->portion, side->n, out, err) < 0)
		return -1;
	if (is_held && rfb_side_pass(side, &rfb->held, err) < 0)
		return -1;
	rfb_side_body(side, body, is_held);
	await_message(rfb);
	return 0;
}

static int take_type(struct rfb *rfb, struct buf *out, struct error *err)
{
	const struct client_message *message = find(rfb->client.portion[0]);

	(void)out;
	if (!message)
		return error_set(err, ERR_INVALID, "message of unknown type %u",
				 rfb->client.portion[0]);
	rfb_side_extend(&rfb->client, message->bytes, message->take ? message->take : take_message);
	return 0;
}

/* Pictures that are on their way may be in either format, so where they end would not be known: it is
 * chosen once, before the first one is asked for. */
static int judge_pixel_format(struct rfb *rfb, unsigned char *message, bool *ret_may,
			      struct error *err)
{
	(void)ret_may;
	if (rfb->is_pixel_fixed)
		return error_set(err, ERR_INVALID,
				 "a pixel format after the first request for an update");
	if (rfb_pixel_read(&rfb->pixel, message + 4, err) < 0)
		return -1;
	rfb->is_pixel_chosen = true;
	return 0;
}

static int judge_request(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err)
{
	(void)message;
	(void)ret_may;
	(void)err;
	rfb->is_pixel_fixed = true;
	return 0;
}

static int judge_key(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err)
{
	(void)err;
	*ret_may = rfb_input_key(&rfb->input, rfb_u32(message + 4), 0, message[1] != 0,
				 rfb_may(rfb, BIT(keyboard_sas)));
	return 0;
}

static int judge_qemu_key(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err)
{
	if (message[1] != 0)
		return error_set(err, ERR_INVALID, "message of unknown type 255/%u", message[1]);
	*ret_may = rfb_input_key(&rfb->input, rfb_u32(message + 4), rfb_u32(message + 8),
				 rfb_u16(message + 2) != 0, rfb_may(rfb, BIT(keyboard_sas)));
	return 0;
}

static int judge_pointer(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err)
{
	(void)ret_may;
	(void)err;
	rfb_input_pointer(&rfb->input, message[1], rfb_u16(message + 2), rfb_u16(message + 4));
	return 0;
}

/* A negative length is that of an extended one. It may ask for the clipboard as well as bring it. */
static int judge_cut_text(struct rfb *rfb, unsigned char *message, bool *ret_may, struct error *err)
{
	bool is_extended = message[4] & 0x80;

	(void)err;
	*ret_may = !is_extended || rfb_may(rfb, BIT(clipboard_copy) | BIT(clipboard_paste));
	return 0;
}

static int measure_cut_text(const unsigned char *message, uint64_t *ret_bytes, struct error *err)
{
	uint32_t length = rfb_u32(message + 4);

	*ret_bytes = length & 0x80000000U ? ~length + UINT64_C(1) : length;
	if (*ret_bytes > RFB_CUT_TEXT_MAX_BYTES)
		return error_set(err, ERR_INVALID, "clipboard of %llu bytes",
				 (unsigned long long)*ret_bytes);
	return 0;
}

static int measure_fence(const unsigned char *message, uint64_t *ret_bytes, struct error *err)
{
	*ret_bytes = message[8];
	if (*ret_bytes > FENCE_MAX_BYTES)
		return error_set(err, ERR_INVALID, "fence of %u bytes", message[8]);
	return 0;
}

static int measure_screens(const unsigned char *message, uint64_t *ret_bytes, struct error *err)
{
	(void)err;
	*ret_bytes = 16U * message[6];
	return 0;
}

/* --- SetEncodings ------------------------------------------------------------------------------
 */

static int finish_encodings(struct rfb *rfb, struct buf *out, struct error *err)
{
	await_message(rfb);
	if (!rfb_may(rfb, BIT(display)))
		return 0;
	return rfb_encodings_append(&rfb->encodings, rfb->features, out, err);
}

static int take_encoding(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->client;

	rfb_encodings_add(&rfb->encodings, (int32_t)rfb_u32(side->portion));
	if (--rfb->n_encodings_left == 0)
		return finish_encodings(rfb, out, err);
	rfb_side_await(side, 4, take_encoding);
	return 0;
}

static int take_encodings(struct rfb *rfb, struct buf *out, struct error *err)
{
	rfb->encodings = (struct rfb_encodings){.is_given = true};
	rfb->n_encodings_left = rfb_u16(rfb->client.portion + 2);
	if (rfb->n_encodings_left == 0)
		return finish_encodings(rfb, out, err);
	rfb_side_await(&rfb->client, 4, take_encoding);
	return 0;
}

/* --- new features ------------------------------------------------------------------------------
 */

int rfb_client_settle(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (!rfb->has_begun)
		return 0;
	if (!rfb_may(rfb, BIT(keyboard)) && rfb_input_release_keys(&rfb->input, out, err) < 0)
		return -1;
	if (!rfb_may(rfb, BIT(mouse)) && rfb_input_release_buttons(&rfb->input, out, err) < 0)
		return -1;
	if (!rfb->encodings.is_given || rfb->n_encodings_left > 0 || !rfb_may(rfb, BIT(display)))
		return 0;
	return rfb_encodings_append(&rfb->encodings, rfb->features, out, err);
}
