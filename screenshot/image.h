/**
 * A picture in memory: rows of four bytes per pixel, blue, green, red and one byte that means
 * nothing (BGRX), from the top left. It is what capture makes, and what scale and encode read.
 */
#ifndef SCREENSHOT_IMAGE_H
#define SCREENSHOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/** The longest side of a picture in pixels. With it a picture is 1 GiB at most. */
#define IMAGE_MAX_SIDE 16384

#define IMAGE_PIXEL_BYTES 4

struct image {
	unsigned width, height; /* in pixels, 1 to IMAGE_MAX_SIDE */
	size_t stride;          /* bytes from one row to the next */
	uint8_t *pixels;        /* owned */
};

/**
 * An image whose pixels are not set.
 *
 * Errors: ERR_TOO_LARGE for a side of 0 or beyond IMAGE_MAX_SIDE, ERR_NO_MEMORY.
 */
int image_new(struct image **ret, unsigned width, unsigned height, struct error *err);
struct image *image_free(struct image *image);
void image_freep(struct image **image);

static inline uint8_t *image_row(const struct image *image, unsigned y)
{
	return image->pixels + y * image->stride;
}

#endif
