#include "screenshot/capture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xcb/randr.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "common/cleanup.h"
#include "screenshot/connection.h"
#include "screenshot/deadline.h"
#include "screenshot/pixel-format.h"

#define X_BAD_MATCH 8
#define ALL_PLANES UINT32_MAX

struct capture {
	xcb_connection_t *connection;
	xcb_window_t root;
	unsigned width, height; /* of the screen, when last asked for */
	struct pixel_format format;
	unsigned depth;
	unsigned row_pad_bytes; /* a row is padded to a multiple of this */
	bool has_monitors;      /* the server has RandR 1.5 */
	bool has_shm;           /* the server has MIT-SHM 1.2, and it works */

	xcb_shm_seg_t segment; /* 0 while there is none */
	uint8_t *memory;       /* mapped, what the segment is for the server */
	size_t memory_bytes;
};

/* A reply, or NULL with *ret_x_error set; see connection_await(). */
static int await(struct capture *capture, unsigned sequence, void **ret, unsigned *ret_x_error,
		 int64_t deadline, struct error *err)
{
	return connection_await(capture->connection, sequence, deadline, ret, ret_x_error, err);
}

/* The same for requests that do not fail unless something is wrong with the server. */
static int await_reply(struct capture *capture, unsigned sequence, void **ret, int64_t deadline,
		       struct error *err)
{
	unsigned x_error;
	void *reply;

	if (await(capture, sequence, &reply, &x_error, deadline, err) < 0)
		return -1;
	if (!reply)
		return error_set(err, ERR_SYSTEM, "the X server answered with error %u", x_error);
	*ret = reply;
	return 0;
}

/* --- what the screen and the server are like ----------------------------------------------------
 */

static const xcb_screen_t *find_screen(const xcb_setup_t *setup, int number)
{
	xcb_screen_iterator_t screens = xcb_setup_roots_iterator(setup);

	while (screens.rem > 0 && number-- > 0)
		xcb_screen_next(&screens);
	return screens.rem > 0 ? screens.data : NULL;
}

static const xcb_visualtype_t *find_visual(const xcb_screen_t *screen)
{
	xcb_depth_iterator_t depths = xcb_screen_allowed_depths_iterator(screen);

	for (; depths.rem > 0; xcb_depth_next(&depths)) {
		xcb_visualtype_iterator_t visuals = xcb_depth_visuals_iterator(depths.data);

		for (; visuals.rem > 0; xcb_visualtype_next(&visuals)) {
			if (visuals.data->visual_id == screen->root_visual)
				return visuals.data;
		}
	}
	return NULL;
}

static const xcb_format_t *find_format(const xcb_setup_t *setup, unsigned depth)
{
	xcb_format_iterator_t formats = xcb_setup_pixmap_formats_iterator(setup);

	while (formats.rem > 0 && formats.data->depth != depth)
		xcb_format_next(&formats);
	return formats.rem > 0 ? formats.data : NULL;
}

static int read_screen(struct capture *capture, int number, struct error *err)
{
	const xcb_setup_t *setup = xcb_get_setup(capture->connection);
	const xcb_screen_t *screen = find_screen(setup, number);
	const xcb_visualtype_t *visual;
	const xcb_format_t *format;

	if (!screen)
		return error_set(err, ERR_NOT_FOUND, "the display has no screen %d", number);
	visual = find_visual(screen);
	format = find_format(setup, screen->root_depth);
	if (!visual || !format || format->scanline_pad < 8 ||
	    (visual->_class != XCB_VISUAL_CLASS_TRUE_COLOR &&
	     visual->_class != XCB_VISUAL_CLASS_DIRECT_COLOR))
		return error_set(err, ERR_UNSUPPORTED,
				 "screens of depth %u without true colour cannot be captured",
				 screen->root_depth);
	capture->root = screen->root;
	capture->width = screen->width_in_pixels;
	capture->height = screen->height_in_pixels;
	capture->depth = screen->root_depth;
	capture->row_pad_bytes = format->scanline_pad / 8;
	return pixel_format_init(&capture->format, screen->root_depth, format->bits_per_pixel,
				 setup->image_byte_order == XCB_IMAGE_ORDER_MSB_FIRST,
				 visual->red_mask, visual->green_mask, visual->blue_mask, err);
}

static bool has_extension(struct capture *capture, xcb_extension_t *extension)
{
	const xcb_query_extension_reply_t *data =
		xcb_get_extension_data(capture->connection, extension);

	return data && data->present;
}

static int read_extensions(struct capture *capture, int64_t deadline, struct error *err)
{
	xcb_connection_t *c = capture->connection;
	AUTO(free_p) void *focus = NULL;
	AUTO(free_p) void *shm = NULL;
	AUTO(free_p) void *randr = NULL;

	/* XCB would wait for these without a limit. Replies come in order, so when that to any
	 * later request is there, these are. */
	xcb_prefetch_extension_data(c, &xcb_shm_id);
	xcb_prefetch_extension_data(c, &xcb_randr_id);
	if (await_reply(capture, xcb_get_input_focus(c).sequence, &focus, deadline, err) < 0)
		return -1;
	if (has_extension(capture, &xcb_shm_id)) {
		const xcb_shm_query_version_reply_t *version;

		if (await_reply(capture, xcb_shm_query_version(c).sequence, &shm, deadline, err) <
		    0)
			return -1;
		version = shm;
		capture->has_shm = version->major_version > 1 ||
				   (version->major_version == 1 && version->minor_version >= 2);
	}
	if (has_extension(capture, &xcb_randr_id)) {
		const xcb_randr_query_version_reply_t *version;

		if (await_reply(capture, xcb_randr_query_version(c, 1, 5).sequence, &randr,
				deadline, err) < 0)
			return -1;
		version = randr;
		capture->has_monitors =
			version->major_version > 1 ||
			(version->major_version == 1 && version->minor_version >= 5);
	}
	return 0;
}

int capture_new(struct capture **ret, const char *display, struct error *err)
{
	AUTO(capture_freep) struct capture *capture = calloc(1, sizeof(*capture));
	int64_t deadline = deadline_in_ms(CAPTURE_TIMEOUT_MS);
	int screen;

	if (!capture)
		return error_oom(err);
	if (connection_open(&capture->connection, &screen, display, deadline, err) < 0)
		return -1;
	if (read_screen(capture, screen, err) < 0 || read_extensions(capture, deadline, err) < 0)
		return error_prefix(err, "display %s", display);
	*ret = TAKE(capture);
	return 0;
}

static void release_memory(struct capture *capture)
{
	if (capture->segment)
		(void)xcb_shm_detach(capture->connection, capture->segment);
	if (capture->memory)
		(void)munmap(capture->memory, capture->memory_bytes);
	capture->segment = 0;
	capture->memory = NULL;
	capture->memory_bytes = 0;
}

struct capture *capture_free(struct capture *capture)
{
	if (!capture)
		return NULL;
	release_memory(capture);
	if (capture->connection)
		xcb_disconnect(capture->connection);
	free(capture);
	return NULL;
}

void capture_freep(struct capture **capture)
{
	*capture = capture_free(*capture);
}

/* --- monitors -----------------------------------------------------------------------------------
 */

/* The size that was told at the connection's beginning may be long out of date. */
static int read_size(struct capture *capture, int64_t deadline, struct error *err)
{
	AUTO(free_p) void *reply = NULL;
	const xcb_get_geometry_reply_t *geometry;

	if (await_reply(capture, xcb_get_geometry(capture->connection, capture->root).sequence,
			&reply, deadline, err) < 0)
		return -1;
	geometry = reply;
	capture->width = geometry->width;
	capture->height = geometry->height;
	return 0;
}

static int read_monitors(struct capture *capture, struct monitor *ret, size_t *ret_n,
			 int64_t deadline, struct error *err)
{
	AUTO(free_p) void *reply = NULL;
	xcb_randr_monitor_info_iterator_t infos;
	size_t n = 0;

	if (await_reply(capture,
			xcb_randr_get_monitors(capture->connection, capture->root, 1).sequence,
			&reply, deadline, err) < 0)
		return -1;
	infos = xcb_randr_get_monitors_monitors_iterator(reply);
	for (; infos.rem > 0; xcb_randr_monitor_info_next(&infos)) {
		const xcb_randr_monitor_info_t *info = infos.data;

		if (n == MONITORS_MAX)
			return error_set(err, ERR_LIMIT, "the display has more than %d monitors",
					 MONITORS_MAX);
		ret[n++] = (struct monitor){
			.x = info->x,
			.y = info->y,
			.width = info->width,
			.height = info->height,
			.is_primary = info->primary,
		};
	}
	*ret_n = n;
	return 0;
}

int capture_monitors(struct capture *capture, struct monitor *ret, size_t *ret_n, struct error *err)
{
	int64_t deadline = deadline_in_ms(CAPTURE_TIMEOUT_MS);
	size_t n = 0;

	if (read_size(capture, deadline, err) < 0)
		return error_prefix(err, "ask for the size of the screen");
	if (capture->has_monitors && read_monitors(capture, ret, &n, deadline, err) < 0)
		return error_prefix(err, "ask for the monitors");
	*ret_n = monitor_list_arrange(ret, n, capture->width, capture->height);
	return 0;
}

/* --- pictures -----------------------------------------------------------------------------------
 */

static size_t row_bytes(const struct capture *capture, unsigned width)
{
	size_t pad = capture->row_pad_bytes;

	return (width * (size_t)capture->format.bytes_per_pixel + pad - 1) / pad * pad;
}

static void convert(const struct capture *capture, struct image *image, unsigned first_row,
		    unsigned n_rows, const uint8_t *bytes)
{
	for (unsigned y = 0; y < n_rows; y++) {
		pixel_format_convert(&capture->format, image_row(image, first_row + y), bytes,
				     image->width);
		bytes += row_bytes(capture, image->width);
	}
}

/* Have at least @size_bytes of memory shared with the server. */
static int share_memory(struct capture *capture, size_t size_bytes, struct error *err)
{
	AUTO(close_p) int fd = -1;
	void *memory;

	if (size_bytes <= capture->memory_bytes)
		return 0;
	release_memory(capture);
	/* Sealed, or the server could make it shorter than what we read. */
	fd = memfd_create("screen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return error_errno(err, "make %zu bytes of shared memory", size_bytes);
	memory = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_errno(err, "map %zu bytes of shared memory", size_bytes);
	capture->memory = memory;
	capture->memory_bytes = size_bytes;
	capture->segment = xcb_generate_id(capture->connection);
	/* XCB closes the descriptor. Should the server not like it, using it fails. */
	(void)xcb_shm_attach_fd(capture->connection, capture->segment, TAKE_FD(fd), 0);
	return 0;
}

static int x_failure(unsigned x_error, struct error *err)
{
	if (x_error == X_BAD_MATCH)
		return error_set(err, ERR_CONFLICT, "the screen has changed its size");
	return error_set(err, ERR_SYSTEM, "the X server answered with error %u", x_error);
}

/* Sets has_shm to false, and fails, when the server cannot use our memory. */
static int grab_shared(struct capture *capture, const struct monitor *m, struct image *image,
		       struct error *err)
{
	AUTO(free_p) void *reply = NULL;
	xcb_shm_get_image_cookie_t cookie;
	unsigned x_error;

	if (share_memory(capture, row_bytes(capture, m->width) * m->height, err) < 0)
		return -1;
	cookie = xcb_shm_get_image(capture->connection, capture->root, (int16_t)m->x, (int16_t)m->y,
				   (uint16_t)m->width, (uint16_t)m->height, ALL_PLANES,
				   XCB_IMAGE_FORMAT_Z_PIXMAP, capture->segment, 0);
	if (await(capture, cookie.sequence, &reply, &x_error, deadline_in_ms(CAPTURE_TIMEOUT_MS),
		  err) < 0)
		return -1;
	if (!reply) {
		capture->has_shm = x_error == X_BAD_MATCH;
		return x_failure(x_error, err);
	}
	convert(capture, image, 0, m->height, capture->memory);
	return 0;
}

/* Through the socket, in bands that connection_await() can wait for as a whole. */
static int grab_plain(struct capture *capture, const struct monitor *m, struct image *image,
		      struct error *err)
{
	int64_t deadline = deadline_in_ms(CAPTURE_TIMEOUT_MS);
	size_t stride = row_bytes(capture, m->width);
	unsigned n_rows = (unsigned)((CONNECTION_REPLY_MAX_BYTES / 2) / stride);

	if (n_rows == 0)
		n_rows = 1;
	for (unsigned y = 0; y < m->height; y += n_rows) {
		AUTO(free_p) void *reply = NULL;
		xcb_get_image_cookie_t cookie;
		unsigned x_error;

		if (n_rows > m->height - y)
			n_rows = m->height - y;
		cookie = xcb_get_image(capture->connection, XCB_IMAGE_FORMAT_Z_PIXMAP,
				       capture->root, (int16_t)m->x, (int16_t)(m->y + (int)y),
				       (uint16_t)m->width, (uint16_t)n_rows, ALL_PLANES);
		if (await(capture, cookie.sequence, &reply, &x_error, deadline, err) < 0)
			return -1;
		if (!reply)
			return x_failure(x_error, err);
		if ((size_t)xcb_get_image_data_length(reply) < stride * n_rows)
			return error_set(err, ERR_SYSTEM,
					 "the X server sent too little of a picture");
		convert(capture, image, y, n_rows, xcb_get_image_data(reply));
	}
	return 0;
}

int capture_grab(struct capture *capture, const struct monitor *monitor, struct image **ret,
		 struct error *err)
{
	AUTO(image_freep) struct image *image = NULL;
	int result = -1;

	if (image_new(&image, monitor->width, monitor->height, err) < 0)
		return -1;
	if (capture->has_shm)
		result = grab_shared(capture, monitor, image, err);
	if (result < 0 && !capture->has_shm) {
		release_memory(capture);
		result = grab_plain(capture, monitor, image, err);
	}
	if (result < 0)
		return error_prefix(err, "capture %ux%u pixels at %d,%d", monitor->width,
				    monitor->height, monitor->x, monitor->y);
	*ret = TAKE(image);
	return 0;
}

int capture_fd(const struct capture *capture)
{
	return xcb_get_file_descriptor(capture->connection);
}

int capture_idle(struct capture *capture, struct error *err)
{
	xcb_generic_event_t *event;

	while ((event = xcb_poll_for_event(capture->connection)))
		free(event);
	if (xcb_connection_has_error(capture->connection))
		return error_set(err, ERR_UNREACHABLE, "the X server has closed the connection");
	return 0;
}
