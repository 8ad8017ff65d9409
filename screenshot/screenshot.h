/**
 * Screenshots: a monitor of a display as a PNG or JPEG file in memory. This joins the parts:
 * capture.h (what a display shows), scale.h (smaller), encode.h (as a file). They do not know each
 * other.
 *
 * Nothing here prints or exits.
 */
#ifndef SCREENSHOT_SCREENSHOT_H
#define SCREENSHOT_SCREENSHOT_H

#include "common/buf.h"
#include "common/error.h"
#include "screenshot/capture.h"
#include "screenshot/image.h"

enum screenshot_format { SCREENSHOT_PNG, SCREENSHOT_JPEG };

struct screenshot_options {
	enum screenshot_format format;
	unsigned max_width, max_height; /* in pixels, 0 for no bound */
};

/** Bounds that people and peers may give. */
#define SCREENSHOT_BOUND_MAX 65535

/** "png" or "jpeg". */
const char *screenshot_format_name(enum screenshot_format format);

/** Errors: ERR_INVALID anything but "png" and "jpeg". */
int screenshot_format_parse(const char *text, enum screenshot_format *ret, struct error *err);

/** Errors: ERR_INVALID anything but a decimal number, 0 to SCREENSHOT_BOUND_MAX. */
int screenshot_bound_parse(const char *text, unsigned *ret, struct error *err);

struct screenshot {
	struct image *image; /* owned; no larger than the bounds */
};

/** What the monitors of a display showed at about the same time. */
struct screenshot_list {
	struct screenshot shots[MONITORS_MAX]; /* the primary monitor first */
	size_t n_shots;
	uint64_t generation;      /* as long as capture_generation() is this, they show it still */
	int64_t creation_time_ms; /* since 1970-01-01T00:00:00Z, when the first was captured */
};

/**
 * Capture and scale, the primary monitor alone or every one, of those that capture_refresh() has
 * found. Monitors that change meanwhile are listed anew.
 *
 * @ret: on success for screenshot_list_done()
 * Errors: those of capture_refresh(), capture_read() and scaler_new().
 */
int screenshot_take(struct capture *capture, const struct screenshot_options *options,
		    bool is_primary_only, struct screenshot_list *ret, struct error *err);
void screenshot_list_done(struct screenshot_list *list);

/** Append the file to @ret; see encode.h. */
int screenshot_encode(const struct screenshot *shot, enum screenshot_format format, struct buf *ret,
		      struct error *err);

#endif
