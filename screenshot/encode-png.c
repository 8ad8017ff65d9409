/*
 * Our own writer over libdeflate: it is several times as fast as libpng at the same size, and has
 * no longjmp() that would skip a cleanup. A PNG file is a signature and four chunks; what there is
 * to choose is the filter of each row. As libpng does, we take the one whose output is smallest as
 * a sum of absolute values.
 */
#include "screenshot/encode.h"

#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "common/cleanup.h"

#define CHANNELS 3
#define CHUNK_OVERHEAD 12 /* length, type, checksum */
#define HEADER_BYTES 13
#define LEVEL 4 /* above it the time grows much faster than the file shrinks */

enum filter { FILTER_NONE, FILTER_SUB, FILTER_UP, FILTER_AVERAGE, FILTER_PAETH, FILTER_COUNT };

static void compressor_freep(struct libdeflate_compressor **compressor)
{
	if (*compressor)
		libdeflate_free_compressor(*compressor);
}

static void put_be32(void *at, uint32_t value)
{
	uint32_t be = __builtin_bswap32(value);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	be = value;
#endif
	memcpy(at, &be, sizeof(be));
}

static uint8_t paeth(uint8_t left, uint8_t above, uint8_t corner)
{
	int to_left = abs(above - corner), to_above = abs(left - corner);
	int to_corner = abs(left + above - 2 * corner);

	if (to_left <= to_above && to_left <= to_corner)
		return left;
	return to_above <= to_corner ? above : corner;
}

/* One loop per filter, so that the compiler can make vectors of them. */
static void apply(enum filter filter, uint8_t *restrict out, const uint8_t *restrict row,
		  const uint8_t *restrict above, size_t len)
{
	/* Both rows have CHANNELS zero bytes before them: the pixel left of the first one. */
	const uint8_t *left = row - CHANNELS, *corner = above - CHANNELS;

	switch (filter) {
	case FILTER_SUB:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - left[i]);
		break;
	case FILTER_UP:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - above[i]);
		break;
	case FILTER_AVERAGE:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - (left[i] + above[i]) / 2);
		break;
	case FILTER_PAETH:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - paeth(left[i], above[i], corner[i]));
		break;
	default:
		memcpy(out, row, len);
	}
}

static uint64_t cost(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i] < 128 ? bytes[i] : 256u - bytes[i];
	return sum;
}

static void filter_row(uint8_t *out, uint8_t *trial, const uint8_t *row, const uint8_t *above,
		       size_t len)
{
	uint64_t best = UINT64_MAX;

	for (int filter = FILTER_NONE; filter < FILTER_COUNT; filter++) {
		uint64_t sum;

		apply((enum filter)filter, trial, row, above, len);
		sum = cost(trial, len);
		if (sum >= best)
			continue;
		best = sum;
		out[0] = (uint8_t)filter;
		memcpy(out + 1, trial, len);
	}
}

static void to_rgb(uint8_t *out, const uint8_t *pixel, unsigned width)
{
	for (unsigned x = 0; x < width; x++) {
		out[0] = pixel[2];
		out[1] = pixel[1];
		out[2] = pixel[0];
		out += CHANNELS;
		pixel += IMAGE_PIXEL_BYTES;
	}
}

/* What is compressed: for every row the filter's number and the filtered bytes. */
static size_t filtered_len(const struct image *image)
{
	return ((size_t)image->width * CHANNELS + 1) * image->height; /* IMAGE_MAX_SIDE bounds it */
}

static int filter_image(const struct image *image, uint8_t *filtered, struct error *err)
{
	size_t row_bytes = (size_t)image->width * CHANNELS;
	AUTO(free_p) uint8_t *rows = calloc(3, row_bytes + CHANNELS);
	uint8_t *row, *above, *trial, *swap;

	if (!rows)
		return error_oom(err);
	above = rows + CHANNELS;
	row = above + row_bytes + CHANNELS;
	trial = row + row_bytes;
	for (unsigned y = 0; y < image->height; y++) {
		to_rgb(row, image_row(image, y), image->width);
		filter_row(filtered + y * (row_bytes + 1), trial, row, above, row_bytes);
		swap = above;
		above = row;
		row = swap;
	}
	return 0;
}

/* A chunk whose @len bytes of data are already in place behind its 8 bytes of head. */
static void finish_chunk(struct buf *out, const char *type, size_t len)
{
	char *chunk = out->data + out->len;

	put_be32(chunk, (uint32_t)len);
	memcpy(chunk + 4, type, 4);
	put_be32(chunk + 8 + len, libdeflate_crc32(0, chunk + 4, len + 4));
	out->len += len + CHUNK_OVERHEAD;
	out->data[out->len] = '\0';
}

static void append_header(struct buf *out, const struct image *image)
{
	/* 8 bits per channel, colour type RGB, and the only compression, filtering and order */
	static const char rest[] = {8, 2, 0, 0, 0};
	char *data;

	(void)memcpy(out->data + out->len, "\x89PNG\r\n\x1a\n", 8);
	out->len += 8;
	data = out->data + out->len + 8;
	put_be32(data, image->width);
	put_be32(data + 4, image->height);
	memcpy(data + 8, rest, sizeof(rest));
	finish_chunk(out, "IHDR", HEADER_BYTES);
}

int encode_png(const struct image *image, struct buf *ret, struct error *err)
{
	AUTO(compressor_freep) struct libdeflate_compressor *compressor = NULL;
	size_t len = filtered_len(image), bound, written;
	AUTO(free_p) uint8_t *filtered = malloc(len);

	compressor = libdeflate_alloc_compressor(LEVEL);
	if (!compressor || !filtered)
		return error_oom(err);
	if (filter_image(image, filtered, err) < 0)
		return error_prefix(err, "encode PNG");
	bound = libdeflate_zlib_compress_bound(compressor, len);
	if (buf_reserve(ret, 8 + 3 * CHUNK_OVERHEAD + HEADER_BYTES + bound, err) < 0)
		return error_prefix(err, "encode PNG");
	append_header(ret, image);
	written = libdeflate_zlib_compress(compressor, filtered, len, ret->data + ret->len + 8,
					   bound);
	finish_chunk(ret, "IDAT", written);
	finish_chunk(ret, "IEND", 0);
	return 0;
}
