/**
 * What a display shows, as pictures.
 *
 * A `struct capture` keeps the connection and the memory shared with the X server from one picture
 * to the next; only the first one pays for them. Nothing here waits for the X server longer than
 * CAPTURE_TIMEOUT_MS per call, and no server grab is ever held.
 *
 * After ERR_TIMEOUT or ERR_UNREACHABLE the capture is of no more use and must be freed.
 */
#ifndef SCREENSHOT_CAPTURE_H
#define SCREENSHOT_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "screenshot/monitor.h"

#define CAPTURE_TIMEOUT_MS 5000

struct capture;

/**
 * Connect to a display of this host.
 *
 * @display: X display name such as ":1"; borrowed. Its authority is found through XAUTHORITY.
 *
 * Errors: ERR_INVALID not a display's name, ERR_NOT_FOUND no such display, ERR_DENIED it refused
 * us, ERR_UNSUPPORTED a display of another host, or a screen that is not TrueColor of depth 16, 24,
 * 30 or the like, ERR_TIMEOUT, ERR_UNREACHABLE.
 */
int capture_new(struct capture **ret, const char *display, struct error *err);
struct capture *capture_free(struct capture *capture);
void capture_freep(struct capture **capture);

/**
 * Have changes noticed from now on, for capture_generation(). Without this, or when the X server
 * cannot tell (it has no DAMAGE), the screen counts as changed each time.
 *
 * Errors: ERR_TIMEOUT, ERR_UNREACHABLE.
 * Source: DAMAGE extension 1.1, level NonEmpty; RandR 1.5, RRSelectInput.
 */
int capture_watch(struct capture *capture, struct error *err);

/**
 * Ask for the monitors as they are now, and whether the screen has changed: one round trip.
 *
 * Errors: ERR_LIMIT more than MONITORS_MAX, ERR_TIMEOUT, ERR_UNREACHABLE.
 * Source: RandR 1.5, RRGetMonitors. Without it the whole screen is the one monitor. Of a monitor that
 * is rotated it tells the sides as they are on the screen, which is turned already: what is read of it
 * stands upright.
 */
int capture_refresh(struct capture *capture, struct error *err);

/**
 * The monitors as of the last capture_refresh(), borrowed until the next; monitor_list_arrange()
 * says which and in what order.
 */
const struct monitor *capture_monitors(const struct capture *capture, size_t *ret_n);

/**
 * A number that has grown whenever the screen may have changed. What was read since it had the value
 * that it has after a capture_refresh() is what the screen showed at that moment too.
 */
uint64_t capture_generation(const struct capture *capture);

/**
 * Takes the next rows of a picture from the top, as BGRX (image.h).
 *
 * @rows: borrowed for the call; @stride: bytes from one to the next
 * Returns 0, or -1 to end the reading with @err.
 */
typedef int (*capture_rows_fn)(const uint8_t *rows, size_t stride, unsigned n_rows, void *userdata,
			       struct error *err);

/**
 * Read what a monitor shows now, without the pointer.
 *
 * @fn: gets all rows, in bands of a few
 *
 * Errors: ERR_CONFLICT the screen has become smaller than that, so refresh, and begin anew;
 * ERR_NO_MEMORY, ERR_TIMEOUT, ERR_UNREACHABLE; that of @fn.
 */
int capture_read(struct capture *capture, const struct monitor *monitor, capture_rows_fn fn,
		 void *userdata, struct error *err);

/** Readable when capture_idle() has something to do. The capture's own. */
int capture_fd(const struct capture *capture);

/** Take in what the X server said unasked. Never waits. Fails when the connection has ended. */
int capture_idle(struct capture *capture, struct error *err);

#endif
