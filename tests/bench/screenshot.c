/*
 * What parts of a screenshot cost inside a process, beside a bare full-screen shared-memory GetImage
 * ("bare") of the same display. All parts take turns, so that a busy machine is busy for all of them.
 *
 *     screenshot DISPLAY ROUNDS FILE
 *
 * prints a line for each part: its name, the median in microseconds, and the bytes of the file that
 * was made last; then the memory in use. FILE is written to.
 *
 *     screenshot DISPLAY loop PART
 *
 * repeats a part until standard input ends. screenshot.py runs it on several displays, and makes the
 * table.
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <png.h>
#include <turbojpeg.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "common/cleanup.h"
#include "screenshot/encode.h"
#include "screenshot/screenshot.h"

#define N_WARM_UP 3
#define N_SETTLE 3

struct bench {
	const char *display;
	xcb_connection_t *xcb;
	xcb_screen_t *screen;
	xcb_shm_seg_t segment;
	uint8_t *memory; /* of the whole screen */
	struct capture *warm;
	struct capture *watching;
	char *path;             /* of a file to write */
	struct screenshot full; /* the whole screen, for the encoders */
	size_t n_bytes;         /* of the last file */
};

static void stop(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

static void check(int result, const char *what, const struct error *err)
{
	if (result < 0)
		stop(what, err->message);
}

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* --- the parts ----------------------------------------------------------------------------------
 */

static void bare(struct bench *b)
{
	xcb_shm_get_image_cookie_t cookie = xcb_shm_get_image(
		b->xcb, b->screen->root, 0, 0, b->screen->width_in_pixels,
		b->screen->height_in_pixels, UINT32_MAX, XCB_IMAGE_FORMAT_Z_PIXMAP, b->segment, 0);
	AUTO(free_p) void *reply = xcb_shm_get_image_reply(b->xcb, cookie, NULL);

	if (!reply)
		stop("bare", "GetImage failed");
}

static void take(struct bench *b, struct capture *capture, unsigned width, unsigned height,
		 struct screenshot_list *ret)
{
	struct screenshot_options options = {.max_width = width, .max_height = height};
	struct error err;

	(void)b;
	check(capture_refresh(capture, &err), "refresh", &err);
	check(screenshot_take(capture, &options, true, ret, &err), "take", &err);
}

static void shoot(struct bench *b, struct capture *capture, unsigned width, unsigned height,
		  enum screenshot_format format, struct buf *file)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};
	struct error err;

	take(b, capture, width, height, &list);
	check(screenshot_encode(&list.shots[0], format, file, &err), "encode", &err);
	b->n_bytes = file->len;
}

static void average(struct bench *b)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};

	take(b, b->warm, 160, 100, &list);
}

static void thumbnail_png(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};

	shoot(b, b->warm, 160, 100, SCREENSHOT_PNG, &file);
}

static void thumbnail_jpeg(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};

	shoot(b, b->warm, 160, 100, SCREENSHOT_JPEG, &file);
}

static void preview_jpeg(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};

	shoot(b, b->warm, 800, 600, SCREENSHOT_JPEG, &file);
}

/* From connecting to a thumbnail in a file. */
static void cold(struct bench *b)
{
	AUTO(capture_freep) struct capture *capture = NULL;
	AUTO(buf_done) struct buf file = {0};
	struct error err;
	int fd;

	check(capture_new(&capture, b->display, &err), "connect", &err);
	shoot(b, capture, 160, 100, SCREENSHOT_JPEG, &file);
	fd = open(b->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, file.data, file.len) != (ssize_t)file.len || close(fd) < 0)
		stop(b->path, "cannot be written");
}

static void unchanged(struct bench *b)
{
	uint64_t generation = capture_generation(b->watching);
	struct error err;

	check(capture_refresh(b->watching, &err), "refresh", &err);
	if (capture_generation(b->watching) != generation)
		stop("unchanged", "the screen changes, which this part cannot have");
}

static void full_jpeg(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};

	shoot(b, b->warm, 0, 0, SCREENSHOT_JPEG, &file);
}

/* The same encoder and settings on pixels that are there already. */
static void turbojpeg(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};
	struct error err;

	check(encode_jpeg(b->full.image, &file, &err), "TurboJPEG", &err);
}

static void full_png(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};
	struct error err;

	check(encode_png(b->full.image, &file, &err), "PNG", &err);
	b->n_bytes = file.len;
}

/* Both, as a client asks for it. */
static void full_shot(struct bench *b)
{
	AUTO(buf_done) struct buf file = {0};

	shoot(b, b->warm, 0, 0, SCREENSHOT_PNG, &file);
}

static void to_libpng(png_structp png, png_bytep bytes, png_size_t len)
{
	size_t *n_bytes = png_get_io_ptr(png);

	(void)bytes;
	*n_bytes += len;
}

static void no_flush(png_structp png)
{
	(void)png;
}

static void with_libpng(struct bench *b, const struct image *image)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);

	b->n_bytes = 0;
	png_set_write_fn(png, &b->n_bytes, to_libpng, no_flush);
	png_set_IHDR(png, info, image->width, image->height, 8, PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	png_set_bgr(png);
	png_set_filler(png, 0, PNG_FILLER_AFTER);
	for (unsigned y = 0; y < image->height; y++)
		png_write_row(png, image_row(image, y));
	png_write_end(png, NULL);
	png_destroy_write_struct(&png, &info);
}

static void full_libpng(struct bench *b)
{
	with_libpng(b, b->full.image);
}

/* The peer of a thumbnail's size only. */
static void thumbnail_libpng(struct bench *b)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};

	take(b, b->warm, 160, 100, &list);
	with_libpng(b, list.shots[0].image);
}

static const struct part {
	const char *name;
	void (*run)(struct bench *b);
	bool is_for_loops;
} parts[] = {
	{"bare", bare, false},
	{"average", average, false},
	{"thumbnail-png", thumbnail_png, false},
	{"thumbnail-jpeg", thumbnail_jpeg, false},
	{"preview-jpeg", preview_jpeg, false},
	{"cold", cold, false},
	{"unchanged", unchanged, false},
	{"full-jpeg", full_jpeg, false},
	{"turbojpeg", turbojpeg, false},
	{"full-png", full_png, false},
	{"full-libpng", full_libpng, false},
	{"thumbnail-libpng", thumbnail_libpng, false},
	{"full-shot", full_shot, true},
};

/* --- running them -------------------------------------------------------------------------------
 */

static void open_bare(struct bench *b)
{
	size_t size_bytes;
	int fd = memfd_create("bench", MFD_CLOEXEC);

	b->xcb = xcb_connect(b->display, NULL);
	if (xcb_connection_has_error(b->xcb))
		stop(b->display, "cannot connect");
	b->screen = xcb_setup_roots_iterator(xcb_get_setup(b->xcb)).data;
	size_bytes = (size_t)b->screen->width_in_pixels * b->screen->height_in_pixels * 4;
	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
		stop("memory", "there is none");
	b->memory =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (b->memory == MAP_FAILED)
		stop("memory", "cannot be mapped");
	b->segment = xcb_generate_id(b->xcb);
	(void)xcb_shm_attach_fd(b->xcb, b->segment, fd, 0);
}

/* A capture that knows the screen as it is, and is told of changes. */
static void open_watching(struct bench *b)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};
	struct error err;

	check(capture_new(&b->watching, b->display, &err), "connect", &err);
	check(capture_watch(b->watching, &err), "watch", &err);
	take(b, b->watching, 160, 100, &list);
	check(capture_refresh(b->watching, &err), "refresh", &err);
}

/* Shared, and heap, of a capture that has made scaled pictures. */
static void print_memory(struct bench *b)
{
	struct mallinfo2 before = mallinfo2(), after;
	AUTO(capture_freep) struct capture *capture = NULL;
	AUTO(buf_done) struct buf file = {0};
	char line[256];
	size_t shared_kb = 0;
	bool is_ours = false;
	struct error err;
	FILE *maps;

	check(capture_new(&capture, b->display, &err), "connect", &err);
	shoot(b, capture, 160, 100, SCREENSHOT_PNG, &file);
	after = mallinfo2();
	maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long begin, end;

		is_ours = strstr(line, "memfd:screenshot") != NULL;
		if (is_ours && sscanf(line, "%lx-%lx", &begin, &end) == 2)
			shared_kb += (end - begin) / 1024;
	}
	if (maps)
		(void)fclose(maps);
	(void)printf("heap-kb %zu\n",
		     (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / 1024);
	/* The warm and the watching capture have theirs too. */
	(void)printf("shared-kb %zu\n", shared_kb / 3);
}

static int compare(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* What one part leaves to the X server, such as the end of a connection, is not to cost the next. */
static void settle(struct bench *b)
{
	for (int i = 0; i < N_SETTLE; i++)
		free(xcb_get_input_focus_reply(b->xcb, xcb_get_input_focus(b->xcb), NULL));
}

static void run_rounds(struct bench *b, size_t n_rounds)
{
	double *times = calloc(ARRAY_SIZE(parts) * n_rounds, sizeof(*times));
	size_t n_bytes[ARRAY_SIZE(parts)];

	if (!times)
		stop("memory", "there is none");
	for (size_t round = 0; round < n_rounds + N_WARM_UP; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			double begin;

			if (parts[i].is_for_loops)
				continue;
			settle(b);
			begin = now_us();
			parts[i].run(b);
			if (round >= N_WARM_UP)
				times[i * n_rounds + round - N_WARM_UP] = now_us() - begin;
			n_bytes[i] = b->n_bytes;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i].is_for_loops)
			continue;
		qsort(&times[i * n_rounds], n_rounds, sizeof(*times), compare);
		(void)printf("%s %.1f %zu\n", parts[i].name, times[i * n_rounds + n_rounds / 2],
			     n_bytes[i]);
	}
	free(times);
}

static void run_loop(struct bench *b, const char *name)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcmp(parts[i].name, name) != 0)
			continue;
		while (poll(&input, 1, 0) == 0)
			parts[i].run(b);
		return;
	}
	stop(name, "there is no such part");
}

int main(int argc, char **argv)
{
	AUTO(screenshot_list_done) struct screenshot_list full = {.n_shots = 0};
	struct bench b = {.display = argc > 1 ? argv[1] : ""};
	struct error err;

	if (argc != 4)
		stop("usage", "screenshot DISPLAY ROUNDS FILE, or screenshot DISPLAY loop PART");
	open_bare(&b);
	check(capture_new(&b.warm, b.display, &err), "connect", &err);
	open_watching(&b);
	take(&b, b.warm, 0, 0, &full);
	b.full = full.shots[0];
	if (strcmp(argv[2], "loop") == 0) {
		run_loop(&b, argv[3]);
	} else {
		b.path = argv[3];
		run_rounds(&b, strtoul(argv[2], NULL, 10));
		print_memory(&b);
	}
	capture_free(b.warm);
	capture_free(b.watching);
	xcb_disconnect(b.xcb);
	return 0;
}
