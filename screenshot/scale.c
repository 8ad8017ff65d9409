/*
 * One side of the original has `from` pixels, the result has `to`, to <= from. Measured in units of
 * 1/to of an original pixel, every original pixel is `to` long, every pixel of the result is `from`
 * long, and all edges lie on whole units. So the weights are integers: an original pixel counts by
 * the units of it that lie in the pixel of the result, and these weights add up to `from`.
 *
 * Columns are summed row by row into 32 bits (255 * IMAGE_MAX_SIDE needs 22), rows of such sums
 * into 64 (times IMAGE_MAX_SIDE: 36). One division at the end rounds.
 */
#include "screenshot/scale.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define CHANNELS 3 /* the fourth byte means nothing */

static_assert(255ull * IMAGE_MAX_SIDE <= UINT32_MAX, "a row's sum fits into 32 bits");

/* Which original pixels one pixel of the result covers along one side. */
struct span {
	unsigned first;        /* original pixel in which the span begins */
	unsigned n_whole;      /* pixels after the first that lie in it wholly */
	uint32_t first_weight; /* 1 to `to` */
	uint32_t last_weight;  /* of the pixel after those, 0 if the span ends at an edge */
};

static struct span span_of(unsigned position, unsigned from, unsigned to)
{
	uint32_t begin = position * from, end = begin + from; /* at most IMAGE_MAX_SIDE squared */
	struct span span = {.first = begin / to};
	uint32_t whole_begin = (span.first + 1) * to;

	/* A span is at least as long as a pixel, so it reaches the end of its first one. */
	span.first_weight = whole_begin - begin;
	span.n_whole = (end - whole_begin) / to;
	span.last_weight = (end - whole_begin) % to;
	return span;
}

static void sum_columns(uint32_t *sums, const uint8_t *row, const struct span *spans,
			unsigned width)
{
	for (unsigned x = 0; x < width; x++) {
		const struct span *span = &spans[x];
		const uint8_t *pixel = row + (size_t)span->first * IMAGE_PIXEL_BYTES;
		uint32_t whole[CHANNELS] = {0};
		uint32_t sum[CHANNELS];

		for (unsigned c = 0; c < CHANNELS; c++)
			sum[c] = span->first_weight * pixel[c];
		for (unsigned i = 0; i < span->n_whole; i++) {
			pixel += IMAGE_PIXEL_BYTES;
			for (unsigned c = 0; c < CHANNELS; c++)
				whole[c] += pixel[c];
		}
		if (span->last_weight > 0) {
			pixel += IMAGE_PIXEL_BYTES;
			for (unsigned c = 0; c < CHANNELS; c++)
				sum[c] += span->last_weight * pixel[c];
		}
		for (unsigned c = 0; c < CHANNELS; c++)
			sums[x * CHANNELS + c] = sum[c] + whole[c] * width;
	}
}

static void add_row(uint64_t *totals, const uint32_t *sums, uint32_t weight, size_t n)
{
	for (size_t i = 0; i < n; i++)
		totals[i] += (uint64_t)sums[i] * weight;
}

static void write_row(uint8_t *pixel, const uint64_t *totals, uint64_t area, unsigned width)
{
	for (unsigned x = 0; x < width; x++) {
		for (unsigned c = 0; c < CHANNELS; c++)
			pixel[c] = (uint8_t)((totals[c] + area / 2) / area);
		pixel[CHANNELS] = 0xff;
		pixel += IMAGE_PIXEL_BYTES;
		totals += CHANNELS;
	}
}

void scale_fit(unsigned width, unsigned height, unsigned max_width, unsigned max_height,
	       unsigned *ret_width, unsigned *ret_height)
{
	uint64_t w = width, h = height;
	uint64_t bound_w = max_width > 0 && max_width < width ? max_width : width;
	uint64_t bound_h = max_height > 0 && max_height < height ? max_height : height;

	if (bound_w * h <= bound_h * w) { /* the width is the tighter bound */
		*ret_width = (unsigned)bound_w;
		h = (h * bound_w + w / 2) / w;
		*ret_height = h > 0 ? (unsigned)h : 1;
	} else {
		*ret_height = (unsigned)bound_h;
		w = (w * bound_h + h / 2) / h;
		*ret_width = w > 0 ? (unsigned)w : 1;
	}
}

/* The sums of one original row are used for two rows of the result when it lies in both. */
static void scale_rows(const struct image *image, struct image *scaled, const struct span *spans,
		       uint32_t *sums, uint64_t *totals)
{
	size_t n = (size_t)scaled->width * CHANNELS;
	uint64_t area = (uint64_t)image->width * image->height;
	unsigned summed = UINT32_MAX; /* the original row whose sums we have */

	for (unsigned y = 0; y < scaled->height; y++) {
		struct span rows = span_of(y, image->height, scaled->height);
		unsigned n_rows = 1 + rows.n_whole + (rows.last_weight > 0);

		memset(totals, 0, n * sizeof(*totals));
		for (unsigned i = 0; i < n_rows; i++) {
			uint32_t weight = i == 0              ? rows.first_weight
					  : i <= rows.n_whole ? scaled->height
							      : rows.last_weight;

			if (summed != rows.first + i)
				sum_columns(sums, image_row(image, rows.first + i), spans,
					    scaled->width);
			summed = rows.first + i;
			add_row(totals, sums, weight, n);
		}
		write_row(image_row(scaled, y), totals, area, scaled->width);
	}
}

int scale_area(const struct image *image, unsigned width, unsigned height, struct image **ret,
	       struct error *err)
{
	AUTO(image_freep) struct image *scaled = NULL;
	AUTO(free_p) struct span *spans = NULL;
	AUTO(free_p) uint32_t *sums = NULL;
	AUTO(free_p) uint64_t *totals = NULL;

	assert(width <= image->width && height <= image->height);
	if (image_new(&scaled, width, height, err) < 0)
		return -1;
	spans = calloc(width, sizeof(*spans));
	sums = calloc((size_t)width * CHANNELS, sizeof(*sums));
	totals = calloc((size_t)width * CHANNELS, sizeof(*totals));
	if (!spans || !sums || !totals)
		return error_oom(err);
	for (unsigned x = 0; x < width; x++)
		spans[x] = span_of(x, image->width, width);
	scale_rows(image, scaled, spans, sums, totals);
	*ret = TAKE(scaled);
	return 0;
}
