/**
 * Making a picture smaller. Every pixel of the result is the average of the area that it covers in
 * the original, each original pixel counted by the exact part of it that lies in that area. It is
 * done in integers without any loss but the last rounding.
 *
 * The original comes in bands of rows, from the top, so that it never has to be in memory as a
 * whole.
 */
#ifndef SCREENSHOT_SCALE_H
#define SCREENSHOT_SCALE_H

#include "screenshot/image.h"
#include "screenshot/scale-kernels.h"

/**
 * The largest size within the bounds that keeps the proportions, and is not larger than the
 * original. At least 1x1, whatever the proportions.
 *
 * @max_width, @max_height: in pixels, 0 for no bound
 */
void scale_fit(unsigned width, unsigned height, unsigned max_width, unsigned max_height,
	       unsigned *ret_width, unsigned *ret_height);

struct scaler;

/**
 * @from_width, @from_height: of the original, up to IMAGE_MAX_SIDE
 * @width, @height: of the result, 1x1 to the original's; with just that it is a copy
 * @kernels: scale_kernels_best(), but in tests
 *
 * Errors: ERR_NO_MEMORY, ERR_TOO_LARGE.
 */
int scaler_new(struct scaler **ret, unsigned from_width, unsigned from_height, unsigned width,
	       unsigned height, const struct scale_kernels *kernels, struct error *err);
struct scaler *scaler_free(struct scaler *scaler);
void scaler_freep(struct scaler **scaler);

/** Take in the original's next rows of BGRX. There must not come more than it has. */
void scaler_add(struct scaler *scaler, const uint8_t *rows, size_t stride, unsigned n_rows);

/** The result, once all rows have come; the caller's. To be called once. */
struct image *scaler_take(struct scaler *scaler);

#endif
