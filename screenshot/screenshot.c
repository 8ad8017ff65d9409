#include "screenshot/screenshot.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "screenshot/encode.h"
#include "screenshot/scale.h"

/* A screen whose size changes again and again is not waited for. */
#define ATTEMPTS 3

static const char *const format_names[] = {[SCREENSHOT_PNG] = "png", [SCREENSHOT_JPEG] = "jpeg"};

const char *screenshot_format_name(enum screenshot_format format)
{
	return format_names[format];
}

int screenshot_format_parse(const char *text, enum screenshot_format *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(format_names); i++) {
		if (strcmp(text, format_names[i]) == 0) {
			*ret = (enum screenshot_format)i;
			return 0;
		}
	}
	return error_set(err, ERR_INVALID, "'%.40s' is not a format, which is png or jpeg", text);
}

int screenshot_bound_parse(const char *text, unsigned *ret, struct error *err)
{
	unsigned value = 0;
	size_t len = strlen(text);
	bool is_number = len > 0 && len <= 5 && strspn(text, "0123456789") == len;

	for (const char *digit = text; is_number && *digit; digit++)
		value = value * 10 + (unsigned)(*digit - '0');
	if (!is_number || value > SCREENSHOT_BOUND_MAX)
		return error_set(err, ERR_INVALID, "'%.40s' is not a number of pixels, 0 to %d",
				 text, SCREENSHOT_BOUND_MAX);
	*ret = value;
	return 0;
}

static int add_rows(const uint8_t *rows, size_t stride, unsigned n_rows, void *userdata,
		    struct error *err)
{
	(void)err;
	scaler_add(userdata, rows, stride, n_rows);
	return 0;
}

static int take_one(struct capture *capture, const struct monitor *monitor,
		    const struct screenshot_options *options, struct screenshot *ret,
		    struct error *err)
{
	AUTO(scaler_freep) struct scaler *scaler = NULL;
	unsigned width, height;

	scale_fit(monitor->width, monitor->height, options->max_width, options->max_height, &width,
		  &height);
	if (scaler_new(&scaler, monitor->width, monitor->height, width, height,
		       scale_kernels_best(), err) < 0 ||
	    capture_read(capture, monitor, add_rows, scaler, err) < 0)
		return -1;
	*ret = (struct screenshot){.image = scaler_take(scaler)};
	return 0;
}

static int take_all(struct capture *capture, const struct screenshot_options *options,
		    bool is_primary_only, struct screenshot_list *ret, struct error *err)
{
	AUTO(screenshot_list_done)
	struct screenshot_list list = {
		.generation = capture_generation(capture),
		.creation_time_ms = time_now_ms(),
	};
	size_t n;
	const struct monitor *monitors = capture_monitors(capture, &n);

	if (is_primary_only)
		n = 1;
	for (; list.n_shots < n; list.n_shots++) {
		if (take_one(capture, &monitors[list.n_shots], options, &list.shots[list.n_shots],
			     err) < 0)
			return -1;
	}
	*ret = list;
	list.n_shots = 0;
	return 0;
}

int screenshot_take(struct capture *capture, const struct screenshot_options *options,
		    bool is_primary_only, struct screenshot_list *ret, struct error *err)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		if (take_all(capture, options, is_primary_only, ret, err) == 0)
			return 0;
		if (err->code != ERR_CONFLICT || capture_refresh(capture, err) < 0)
			return -1;
	}
	return error_set(err, ERR_CONFLICT, "the screen changes its size again and again");
}

void screenshot_list_done(struct screenshot_list *list)
{
	for (size_t i = 0; i < list->n_shots; i++)
		image_freep(&list->shots[i].image);
	list->n_shots = 0;
}

int screenshot_encode(const struct screenshot *shot, enum screenshot_format format, struct buf *ret,
		      struct error *err)
{
	if (format == SCREENSHOT_JPEG)
		return encode_jpeg(shot->image, ret, err);
	return encode_png(shot->image, ret, err);
}
