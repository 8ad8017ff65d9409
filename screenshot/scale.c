#include "screenshot/scale.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

struct scaler {
	unsigned from_width, from_height;
	struct image *scaled; /* owned until it is taken */
	const struct scale_kernels *kernels;
	struct span *columns; /* one for each of the result's; owned */
	uint32_t *sums;       /* of the row of the result that is not complete; owned */
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
	scaler->columns = calloc(width, sizeof(*scaler->columns));
	scaler->sums = calloc((size_t)from_width * IMAGE_PIXEL_BYTES, sizeof(*scaler->sums));
	if (!scaler->columns || !scaler->sums)
		return error_oom(err);
	for (unsigned x = 0; x < width; x++)
		scaler->columns[x] = span_of(x, from_width, width);
	*ret = TAKE(scaler);
	return 0;
}

struct scaler *scaler_free(struct scaler *scaler)
{
	if (scaler) {
		image_free(scaler->scaled);
		free(scaler->columns);
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
	unsigned whole_begin = clamp(span->first + 1, from, to);
	unsigned whole_end = clamp(span->first + 1 + span->n_whole, from, to);
	struct row_run run = {
		.first = rows,
		.last = rows + (size_t)(to - from - 1) * stride,
		.stride = stride,
		.first_weight = from == span->first ? span->first_weight : 0,
		.whole_weight = scaler->scaled->height,
		.last_weight = to == span->first + span->n_whole + 2 ? span->last_weight : 0,
	};

	do {
		run.whole = rows + (size_t)(whole_begin - from) * stride;
		run.n_whole = clamp(whole_end - whole_begin, 0, SCALE_WHOLE_ROWS_MAX);
		scaler->kernels->add_rows(scaler->sums, &run,
					  (size_t)scaler->from_width * IMAGE_PIXEL_BYTES,
					  !scaler->has_sums);
		scaler->has_sums = true;
		run.first_weight = run.last_weight = 0;
		whole_begin += run.n_whole;
	} while (whole_begin < whole_end);
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
		struct span span = span_of(scaler->row, scaler->from_height, scaled->height);
		unsigned span_end = span.first + 1 + span.n_whole + (span.last_weight > 0);
		unsigned from = clamp(span.first, begin, end), to = clamp(span_end, begin, end);

		if (from < to)
			add_run(scaler, &span, rows + (size_t)(from - begin) * stride, stride, from,
				to);
		if (span_end > end)
			break;
		scaler->kernels->write_row(image_row(scaled, scaler->row), scaler->sums,
					   scaler->columns, scaled->width,
					   (uint64_t)scaler->from_width * scaler->from_height);
		scaler->has_sums = false;
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
