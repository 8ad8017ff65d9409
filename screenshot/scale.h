/**
 * Making a picture smaller. Every pixel of the result is the average of the area that it covers in
 * the original, each original pixel counted by the exact part of it that lies in that area. It is
 * done in integers without any loss but the last rounding.
 */
#ifndef SCREENSHOT_SCALE_H
#define SCREENSHOT_SCALE_H

#include "screenshot/image.h"

/**
 * The largest size within the bounds that keeps the proportions, and is not larger than the
 * original. At least 1x1, whatever the proportions.
 *
 * @max_width, @max_height: in pixels, 0 for no bound
 */
void scale_fit(unsigned width, unsigned height, unsigned max_width, unsigned max_height,
	       unsigned *ret_width, unsigned *ret_height);

/**
 * A copy of @image that has @width x @height pixels, neither more than the original's.
 *
 * @ret: on success a new image, the caller's
 * Errors: ERR_NO_MEMORY.
 */
int scale_area(const struct image *image, unsigned width, unsigned height, struct image **ret,
	       struct error *err);

#endif
