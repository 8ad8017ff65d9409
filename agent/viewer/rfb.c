#include "agent/viewer/rfb.h"

#include <assert.h>
#include <string.h>

unsigned rfb_u16(const unsigned char *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

uint32_t rfb_u32(const unsigned char *bytes)
{
	return (uint32_t)rfb_u16(bytes) << 16 | rfb_u16(bytes + 2);
}

void rfb_put_u16(unsigned char *bytes, unsigned value)
{
	bytes[0] = (unsigned char)(value >> 8);
	bytes[1] = (unsigned char)value;
}

void rfb_put_u32(unsigned char *bytes, uint32_t value)
{
	rfb_put_u16(bytes, value >> 16);
	rfb_put_u16(bytes + 2, value & 0xffff);
}

void rfb_side_await(struct rfb_side *side, size_t wanted, rfb_portion_fn *complete)
{
	side->n = 0;
	rfb_side_extend(side, wanted, complete);
}

void rfb_side_extend(struct rfb_side *side, size_t wanted, rfb_portion_fn *complete)
{
	assert(wanted > side->n && wanted <= sizeof(side->portion));
	side->wanted = wanted;
	side->complete = complete;
}

int rfb_side_pass(const struct rfb_side *side, struct buf *out, struct error *err)
{
	return buf_append(out, side->portion, side->n, err);
}

void rfb_side_body(struct rfb_side *side, uint64_t bytes, bool is_passed)
{
	side->body_left = bytes;
	side->is_body_passed = is_passed;
}

/* Bytes of a body; returns how many they were. */
static size_t take_body(struct rfb *rfb, struct rfb_side *side, const unsigned char *bytes,
			size_t len, struct buf *out, struct error *err)
{
	size_t n = side->body_left < len ? (size_t)side->body_left : len;
	bool is_held = side == &rfb->client && side->is_body_passed;

	if (side->is_body_passed && buf_append(is_held ? &rfb->held : out, bytes, n, err) < 0)
		return 0;
	side->body_left -= n;
	if (is_held && side->body_left == 0 && rfb_client_whole(rfb, out, err) < 0)
		return 0;
	return n;
}

static size_t take_portion(struct rfb_side *side, const unsigned char *bytes, size_t len)
{
	size_t missing = side->wanted - side->n;
	size_t n = missing < len ? missing : len;

	memcpy(side->portion + side->n, bytes, n);
	side->n += n;
	return n;
}

static int take(struct rfb *rfb, struct rfb_side *side, const unsigned char *bytes, size_t len,
		struct buf *out, struct error *err)
{
	while (len > 0) {
		size_t n;

		if (side->body_left > 0) {
			n = take_body(rfb, side, bytes, len, out, err);
			if (n == 0)
				return -1;
		} else {
			n = take_portion(side, bytes, len);
			if (side->n == side->wanted && side->complete(rfb, out, err) < 0)
				return -1;
		}
		bytes += n;
		len -= n;
	}
	return 0;
}

int rfb_take_client(struct rfb *rfb, const void *bytes, size_t len, struct buf *out,
		    struct error *err)
{
	if (take(rfb, &rfb->client, bytes, len, out, err) < 0)
		return error_prefix(err, "from the client");
	return 0;
}

int rfb_take_server(struct rfb *rfb, const void *bytes, size_t len, struct buf *out,
		    struct error *err)
{
	if (take(rfb, &rfb->server, bytes, len, out, err) < 0)
		return error_prefix(err, "from the X server");
	return 0;
}

int rfb_set_features(struct rfb *rfb, uint32_t features, struct buf *to_server, struct error *err)
{
	if (rfb->features == features)
		return 0;
	rfb->features = features;
	return rfb_client_settle(rfb, to_server, err);
}

void rfb_init(struct rfb *rfb, uint32_t features, struct rfb_keyboard *keyboard)
{
	*rfb = (struct rfb){.features = features, .input.keyboard = keyboard};
	rfb_side_await(&rfb->client, 12, rfb_client_version);
	rfb_side_await(&rfb->server, 12, rfb_server_version);
}

int rfb_let_go(struct rfb *rfb, struct buf *to_server, struct error *err)
{
	if (!rfb->has_begun)
		return 0;
	if (rfb_input_release_keys(&rfb->input, to_server, err) < 0)
		return -1;
	return rfb_input_release_buttons(&rfb->input, to_server, err);
}

void rfb_done(struct rfb *rfb)
{
	buf_done(&rfb->held);
	rfb_input_forget(&rfb->input);
}

/* Three bytes of eight bits each are what Tight shortens, and all that a 32 bit pixel may be: where one
 * ends would else depend on how the server reads the fields. */
int rfb_pixel_read(struct rfb_pixel *ret, const unsigned char *bytes, struct error *err)
{
	unsigned bits = bytes[0], depth = bytes[1];
	bool is_true_colour = bytes[3] != 0, is_888 = true;
	unsigned shifts = 0;

	for (size_t i = 0; i < 3; i++) {
		is_888 = is_888 && rfb_u16(bytes + 4 + 2 * i) == 255 && bytes[10 + i] % 8 == 0 &&
			 bytes[10 + i] <= 24;
		shifts |= 1U << bytes[10 + i] % 32;
	}
	is_888 = is_888 && depth == 24 && __builtin_popcount(shifts) == 3;
	if (!is_true_colour || (bits == 32 ? !is_888 : (bits != 8 && bits != 16) || depth > bits))
		return error_set(err, ERR_INVALID, "pixels of %u bits, depth %u, are not supported",
				 bits, depth);
	ret->bytes = bits / 8;
	ret->tight_bytes = bits == 32 ? 3 : bits / 8;
	return 0;
}
