/**
 * How an X server lays out a pixel, and turning such rows into BGRX.
 */
#ifndef SCREENSHOT_PIXEL_FORMAT_H
#define SCREENSHOT_PIXEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define PIXEL_CHANNEL_MAX_BITS 10

struct pixel_channel {
	unsigned shift;
	uint32_t max; /* value of full brightness, once shifted */
	uint8_t to_8_bits[1 << PIXEL_CHANNEL_MAX_BITS];
};

struct pixel_format {
	unsigned bytes_per_pixel; /* 2 or 4 */
	bool is_swapped;          /* the server's byte order is not ours */
	bool is_bgrx;             /* nothing to convert */
	struct pixel_channel blue, green, red;
};

/**
 * @depth: for the error's sentence; @bits_per_pixel: 16 or 32
 * @red_mask, @green_mask, @blue_mask: of a TrueColor or DirectColor visual, up to
 *	PIXEL_CHANNEL_MAX_BITS each, in any order
 *
 * Errors: ERR_UNSUPPORTED, naming the depth, for anything else.
 */
int pixel_format_init(struct pixel_format *ret, unsigned depth, unsigned bits_per_pixel,
		      bool is_big_endian, uint32_t red_mask, uint32_t green_mask,
		      uint32_t blue_mask, struct error *err);

/** Convert @n pixels at @in, which need not be aligned, to 4 * @n bytes at @out. */
void pixel_format_convert(const struct pixel_format *format, uint8_t *out, const uint8_t *in,
			  size_t n);

#endif
