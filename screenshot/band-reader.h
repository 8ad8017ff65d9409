/**
 * Reading a part of the screen in bands of rows: through memory shared with the X server, where that
 * is possible, otherwise through the socket.
 *
 * The shared memory is a ring of a few bands. While one is looked at, the server fills the next,
 * and all of them together stay in the processor's cache.
 */
#ifndef SCREENSHOT_BAND_READER_H
#define SCREENSHOT_BAND_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "common/error.h"
#include "screenshot/capture.h"
#include "screenshot/connection.h"
#include "screenshot/pixel-format.h"

struct band_reader {
	struct connection *connection; /* borrowed */
	xcb_window_t root;
	struct pixel_format format; /* of the screen */
	unsigned row_pad_bytes;     /* a row is padded to a multiple of this */
	bool has_shm;               /* the server has MIT-SHM 1.2, and it works */
	unsigned width, height;     /* that the screen is believed to have */

	/* The rest is the reader's own. */
	xcb_shm_seg_t segment; /* 0 while there is none */
	uint8_t *memory;       /* mapped, what the segment is for the server */
	size_t memory_bytes;
	uint8_t *converted; /* a band as BGRX, where the screen is not; owned */
	size_t converted_bytes;
};

/** End the use of the memory, here and in the server; the reader can be used again. */
void band_reader_done(struct band_reader *reader);

/**
 * Read @area, which is a part of the screen.
 *
 * @fn: called for each band, from the top
 *
 * Errors: that of @fn; ERR_CONFLICT the screen has another size now; ERR_SYSTEM, ERR_NO_MEMORY; ERR_TIMEOUT, ERR_UNREACHABLE as in connection.h.
 * Source: X Window System Protocol, GetImage; MIT-SHM 1.2, AttachFd.
 */
int band_reader_read(struct band_reader *reader, const struct monitor *area, int64_t deadline,
		     capture_rows_fn fn, void *userdata, struct error *err);

#endif
