/* Where a rectangle of an update ends: each encoding says it in its own way. */
#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

#define BIT(feature) FEATURE_BIT(FEATURE_##feature)
#define TILE 16

/* --- of a length that is known -----------------------------------------------------------------
 */

static int end_with_body(struct rfb *rfb, uint64_t bytes, bool is_passed)
{
	rfb_side_body(&rfb->server, bytes, is_passed);
	rfb_rectangle_end(rfb);
	return 0;
}

/* The portion goes on, and so does what follows, to the end. */
static int pass_to_end(struct rfb *rfb, uint64_t bytes, struct buf *out, struct error *err)
{
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	return end_with_body(rfb, bytes, true);
}

/* The portion goes on, and the next one is looked at. */
static int pass_and_await(struct rfb *rfb, size_t wanted, rfb_portion_fn *complete, struct buf *out,
			  struct error *err)
{
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	rfb_side_await(&rfb->server, wanted, complete);
	return 0;
}

static uint64_t n_pixels(const struct rfb *rfb)
{
	return (uint64_t)rfb->rectangle.width * rfb->rectangle.height;
}

/* One bit for a pixel, every line in whole bytes. */
static uint64_t bitmap_bytes(const struct rfb *rfb)
{
	return (rfb->rectangle.width + 7) / 8 * (uint64_t)rfb->rectangle.height;
}

static int begin_raw(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_to_end(rfb, n_pixels(rfb) * rfb->pixel.bytes, out, err);
}

static int begin_copy(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_to_end(rfb, 4, out, err);
}

static int begin_empty(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_to_end(rfb, 0, out, err);
}

static int begin_last(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	rfb->is_update_endless = false;
	rfb->n_rectangles_left = 1;
	rfb_rectangle_end(rfb);
	return 0;
}

/* --- the pointer -------------------------------------------------------------------------------
 */

/* It cannot be left out, for the client counts rectangles; but a pointer of no size is none. */
static int pass_no_pointer(struct buf *out, struct error *err)
{
	unsigned char none[12] = {0};

	rfb_put_u32(none + 8, (uint32_t)RFB_CURSOR);
	return buf_append(out, none, sizeof(none), err);
}

static int begin_cursor(struct rfb *rfb, struct buf *out, struct error *err)
{
	bool may = rfb_may(rfb, BIT(pointer));

	if ((may ? rfb_side_pass(&rfb->server, out, err) : pass_no_pointer(out, err)) < 0)
		return -1;
	return end_with_body(rfb, n_pixels(rfb) * rfb->pixel.bytes + bitmap_bytes(rfb), may);
}

/* --- screens, ZRLE -----------------------------------------------------------------------------
 */

static int take_screens(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_to_end(rfb, 16U * rfb->server.portion[0], out, err);
}

static int begin_screens(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_and_await(rfb, 4, take_screens, out, err);
}

static int take_length(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_to_end(rfb, rfb_u32(rfb->server.portion), out, err);
}

static int begin_zrle(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_and_await(rfb, 4, take_length, out, err);
}

/* --- Hextile -----------------------------------------------------------------------------------
 */

enum {
	HEXTILE_RAW = 1,
	HEXTILE_BACKGROUND = 2,
	HEXTILE_FOREGROUND = 4,
	HEXTILE_SUBRECTS = 8,
	HEXTILE_COLOURED = 16
};

static rfb_portion_fn take_tile;

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void await_tile(struct rfb *rfb)
{
	const struct rfb_rectangle *r = &rfb->rectangle;

	if (r->tile_y < r->height)
		rfb_side_await(&rfb->server, 1, take_tile);
	else
		rfb_rectangle_end(rfb);
}

static int end_tile(struct rfb *rfb, uint64_t bytes, struct buf *out, struct error *err)
{
	struct rfb_rectangle *r = &rfb->rectangle;

	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	rfb_side_body(&rfb->server, bytes, true);
	r->tile_x += TILE;
	if (r->tile_x >= r->width) {
		r->tile_x = 0;
		r->tile_y += TILE;
	}
	await_tile(rfb);
	return 0;
}

/* What a tile says of its colours is there, and at its end the number of its parts. */
static int take_subrects(struct rfb *rfb, struct buf *out, struct error *err)
{
	const struct rfb_side *side = &rfb->server;
	unsigned each = 2 + (side->portion[0] & HEXTILE_COLOURED ? rfb->pixel.bytes : 0);

	return end_tile(rfb, side->portion[side->n - 1] * (uint64_t)each, out, err);
}

static int take_tile(struct rfb *rfb, struct buf *out, struct error *err)
{
	const struct rfb_rectangle *r = &rfb->rectangle;
	unsigned how = rfb->server.portion[0];
	unsigned colours = (how & HEXTILE_BACKGROUND ? 1 : 0) + (how & HEXTILE_FOREGROUND ? 1 : 0);

	if (how > 31)
		return error_set(err, ERR_INVALID, "Hextile %u", how);
	if (how & HEXTILE_RAW)
		return end_tile(rfb,
				(uint64_t)least(TILE, r->width - r->tile_x) *
					least(TILE, r->height - r->tile_y) * rfb->pixel.bytes,
				out, err);
	if (!(how & HEXTILE_SUBRECTS))
		return end_tile(rfb, (uint64_t)colours * rfb->pixel.bytes, out, err);
	rfb_side_extend(&rfb->server, 2 + (size_t)colours * rfb->pixel.bytes, take_subrects);
	return 0;
}

static int begin_hextile(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_rectangle *r = &rfb->rectangle;

	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	r->tile_x = 0;
	r->tile_y = r->width > 0 ? 0 : r->height;
	await_tile(rfb);
	return 0;
}

/* --- Tight -------------------------------------------------------------------------------------
 */

enum { TIGHT_FILL = 8, TIGHT_JPEG = 9, TIGHT_FILTERED = 4, TIGHT_BASIC_MAX = 7 };
enum { FILTER_COPY = 0, FILTER_PALETTE = 1, FILTER_GRADIENT = 2 };
#define TIGHT_UNCOMPRESSED_MAX_BYTES 11

static rfb_portion_fn take_tight_length;

/* Seven bits in a byte, the highest tells that more follow; the third has eight. */
static int take_tight_length(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	const unsigned char *bytes = side->portion;
	uint64_t length = bytes[0] & 0x7f;

	if (side->n < 3 && bytes[side->n - 1] & 0x80) {
		rfb_side_extend(side, side->n + 1, take_tight_length);
		return 0;
	}
	if (side->n > 1)
		length |= (uint64_t)(bytes[1] & 0x7f) << 7;
	if (side->n > 2)
		length |= (uint64_t)bytes[2] << 14;
	return pass_to_end(rfb, length, out, err);
}

/* What precedes the data has been passed on, and so many bytes of them there are. */
static int await_tight_data(struct rfb *rfb, uint64_t bytes)
{
	if (bytes <= TIGHT_UNCOMPRESSED_MAX_BYTES)
		return end_with_body(rfb, bytes, true);
	rfb_side_await(&rfb->server, 1, take_tight_length);
	return 0;
}

/* The last byte of the palette is there. */
static int take_palette_end(struct rfb *rfb, struct buf *out, struct error *err)
{
	if (rfb_side_pass(&rfb->server, out, err) < 0)
		return -1;
	return await_tight_data(rfb, rfb->rectangle.tight_data_bytes);
}

static int take_palette(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	unsigned n_colours = side->portion[side->n - 1] + 1U;

	if (rfb_side_pass(side, out, err) < 0)
		return -1;
	rfb->rectangle.tight_data_bytes = n_colours <= 2 ? bitmap_bytes(rfb) : n_pixels(rfb);
	rfb_side_body(side, (uint64_t)n_colours * rfb->pixel.tight_bytes - 1, true);
	rfb_side_await(side, 1, take_palette_end);
	return 0;
}

static int take_filter(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	unsigned filter = side->portion[side->n - 1];

	if (filter == FILTER_PALETTE) {
		rfb_side_extend(side, side->n + 1, take_palette);
		return 0;
	}
	if (filter != FILTER_COPY && filter != FILTER_GRADIENT)
		return error_set(err, ERR_INVALID, "Tight filter %u", filter);
	if (rfb_side_pass(side, out, err) < 0)
		return -1;
	return await_tight_data(rfb, n_pixels(rfb) * rfb->pixel.tight_bytes);
}

static int take_tight(struct rfb *rfb, struct buf *out, struct error *err)
{
	struct rfb_side *side = &rfb->server;
	unsigned how = side->portion[0] >> 4;

	if (how <= TIGHT_BASIC_MAX && how & TIGHT_FILTERED) {
		rfb_side_extend(side, 2, take_filter);
		return 0;
	}
	if (how > TIGHT_JPEG)
		return error_set(err, ERR_INVALID, "Tight compression %u", how);
	if (rfb_side_pass(side, out, err) < 0)
		return -1;
	if (how == TIGHT_FILL)
		return end_with_body(rfb, rfb->pixel.tight_bytes, true);
	if (how <= TIGHT_BASIC_MAX)
		return await_tight_data(rfb, n_pixels(rfb) * rfb->pixel.tight_bytes);
	rfb_side_await(side, 1, take_tight_length);
	return 0;
}

static int begin_tight(struct rfb *rfb, struct buf *out, struct error *err)
{
	return pass_and_await(rfb, 1, take_tight, out, err);
}

/* --- all of them -------------------------------------------------------------------------------
 */

static const struct {
	int32_t number;
	rfb_portion_fn *begin;
} encodings[] = {
	{RFB_RAW, begin_raw},         {RFB_COPY_RECT, begin_copy},
	{RFB_HEXTILE, begin_hextile}, {RFB_TIGHT, begin_tight},
	{RFB_ZRLE, begin_zrle},       {RFB_DESKTOP_SIZE, begin_empty},
	{RFB_LAST_RECT, begin_last},  {RFB_CURSOR, begin_cursor},
	{RFB_QEMU_KEY, begin_empty},  {RFB_EXTENDED_DESKTOP_SIZE, begin_screens},
};

int rfb_rectangle_begin(struct rfb *rfb, struct buf *out, struct error *err)
{
	const unsigned char *head = rfb->server.portion;
	int32_t number = (int32_t)rfb_u32(head + 8);

	rfb->rectangle =
		(struct rfb_rectangle){.width = rfb_u16(head + 4), .height = rfb_u16(head + 6)};
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		if (encodings[i].number == number)
			return encodings[i].begin(rfb, out, err);
	}
	return error_set(err, ERR_INVALID, "rectangle of unknown encoding %d", number);
}
