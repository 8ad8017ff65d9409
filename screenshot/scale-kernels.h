/**
 * The two loops that the area average spends its time in, for several kinds of processors. They
 * calculate in whole numbers, so what they give is the same to the last bit.
 *
 * Rows are summed first, byte by byte, since that is the same work for every byte and reads memory
 * in its order; then each row of such sums is summed along itself.
 *
 * Weights are whole numbers without a common divisor, 12 and 5 for 1920x1080 to 800x450. Where they
 * are as small as that, sums of 16 bits do, of which a processor adds twice as many at once, and
 * multiplies and adds two in one step. 1920x1080 in bands that are in the cache, by AVX2, 2.5 GHz:
 *
 *               plain   32 bits   16 bits
 *   to 160x90    1.8 ms   0.50 ms   0.33 ms
 *   to 800x450   8.2 ms   2.8 ms    1.1 ms
 *   to 801x451   8.5 ms   2.6 ms    (weights are too large)
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

/**
 * Where sums of 16 bits do: the weights along a column add up to no more than the first of these, so
 * each is at most 127 and a sum has 15 bits, and those of a pixel to no more than the second, so that
 * single precision is exact enough to divide by it.
 */
#define SCALE_NARROW_HEIGHT_MAX 128
#define SCALE_NARROW_AREA_MAX 16383

/** Rows that count for one row of the result. Whoever counts 0 is read all the same. */
struct row_run {
	const uint8_t *first, *whole, *last;
	size_t stride;                                    /* bytes from one whole row to the next */
	unsigned n_whole;                                 /* up to SCALE_WHOLE_ROWS_MAX */
	uint32_t first_weight, whole_weight, last_weight; /* up to IMAGE_MAX_SIDE */
};

/** Pixels of the result that a tap_table has together. */
#define SCALE_TAP_GROUP 4

/**
 * What a row of the result is made of, for sums of 16 bits: for each group of pixels of the result
 * where each begins in the original, then for each of them the weights of the first two original
 * pixels that count for it, the earlier one's in the low half, then of the next two, and so on.
 * Original pixels that do not count have weight 0, and sums all the same.
 */
struct tap_table {
	uint32_t *
		entries; /* (1 + n_pairs) * SCALE_TAP_GROUP for each group, the last filled with 0 */
	unsigned n_pairs; /* of original pixels, for each pixel of the result, 1 or more */
};

struct scale_kernels {
	const char *name;
	/** Set (@is_begin), or add to, @n sums, one for each byte of a row. */
	void (*add_rows)(uint32_t *sums, const struct row_run *run, size_t n, bool is_begin);
	/**
	 * Write a row of the result.
	 *
	 * @sums: four for each pixel of an original row; @spans: one for each of @width pixels
	 * @whole_weight: of an original pixel within a span; @area: what all weights add up to
	 */
	void (*write_row)(uint8_t *pixels, const uint32_t *sums, const struct span *spans,
			  unsigned width, uint32_t whole_weight, uint64_t area);
	/** Both in sums of 16 bits; NULL where that would not be faster. */
	void (*add_rows_narrow)(uint16_t *sums, const struct row_run *run, size_t n, bool is_begin);
	void (*write_row_narrow)(uint8_t *pixels, const uint16_t *sums,
				 const struct tap_table *taps, unsigned width, unsigned area);
};

extern const struct scale_kernels scale_kernels_plain;

/** NULL unless this processor has AVX2. */
const struct scale_kernels *scale_kernels_avx2(void);

/** The fastest for this processor. */
const struct scale_kernels *scale_kernels_best(void);

#endif
