/** Screenshots as files. */
#ifndef CTL_IMAGES_H
#define CTL_IMAGES_H

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/**
 * Write every image of an answer of GetSessionScreenshots to FOLDER/ID-N.FORMAT, private to the
 * user, N from 1 as in the answer. A byte of the id that could lead out of the folder, or is not a
 * plain letter, digit, '-', '_' or '.', is written %XX, so that two ids never share a file. The
 * folder is made. Each file is there whole or not at all, also when the program is interrupted.
 * The paths are appended to @ret_report, one per line.
 */
int images_write(const char *folder, const json_t *answer, struct buf *ret_report,
		 struct error *err);

/** Append the file name of an image. ERR_INVALID if @format could not end one. */
int images_name(const char *id, size_t number, const char *format, struct buf *ret,
		struct error *err);

#endif
