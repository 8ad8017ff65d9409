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

#include "common/error.h"
#include "screenshot/image.h"
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
 * The monitors as they are now: monitor_list_arrange() says which and in what order.
 *
 * @ret: room for MONITORS_MAX
 * Errors: ERR_LIMIT more monitors than that, ERR_TIMEOUT, ERR_UNREACHABLE.
 * Source: RandR 1.5, RRGetMonitors. Without it the whole screen is the one monitor.
 */
int capture_monitors(struct capture *capture, struct monitor *ret, size_t *ret_n,
		     struct error *err);

/**
 * What a monitor shows now, without the pointer.
 *
 * @ret: on success a new image, the caller's
 * Errors: ERR_CONFLICT the screen has become smaller than that, so list the monitors again;
 * ERR_TOO_LARGE, ERR_NO_MEMORY, ERR_TIMEOUT, ERR_UNREACHABLE.
 * Source: X Window System Protocol, GetImage; MIT-SHM 1.2, AttachFd.
 */
int capture_grab(struct capture *capture, const struct monitor *monitor, struct image **ret,
		 struct error *err);

/** Readable when capture_idle() has something to do. The capture's own. */
int capture_fd(const struct capture *capture);

/** Take in what the X server said unasked. Never waits. Fails when the connection has ended. */
int capture_idle(struct capture *capture, struct error *err);

#endif
