#include "screenshot/scale.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* From how many pixels to how many, without their common divisor: so weights are as small as can be. */
struct ratio {
	uint32_t from, to;
};

struct scaler {
	unsigned from_width, from_height;
	struct ratio across, down;
	struct image *scaled; /* owned until it is taken */
	const struct scale_kernels *kernels;
	struct span *columns;  /* one for each of the result's; owned */
	bool is_narrow;        /* sums have 16 bits, otherwise 32 */
	struct tap_table taps; /* where they have; its entries owned */
	void *sums;            /* of the row of the result that is not complete; owned */
	bool has_sums;
	unsigned row;      /* of the result, the next to be written */
	unsigned from_row; /* of the original, the next to come */
};

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

static struct ratio ratio_of(uint32_t from, uint32_t to)
{
	uint32_t a = from, b = to;

	while (b > 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return (struct ratio){from / a, to / a};
}

/* What the weights of a pixel of the result add up to. */
static uint64_t area_of(const struct scaler *scaler)
{
	return (uint64_t)scaler->across.from * scaler->down.from;
}

/* How many pixels a span touches at most: two of them in part, unless all begin and end at edges. */
static unsigned most_taps(const struct ratio *ratio)
{
	return ratio->to == 1 ? ratio->from : ratio->from / ratio->to + 2;
}

static uint32_t weight_at(const struct span *span, uint32_t whole_weight, unsigned tap)
{
	if (tap == 0)
		return span->first_weight;
	if (tap <= span->n_whole)
		return whole_weight;
	return tap == span->n_whole + 1 ? span->last_weight : 0;
}

static int make_taps(struct scaler *scaler, struct error *err)
{
	unsigned width = scaler->scaled->width, n_pairs = scaler->taps.n_pairs;
	size_t n_groups = (width + SCALE_TAP_GROUP - 1) / SCALE_TAP_GROUP;
	size_t group_len = (1 + (size_t)n_pairs) * SCALE_TAP_GROUP;

	scaler->taps.entries = calloc(n_groups, group_len * sizeof(*scaler->taps.entries));
	if (!scaler->taps.entries)
		return error_oom(err);
	for (unsigned x = 0; x < width; x++) {
		const struct span *span = &scaler->columns[x];
		uint32_t whole_weight = scaler->across.to;
		uint32_t *entry = scaler->taps.entries + x / SCALE_TAP_GROUP * group_len +
				  x % SCALE_TAP_GROUP;

		*entry = span->first;
		for (unsigned i = 0; i < n_pairs; i++) {
			entry += SCALE_TAP_GROUP;
			*entry = weight_at(span, whole_weight, i * 2) |
				 weight_at(span, whole_weight, i * 2 + 1) << 16;
		}
	}
	return 0;
}

/* Everything for sums, of 16 bits where that is enough. */
static int make_sums(struct scaler *scaler, struct error *err)
{
	size_t n = scaler->from_width, bytes = sizeof(uint32_t);

	scaler->is_narrow = scaler->kernels->add_rows_narrow &&
			    scaler->down.from <= SCALE_NARROW_HEIGHT_MAX &&
			    area_of(scaler) <= SCALE_NARROW_AREA_MAX;
	if (scaler->is_narrow) {
		scaler->taps.n_pairs = (most_taps(&scaler->across) + 1) / 2;
		if (make_taps(scaler, err) < 0)
			return -1;
		n += scaler->taps.n_pairs * 2; /* of weight 0, behind the last one */
		bytes = sizeof(uint16_t);
	}
	scaler->sums = calloc(n * IMAGE_PIXEL_BYTES, bytes);
	return scaler->sums ? 0 : error_oom(err);
}

int scaler_new(struct scaler **ret, unsigned from_width, unsigned from_height, unsigned width,
	       unsigned height, const struct scale_kernels *kernels, struct error *err)
{
	AUTO(scaler_freep) struct scaler *scaler = calloc(1, sizeof(*scaler));

	assert(width <= from_width && height <= from_height);
	if (!scaler)
		return error_oom(err);
	scaler->from_width = from_width;
	scaler->from_height = from_height;
	scaler->kernels = kernels;
	if (image_new(&scaler->scaled, width, height, err) < 0)
		return -1;
	scaler->across = ratio_of(from_width, width);
	scaler->down = ratio_of(from_height, height);
	scaler->columns = calloc(width, sizeof(*scaler->columns));
	if (!scaler->columns)
		return error_oom(err);
	for (unsigned x = 0; x < width; x++)
		scaler->columns[x] = span_of(x, scaler->across.from, scaler->across.to);
	if (make_sums(scaler, err) < 0)
		return -1;
	*ret = TAKE(scaler);
	return 0;
}

struct scaler *scaler_free(struct scaler *scaler)
{
	if (scaler) {
		image_free(scaler->scaled);
		free(scaler->columns);
		free(scaler->taps.entries);
		free(scaler->sums);
		free(scaler);
	}
	return NULL;
}

void scaler_freep(struct scaler **scaler)
{
	*scaler = scaler_free(*scaler);
}

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : value;
}

/* Add the rows @from to @to - 1, of which @rows is the first, to the row that @span belongs to. */
static void add_run(struct scaler *scaler, const struct span *span, const uint8_t *rows,
		    size_t stride, unsigned from, unsigned to)
{
	size_t n = (size_t)scaler->from_width * IMAGE_PIXEL_BYTES;
	unsigned whole_begin = clamp(span->first + 1, from, to);
	unsigned whole_end = clamp(span->first + 1 + span->n_whole, from, to);
	struct row_run run = {
		.first = rows,
		.last = rows + (size_t)(to - from - 1) * stride,
		.stride = stride,
		.first_weight = from == span->first ? span->first_weight : 0,
		.whole_weight = scaler->down.to,
		.last_weight = to == span->first + span->n_whole + 2 ? span->last_weight : 0,
	};

	do {
		run.whole = rows + (size_t)(whole_begin - from) * stride;
		run.n_whole = clamp(whole_end - whole_begin, 0, SCALE_WHOLE_ROWS_MAX);
		if (scaler->is_narrow)
			scaler->kernels->add_rows_narrow(scaler->sums, &run, n, !scaler->has_sums);
		else
			scaler->kernels->add_rows(scaler->sums, &run, n, !scaler->has_sums);
		scaler->has_sums = true;
		run.first_weight = run.last_weight = 0;
		whole_begin += run.n_whole;
	} while (whole_begin < whole_end);
}

static void write_row(struct scaler *scaler)
{
	uint8_t *row = image_row(scaler->scaled, scaler->row);
	unsigned width = scaler->scaled->width;
	uint64_t area = area_of(scaler);

	if (scaler->is_narrow)
		scaler->kernels->write_row_narrow(row, scaler->sums, &scaler->taps, width,
						  (unsigned)area);
	else
		scaler->kernels->write_row(row, scaler->sums, scaler->columns, width,
					   scaler->across.to, area);
	scaler->has_sums = false;
}

static void copy(struct scaler *scaler, const uint8_t *rows, size_t stride, unsigned n_rows)
{
	for (unsigned y = 0; y < n_rows; y++)
		memcpy(image_row(scaler->scaled, scaler->from_row + y), rows + y * stride,
		       scaler->scaled->stride);
	scaler->from_row += n_rows;
}

static void average(struct scaler *scaler, const uint8_t *rows, size_t stride, unsigned n_rows)
{
	struct image *scaled = scaler->scaled;
	unsigned begin = scaler->from_row, end = begin + n_rows;

	/* An original row may count for two rows of the result. */
	for (; scaler->row < scaled->height; scaler->row++) {
		struct span span = span_of(scaler->row, scaler->down.from, scaler->down.to);
		unsigned span_end = span.first + 1 + span.n_whole + (span.last_weight > 0);
		unsigned from = clamp(span.first, begin, end), to = clamp(span_end, begin, end);

		if (from < to)
			add_run(scaler, &span, rows + (size_t)(from - begin) * stride, stride, from,
				to);
		if (span_end > end)
			break;
		write_row(scaler);
	}
	scaler->from_row = end;
}

void scaler_add(struct scaler *scaler, const uint8_t *rows, size_t stride, unsigned n_rows)
{
	assert(n_rows <= scaler->from_height - scaler->from_row);
	if (scaler->scaled->width == scaler->from_width &&
	    scaler->scaled->height == scaler->from_height)
		copy(scaler, rows, stride, n_rows);
	else
		average(scaler, rows, stride, n_rows);
}

struct image *scaler_take(struct scaler *scaler)
{
	assert(scaler->from_row == scaler->from_height);
	return TAKE(scaler->scaled);
}
