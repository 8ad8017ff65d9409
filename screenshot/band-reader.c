#include "screenshot/band-reader.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/cleanup.h"

#define X_BAD_MATCH 8
#define ALL_PLANES UINT32_MAX

/*
 * One band is asked for ahead of the one that is looked at. Small bands stay in the cache and cost
 * little when they are touched for the first time, large ones wake the X server less often, which
 * costs both sides about 20 us each time. Where this process has one processor only, which is most
 * likely the server's too, nothing happens at the same time, and asking ahead only makes the two take
 * turns more often. Capture and average to 160x90 of 1920x1080 beside a bare GetImage, by slots:
 *
 *                       3 x 256   2 x 256   2 x 384   2 x 512 KiB
 *   two processors        0.89      0.90      0.87      0.86
 *                       3 x 256   1 x 256   1 x 512   1 x 768 KiB   1 x 1440 KiB
 *   one for both          1.25      1.20      1.05      1.08          1.15
 */
#define N_SLOTS_MAX 2
#define SLOT_BYTES (512 * 1024)

static size_t row_bytes(const struct band_reader *reader, unsigned width)
{
	size_t pad = reader->row_pad_bytes;

	return ((size_t)width * reader->format.bytes_per_pixel + pad - 1) / pad * pad;
}

static unsigned min(unsigned one, unsigned other)
{
	return one < other ? one : other;
}

/* --- memory -------------------------------------------------------------------------------------
 */

static void release_memory(struct band_reader *reader)
{
	if (reader->segment)
		(void)xcb_shm_detach(reader->connection->xcb, reader->segment);
	if (reader->memory)
		(void)munmap(reader->memory, reader->memory_bytes);
	reader->segment = 0;
	reader->memory = NULL;
	reader->memory_bytes = 0;
}

void band_reader_done(struct band_reader *reader)
{
	release_memory(reader);
	free(reader->converted);
	reader->converted = NULL;
	reader->converted_bytes = 0;
}

static int share_memory(struct band_reader *reader, size_t size_bytes, struct error *err)
{
	AUTO(close_p) int fd = -1;
	void *memory;

	if (reader->segment && reader->memory_bytes >= size_bytes)
		return 0;
	release_memory(reader);
	fd = memfd_create("screenshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_errno(err, "memfd_create");
	/* Of a fixed size, so that nobody can make the X server touch what is not there. */
	if (ftruncate(fd, (off_t)size_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return error_errno(err, "%zu bytes of shared memory", size_bytes);
	memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_errno(err, "map %zu bytes", size_bytes);
	reader->memory = memory;
	reader->memory_bytes = size_bytes;
	reader->segment = xcb_generate_id(reader->connection->xcb);
	/* XCB closes the descriptor. Should the server not like it, using it fails. */
	(void)xcb_shm_attach_fd(reader->connection->xcb, reader->segment, TAKE_FD(fd), 0);
	return 0;
}

/* Room for a band as BGRX, when the screen has other pixels. */
static int provide_converted(struct band_reader *reader, size_t size_bytes, struct error *err)
{
	uint8_t *converted;

	if (reader->format.is_bgrx || reader->converted_bytes >= size_bytes)
		return 0;
	converted = realloc(reader->converted, size_bytes);
	if (!converted)
		return error_oom(err);
	reader->converted = converted;
	reader->converted_bytes = size_bytes;
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* What is read, and to whom it goes. */
struct reading {
	const struct monitor *area;
	size_t stride; /* of the server's rows */
	unsigned n_slots;
	unsigned n_rows; /* of each band but the last */
	unsigned n_bands;
	unsigned size_sequence; /* of the request for the screen's size behind the last band */
	int64_t deadline;
	capture_rows_fn fn;
	void *userdata;
};

static unsigned count_slots(void)
{
	cpu_set_t processors;

	if (sched_getaffinity(0, sizeof(processors), &processors) < 0)
		return N_SLOTS_MAX; /* there are more than fit */
	return CPU_COUNT(&processors) > 1 ? N_SLOTS_MAX : 1;
}

static void divide(struct reading *reading, size_t band_bytes)
{
	unsigned n_rows = (unsigned)(band_bytes / reading->stride);

	reading->n_rows = n_rows > 0 ? min(n_rows, reading->area->height) : 1;
	reading->n_bands = (reading->area->height + reading->n_rows - 1) / reading->n_rows;
}

static unsigned rows_of_band(const struct reading *reading, unsigned band)
{
	return min(reading->n_rows, reading->area->height - band * reading->n_rows);
}

static int hand_over(struct band_reader *reader, const struct reading *reading, unsigned band,
		     const uint8_t *rows, struct error *err)
{
	size_t stride = (size_t)reading->area->width * 4;
	unsigned n_rows = rows_of_band(reading, band);

	if (reader->format.is_bgrx)
		return reading->fn(rows, reading->stride, n_rows, reading->userdata, err);
	for (unsigned y = 0; y < n_rows; y++)
		pixel_format_convert(&reader->format, reader->converted + y * stride,
				     rows + y * reading->stride, reading->area->width);
	return reading->fn(reader->converted, stride, n_rows, reading->userdata, err);
}

static int x_failure(unsigned x_error, struct error *err)
{
	if (x_error == X_BAD_MATCH)
		return error_set(err, ERR_CONFLICT, "the screen has changed its size");
	return error_set(err, ERR_SYSTEM, "the X server answered with error %u", x_error);
}

static unsigned request_size(struct band_reader *reader)
{
	return xcb_get_geometry(reader->connection->xcb, reader->root).sequence;
}

/* A screen that has changed its size meanwhile may have moved what is on it as well. */
static int check_size(struct band_reader *reader, const struct reading *reading, struct error *err)
{
	AUTO(free_p) void *reply = NULL;
	const xcb_get_geometry_reply_t *size;

	if (connection_await_reply(reader->connection, reading->size_sequence, reading->deadline,
				   &reply, err) < 0)
		return -1;
	size = reply;
	if (size->width != reader->width || size->height != reader->height)
		return error_set(err, ERR_CONFLICT, "the screen has changed its size");
	return 0;
}

static unsigned request_shared(struct band_reader *reader, const struct reading *reading,
			       unsigned band)
{
	const struct monitor *area = reading->area;
	size_t slot = band % reading->n_slots * reading->stride * reading->n_rows;

	return xcb_shm_get_image(reader->connection->xcb, reader->root, (int16_t)area->x,
				 (int16_t)(area->y + (int)(band * reading->n_rows)),
				 (uint16_t)area->width, (uint16_t)rows_of_band(reading, band),
				 ALL_PLANES, XCB_IMAGE_FORMAT_Z_PIXMAP, reader->segment,
				 (uint32_t)slot)
		.sequence;
}

/* Nobody waits for these any more. What they write nobody reads, as the server works in order. */
static void forget(struct band_reader *reader, const struct reading *reading,
		   const unsigned *sequences, unsigned from, unsigned to)
{
	for (unsigned band = from; band < to; band++)
		xcb_discard_reply(reader->connection->xcb, sequences[band % reading->n_slots]);
	if (reading->size_sequence)
		xcb_discard_reply(reader->connection->xcb, reading->size_sequence);
}

/* Sets has_shm to false, and fails, when the server cannot use our memory at all. */
static int read_shared(struct band_reader *reader, struct reading *reading, struct error *err)
{
	unsigned sequences[N_SLOTS_MAX], n_asked = 0;

	if (share_memory(reader, reading->n_slots * reading->stride * reading->n_rows, err) < 0)
		return -1;
	for (unsigned band = 0; band < reading->n_bands; band++) {
		AUTO(free_p) void *reply = NULL;
		unsigned x_error = 0, slot = band % reading->n_slots;
		int result;

		/* A slot is asked for again when the band that was in it has been looked at. */
		for (; n_asked < reading->n_bands && n_asked < band + reading->n_slots; n_asked++)
			sequences[n_asked % reading->n_slots] =
				request_shared(reader, reading, n_asked);
		if (n_asked == reading->n_bands && !reading->size_sequence)
			reading->size_sequence = request_size(reader);
		result = connection_await(reader->connection, sequences[slot], reading->deadline,
					  &reply, &x_error, err);
		if (result == 0 && !reply) {
			reader->has_shm = band > 0 || x_error == X_BAD_MATCH;
			result = x_failure(x_error, err);
		}
		if (result == 0)
			result = hand_over(
				reader, reading, band,
				reader->memory + slot * reading->stride * reading->n_rows, err);
		if (result < 0) {
			forget(reader, reading, sequences, band + 1, n_asked);
			return -1;
		}
	}
	return check_size(reader, reading, err);
}

/* In bands that connection_await() can wait for as a whole, and so one by one. */
static int read_plain(struct band_reader *reader, struct reading *reading, struct error *err)
{
	const struct monitor *area = reading->area;

	for (unsigned band = 0; band < reading->n_bands; band++) {
		unsigned n_rows = rows_of_band(reading, band), x_error;
		AUTO(free_p) void *reply = NULL;
		xcb_get_image_cookie_t cookie = xcb_get_image(
			reader->connection->xcb, XCB_IMAGE_FORMAT_Z_PIXMAP, reader->root,
			(int16_t)area->x, (int16_t)(area->y + (int)(band * reading->n_rows)),
			(uint16_t)area->width, (uint16_t)n_rows, ALL_PLANES);

		if (connection_await(reader->connection, cookie.sequence, reading->deadline, &reply,
				     &x_error, err) < 0)
			return -1;
		if (!reply)
			return x_failure(x_error, err);
		if ((size_t)xcb_get_image_data_length(reply) < reading->stride * n_rows)
			return error_set(err, ERR_SYSTEM,
					 "the X server sent too little of a picture");
		if (hand_over(reader, reading, band, xcb_get_image_data(reply), err) < 0)
			return -1;
	}
	reading->size_sequence = request_size(reader);
	return check_size(reader, reading, err);
}

int band_reader_read(struct band_reader *reader, const struct monitor *area, int64_t deadline,
		     capture_rows_fn fn, void *userdata, struct error *err)
{
	struct reading reading = {
		.area = area,
		.stride = row_bytes(reader, area->width),
		.n_slots = count_slots(),
		.deadline = deadline,
		.fn = fn,
		.userdata = userdata,
	};
	bool was_shared = reader->has_shm;

	divide(&reading, was_shared ? SLOT_BYTES : CONNECTION_REPLY_MAX_BYTES / 2);
	if (provide_converted(reader, (size_t)area->width * 4 * reading.n_rows, err) < 0)
		return -1;
	if (!was_shared)
		return read_plain(reader, &reading, err);
	if (read_shared(reader, &reading, err) == 0)
		return 0;
	if (reader->has_shm)
		return -1;
	/* Nothing has been handed over yet. */
	release_memory(reader);
	return band_reader_read(reader, area, deadline, fn, userdata, err);
}
