#include "screenshot/pixel-format.h"

#include <string.h>

static bool channel_init(struct pixel_channel *channel, uint32_t mask)
{
	if (mask == 0)
		return false;
	channel->shift = (unsigned)__builtin_ctz(mask);
	channel->max = mask >> channel->shift;
	if (channel->max >= 1 << PIXEL_CHANNEL_MAX_BITS || (channel->max & (channel->max + 1)))
		return false; /* too wide, or with holes */
	for (uint32_t value = 0; value <= channel->max; value++)
		channel->to_8_bits[value] =
			(uint8_t)((value * 255 + channel->max / 2) / channel->max);
	return true;
}

int pixel_format_init(struct pixel_format *ret, unsigned depth, unsigned bits_per_pixel,
		      bool is_big_endian, uint32_t red_mask, uint32_t green_mask,
		      uint32_t blue_mask, struct error *err)
{
	struct pixel_format format = {.bytes_per_pixel = bits_per_pixel / 8};

	if ((bits_per_pixel != 16 && bits_per_pixel != 32) || (red_mask & green_mask) ||
	    (red_mask & blue_mask) || (green_mask & blue_mask) ||
	    (bits_per_pixel == 16 && (red_mask | green_mask | blue_mask) > UINT16_MAX) ||
	    !channel_init(&format.red, red_mask) || !channel_init(&format.green, green_mask) ||
	    !channel_init(&format.blue, blue_mask))
		return error_set(err, ERR_UNSUPPORTED,
				 "screens of depth %u with %u bits per pixel and masks %x, %x, %x "
				 "cannot be captured",
				 depth, bits_per_pixel, red_mask, green_mask, blue_mask);
	format.is_swapped = is_big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	format.is_bgrx = bits_per_pixel == 32 && !is_big_endian && red_mask == 0xff0000 &&
			 green_mask == 0xff00 && blue_mask == 0xff;
	*ret = format;
	return 0;
}

static uint8_t channel_value(const struct pixel_channel *channel, uint32_t pixel)
{
	return channel->to_8_bits[(pixel >> channel->shift) & channel->max];
}

static uint32_t load(const struct pixel_format *format, const uint8_t *in)
{
	uint16_t narrow;
	uint32_t wide;

	if (format->bytes_per_pixel == 2) {
		memcpy(&narrow, in, sizeof(narrow));
		return format->is_swapped ? __builtin_bswap16(narrow) : narrow;
	}
	memcpy(&wide, in, sizeof(wide));
	return format->is_swapped ? __builtin_bswap32(wide) : wide;
}

void pixel_format_convert(const struct pixel_format *format, uint8_t *out, const uint8_t *in,
			  size_t n)
{
	if (format->is_bgrx) {
		memcpy(out, in, n * 4);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t pixel = load(format, in);

		out[0] = channel_value(&format->blue, pixel);
		out[1] = channel_value(&format->green, pixel);
		out[2] = channel_value(&format->red, pixel);
		out[3] = 0xff;
		out += 4;
		in += format->bytes_per_pixel;
	}
}
