/**
 * The two loops that the area average spends its time in, for several kinds of processors. They
 * calculate in whole numbers, so what they give is the same to the last bit.
 *
 * Rows are summed first, byte by byte, since that is the same work for every byte and reads memory
 * in its order; then each row of such sums is summed along itself.
 */
#ifndef SCREENSHOT_SCALE_KERNELS_H
#define SCREENSHOT_SCALE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "screenshot/span.h"

/** As many rows of bytes have a sum of 16 bits. */
#define SCALE_WHOLE_ROWS_MAX 257

/** As many sums of whole columns of the largest picture have a sum of 32 bits. */
#define SCALE_WHOLE_SUMS_MAX 1024

/** Rows that count for one row of the result. Whoever counts 0 is read all the same. */
struct row_run {
	const uint8_t *first, *whole, *last;
	size_t stride;                                    /* bytes from one whole row to the next */
	unsigned n_whole;                                 /* up to SCALE_WHOLE_ROWS_MAX */
	uint32_t first_weight, whole_weight, last_weight; /* up to IMAGE_MAX_SIDE */
};

struct scale_kernels {
	const char *name;
	/** Set (@is_begin), or add to, @n sums, one for each byte of a row. */
	void (*add_rows)(uint32_t *sums, const struct row_run *run, size_t n, bool is_begin);
	/**
	 * Write a row of the result.
	 *
	 * @sums: four for each pixel of an original row; @spans: one for each of @width pixels
	 * @area: of the original in pixels, which is what the weights of a pixel add up to
	 */
	void (*write_row)(uint8_t *pixels, const uint32_t *sums, const struct span *spans,
			  unsigned width, uint64_t area);
};

extern const struct scale_kernels scale_kernels_plain;

/** NULL unless this processor has AVX2. */
const struct scale_kernels *scale_kernels_avx2(void);

/** The fastest for this processor. */
const struct scale_kernels *scale_kernels_best(void);

#endif
