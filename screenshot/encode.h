/**
 * Pictures as files, in memory. Both functions append to @ret, which is as it was on failure.
 *
 * Errors: ERR_NO_MEMORY, ERR_SYSTEM when the library refuses.
 */
#ifndef SCREENSHOT_ENCODE_H
#define SCREENSHOT_ENCODE_H

#include "common/buf.h"
#include "screenshot/image.h"

#define ENCODE_JPEG_QUALITY 80

/** PNG, 8-bit RGB without alpha. Source: RFC 2083. */
int encode_png(const struct image *image, struct buf *ret, struct error *err);

/** JPEG, baseline, quality ENCODE_JPEG_QUALITY, colours at half the resolution (4:2:0). */
int encode_jpeg(const struct image *image, struct buf *ret, struct error *err);

#endif
