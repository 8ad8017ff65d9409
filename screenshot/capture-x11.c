#include "screenshot/capture.h"

#include <stdlib.h>
#include <string.h>

#include <xcb/damage.h>
#include <xcb/randr.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "common/cleanup.h"
#include "screenshot/band-reader.h"
#include "screenshot/connection.h"
#include "screenshot/deadline.h"

struct capture {
	struct connection connection;
	xcb_window_t root;
	bool has_monitors; /* the server has RandR 1.5 */
	struct band_reader reader;

	/* As of the last capture_refresh(). */
	struct monitor monitors[MONITORS_MAX];
	size_t n_monitors;
	uint64_t generation;

	/*
	 * Changes. The server tells once, when something changes after it was told to forget what
	 * has changed so far; that it is told before pixels are read.
	 */
	xcb_damage_damage_t damage; /* 0 when nobody watches */
	uint8_t damage_event;       /* what the server calls it */
	bool is_damaged;            /* it has told */
	uint8_t randr_event;        /* the first of RandR's; 0 when there is none */
	bool is_layout_known; /* nothing was told of sizes and monitors since they were read */
};

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
	const xcb_setup_t *setup = xcb_get_setup(capture->connection.xcb);
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
	capture->reader.connection = &capture->connection;
	capture->reader.root = screen->root;
	capture->reader.row_pad_bytes = format->scanline_pad / 8;
	return pixel_format_init(&capture->reader.format, screen->root_depth,
				 format->bits_per_pixel,
				 setup->image_byte_order == XCB_IMAGE_ORDER_MSB_FIRST,
				 visual->red_mask, visual->green_mask, visual->blue_mask, err);
}

static bool has_extension(struct capture *capture, xcb_extension_t *extension)
{
	const xcb_query_extension_reply_t *data =
		xcb_get_extension_data(capture->connection.xcb, extension);

	return data && data->present;
}

/*
 * XCB would wait for the answers to QueryExtension without a limit. Replies come in order, so when
 * that to any later request is there, these are.
 */
static int read_extensions(struct capture *capture, int64_t deadline, struct error *err)
{
	AUTO(free_p) void *focus = NULL;

	xcb_prefetch_extension_data(capture->connection.xcb, &xcb_shm_id);
	xcb_prefetch_extension_data(capture->connection.xcb, &xcb_randr_id);
	xcb_prefetch_extension_data(capture->connection.xcb, &xcb_damage_id);
	return connection_await_reply(&capture->connection,
				      xcb_get_input_focus(capture->connection.xcb).sequence,
				      deadline, &focus, err);
}

static bool is_at_least(unsigned major, unsigned minor, unsigned needed_major,
			unsigned needed_minor)
{
	return major > needed_major || (major == needed_major && minor >= needed_minor);
}

static int read_versions(struct capture *capture, int64_t deadline, struct error *err)
{
	struct connection *c = &capture->connection;
	bool has_shm = has_extension(capture, &xcb_shm_id);
	bool has_randr = has_extension(capture, &xcb_randr_id);
	AUTO(free_p) void *shm = NULL;
	AUTO(free_p) void *randr = NULL;
	unsigned shm_sequence = 0, randr_sequence = 0;

	if (has_shm)
		shm_sequence = xcb_shm_query_version(c->xcb).sequence;
	if (has_randr)
		randr_sequence = xcb_randr_query_version(c->xcb, 1, 5).sequence;
	if (has_shm) {
		const xcb_shm_query_version_reply_t *version;

		if (connection_await_reply(c, shm_sequence, deadline, &shm, err) < 0)
			return -1;
		version = shm;
		capture->reader.has_shm =
			is_at_least(version->major_version, version->minor_version, 1, 2);
	}
	if (has_randr) {
		const xcb_randr_query_version_reply_t *version;

		if (connection_await_reply(c, randr_sequence, deadline, &randr, err) < 0)
			return -1;
		version = randr;
		capture->has_monitors =
			is_at_least(version->major_version, version->minor_version, 1, 5);
	}
	return 0;
}

static void on_event(const xcb_generic_event_t *event, void *userdata)
{
	struct capture *capture = userdata;
	uint8_t type = event->response_type & 0x7f; /* without the bit of who sent it */

	if (!capture->damage)
		return;
	if (type == capture->damage_event)
		capture->is_damaged = true;
	else if (type == XCB_CONFIGURE_NOTIFY ||
		 (capture->randr_event > 0 && (type == capture->randr_event ||
					       type == capture->randr_event + XCB_RANDR_NOTIFY)))
		capture->is_layout_known = false;
	else
		return;
	capture->generation++;
}

int capture_new(struct capture **ret, const char *display, struct error *err)
{
	AUTO(capture_freep) struct capture *capture = calloc(1, sizeof(*capture));
	int64_t deadline = deadline_in_ms(CAPTURE_TIMEOUT_MS);
	int screen;

	if (!capture)
		return error_oom(err);
	capture->connection.on_event = on_event;
	capture->connection.userdata = capture;
	if (connection_open(&capture->connection, &screen, display, deadline, err) < 0)
		return -1;
	if (read_screen(capture, screen, err) < 0 || read_extensions(capture, deadline, err) < 0 ||
	    read_versions(capture, deadline, err) < 0)
		return error_prefix(err, "display %s", display);
	*ret = TAKE(capture);
	return 0;
}

struct capture *capture_free(struct capture *capture)
{
	if (!capture)
		return NULL;
	band_reader_done(&capture->reader);
	connection_close(&capture->connection);
	free(capture);
	return NULL;
}

void capture_freep(struct capture **capture)
{
	*capture = capture_free(*capture);
}

/* --- monitors and changes -----------------------------------------------------------------------
 */

static int list_monitors(const void *reply, struct monitor *ret, size_t *ret_n, struct error *err)
{
	xcb_randr_monitor_info_iterator_t infos = xcb_randr_get_monitors_monitors_iterator(reply);
	size_t n = 0;

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

/* The size that was told at the connection's beginning may be long out of date. */
static int read_layout(struct capture *capture, struct monitor *ret, size_t *ret_n,
		       xcb_get_geometry_reply_t *ret_size, struct error *err)
{
	struct connection *c = &capture->connection;
	int64_t deadline = deadline_in_ms(CAPTURE_TIMEOUT_MS);
	AUTO(free_p) void *geometry = NULL;
	AUTO(free_p) void *monitors = NULL;
	unsigned size = xcb_get_geometry(c->xcb, capture->root).sequence, list = 0;

	*ret_n = 0;
	if (capture->has_monitors)
		list = xcb_randr_get_monitors(c->xcb, capture->root, 1).sequence;
	if (connection_await_reply(c, size, deadline, &geometry, err) < 0)
		return error_prefix(err, "ask for the size of the screen");
	memcpy(ret_size, geometry, sizeof(*ret_size));
	if (capture->has_monitors &&
	    (connection_await_reply(c, list, deadline, &monitors, err) < 0 ||
	     list_monitors(monitors, ret, ret_n, err) < 0))
		return error_prefix(err, "ask for the monitors");
	*ret_n = monitor_list_arrange(ret, *ret_n, ret_size->width, ret_size->height);
	return 0;
}

static bool is_same_list(const struct monitor *one, size_t n_one, const struct monitor *other,
			 size_t n_other)
{
	if (n_one != n_other)
		return false;
	for (size_t i = 0; i < n_one; i++) {
		if (!monitor_is_same(&one[i], &other[i]))
			return false;
	}
	return true;
}

/* Read everything anew. */
static int refresh_layout(struct capture *capture, struct error *err)
{
	struct monitor monitors[MONITORS_MAX];
	xcb_get_geometry_reply_t size;
	size_t n;

	capture->is_layout_known = true; /* unless we are told otherwise from here on */
	if (read_layout(capture, monitors, &n, &size, err) < 0)
		return -1;
	if (size.width != capture->reader.width || size.height != capture->reader.height ||
	    !is_same_list(monitors, n, capture->monitors, capture->n_monitors))
		capture->generation++;
	capture->reader.width = size.width;
	capture->reader.height = size.height;
	memcpy(capture->monitors, monitors, n * sizeof(*monitors));
	capture->n_monitors = n;
	return 0;
}

/*
 * The server sends events before a reply that it makes later, so any round trip brings them. This one
 * has the shortest reply, which comes in one piece.
 */
static int refresh_changes(struct capture *capture, struct error *err)
{
	AUTO(free_p) void *focus = NULL;

	if (connection_await_reply(&capture->connection,
				   xcb_get_input_focus(capture->connection.xcb).sequence,
				   deadline_in_ms(CAPTURE_TIMEOUT_MS), &focus, err) < 0)
		return error_prefix(err, "ask for changes of the screen");
	return 0;
}

int capture_refresh(struct capture *capture, struct error *err)
{
	if (!capture->damage)
		capture->generation++;
	else if (capture->is_layout_known && refresh_changes(capture, err) < 0)
		return -1;
	if (capture->damage && capture->is_layout_known)
		return 0;
	return refresh_layout(capture, err);
}

const struct monitor *capture_monitors(const struct capture *capture, size_t *ret_n)
{
	*ret_n = capture->n_monitors;
	return capture->monitors;
}

uint64_t capture_generation(const struct capture *capture)
{
	return capture->generation;
}

/* RandR tells of screens, outputs and their parts; a changed list of monitors configures the root. */
static void select_layout_events(struct capture *capture)
{
	xcb_connection_t *xcb = capture->connection.xcb;
	const uint32_t structure = XCB_EVENT_MASK_STRUCTURE_NOTIFY;

	(void)xcb_change_window_attributes(xcb, capture->root, XCB_CW_EVENT_MASK, &structure);
	if (!capture->has_monitors)
		return;
	capture->randr_event = xcb_get_extension_data(xcb, &xcb_randr_id)->first_event;
	(void)xcb_randr_select_input(xcb, capture->root,
				     XCB_RANDR_NOTIFY_MASK_SCREEN_CHANGE |
					     XCB_RANDR_NOTIFY_MASK_CRTC_CHANGE |
					     XCB_RANDR_NOTIFY_MASK_OUTPUT_CHANGE);
}

int capture_watch(struct capture *capture, struct error *err)
{
	struct connection *c = &capture->connection;
	const xcb_query_extension_reply_t *extension;
	AUTO(free_p) void *version = NULL;

	if (capture->damage || !has_extension(capture, &xcb_damage_id))
		return 0;
	/* Not before this does the server know the extension's other requests. */
	if (connection_await_reply(c, xcb_damage_query_version(c->xcb, 1, 1).sequence,
				   deadline_in_ms(CAPTURE_TIMEOUT_MS), &version, err) < 0)
		return error_prefix(err, "ask for changes of the screen");
	extension = xcb_get_extension_data(c->xcb, &xcb_damage_id);
	capture->damage_event = (uint8_t)(extension->first_event + XCB_DAMAGE_NOTIFY);
	capture->damage = xcb_generate_id(c->xcb);
	capture->is_damaged = true;
	(void)xcb_damage_create(c->xcb, capture->damage, capture->root,
				XCB_DAMAGE_REPORT_LEVEL_NON_EMPTY);
	select_layout_events(capture);
	return 0;
}

/* --- pictures -----------------------------------------------------------------------------------
 */

int capture_read(struct capture *capture, const struct monitor *monitor, capture_rows_fn fn,
		 void *userdata, struct error *err)
{
	/* From here on a change is told again, be it before or after we read its pixels. */
	if (capture->is_damaged)
		(void)xcb_damage_subtract(capture->connection.xcb, capture->damage, XCB_NONE,
					  XCB_NONE);
	capture->is_damaged = false;
	if (band_reader_read(&capture->reader, monitor, deadline_in_ms(CAPTURE_TIMEOUT_MS), fn,
			     userdata, err) < 0)
		return error_prefix(err, "capture %ux%u pixels at %d,%d", monitor->width,
				    monitor->height, monitor->x, monitor->y);
	return 0;
}

int capture_fd(const struct capture *capture)
{
	return xcb_get_file_descriptor(capture->connection.xcb);
}

int capture_idle(struct capture *capture, struct error *err)
{
	return connection_idle(&capture->connection, err);
}
