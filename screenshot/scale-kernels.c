#include "screenshot/scale-kernels.h"

#include <assert.h>
#include <string.h>

#include "screenshot/image.h"

/* Loops over a block have a fixed count, which is what lets the compiler make vectors of them. */
#define BLOCK_BYTES 32
#define CHANNELS 3 /* the fourth byte means nothing */

static_assert(255 * SCALE_WHOLE_ROWS_MAX <= UINT16_MAX, "whole rows are summed in 16 bits");
static_assert(255ull * IMAGE_MAX_SIDE * SCALE_WHOLE_SUMS_MAX <= UINT32_MAX,
	      "whole columns are summed in 32 bits");

/* GCC and clang make the processor's own vectors of it, or do without. */
typedef uint32_t pixel_sums __attribute__((vector_size(16)));

static void add_block(uint32_t *restrict sums, const struct row_run *run, size_t at)
{
	uint16_t whole[BLOCK_BYTES] = {0};
	uint32_t block[BLOCK_BYTES];

	for (unsigned y = 0; y < run->n_whole; y++) {
		const uint8_t *row = run->whole + y * run->stride + at;

		for (unsigned i = 0; i < BLOCK_BYTES; i++)
			whole[i] = (uint16_t)(whole[i] + row[i]);
	}
	for (unsigned i = 0; i < BLOCK_BYTES; i++)
		block[i] = whole[i] * run->whole_weight + run->first[at + i] * run->first_weight +
			   run->last[at + i] * run->last_weight;
	for (unsigned i = 0; i < BLOCK_BYTES; i++)
		sums[at + i] += block[i];
}

static void add_rows(uint32_t *sums, const struct row_run *run, size_t n, bool is_begin)
{
	size_t at = 0;

	if (is_begin)
		memset(sums, 0, n * sizeof(*sums));
	for (; n - at >= BLOCK_BYTES; at += BLOCK_BYTES)
		add_block(sums, run, at);
	for (; at < n; at++) {
		uint32_t whole = 0;

		for (unsigned y = 0; y < run->n_whole; y++)
			whole += run->whole[y * run->stride + at];
		sums[at] += whole * run->whole_weight + run->first[at] * run->first_weight +
			    run->last[at] * run->last_weight;
	}
}

static pixel_sums load(const uint32_t *sums)
{
	pixel_sums pixel;

	memcpy(&pixel, sums, sizeof(pixel));
	return pixel;
}

/* Sums of @n pixels from @sums on. */
static void sum_whole(uint64_t ret[CHANNELS], const uint32_t *sums, unsigned n)
{
	memset(ret, 0, CHANNELS * sizeof(*ret));
	while (n > 0) {
		unsigned n_now = n < SCALE_WHOLE_SUMS_MAX ? n : SCALE_WHOLE_SUMS_MAX;
		pixel_sums sum = {0};

		for (unsigned i = 0; i < n_now; i++)
			sum += load(sums + (size_t)i * IMAGE_PIXEL_BYTES);
		for (unsigned c = 0; c < CHANNELS; c++)
			ret[c] += sum[c];
		sums += (size_t)n_now * IMAGE_PIXEL_BYTES;
		n -= n_now;
	}
}

/*
 * The quotient of whole numbers by way of floating point, which is several times as fast: the
 * dividend is below 2^37, so it is exact, and half a unit more keeps the quotient 2^-30 away from
 * every whole number, which is far more than the error of the multiplication.
 */
static void write_row(uint8_t *pixels, const uint32_t *sums, const struct span *spans,
		      unsigned width, uint32_t whole_weight, uint64_t area)
{
	double inverse = 1 / (double)area, half = (double)(area / 2) + 0.5;

	for (unsigned x = 0; x < width; x++) {
		const uint32_t *first = sums + (size_t)spans[x].first * IMAGE_PIXEL_BYTES;
		const uint32_t *whole = first + IMAGE_PIXEL_BYTES;
		/* What does not count need not be there. */
		const uint32_t *last = spans[x].last_weight > 0 ? whole + (size_t)spans[x].n_whole *
										  IMAGE_PIXEL_BYTES
								: first;
		uint64_t totals[CHANNELS];

		sum_whole(totals, whole, spans[x].n_whole);
		for (unsigned c = 0; c < CHANNELS; c++) {
			uint64_t total = totals[c] * whole_weight +
					 (uint64_t)first[c] * spans[x].first_weight +
					 (uint64_t)last[c] * spans[x].last_weight;

			pixels[c] = (uint8_t)(int)(((double)(int64_t)total + half) * inverse);
		}
		pixels[CHANNELS] = 0xff;
		pixels += IMAGE_PIXEL_BYTES;
	}
}

const struct scale_kernels scale_kernels_plain = {"plain", add_rows, write_row, NULL, NULL};

/*
 * On aarch64 these are NEON already, which every such processor has: gcc 12 makes it of add_block() and
 * of pixel_sums, and under qemu they give the same bits as here. Kernels by hand wait for somebody who
 * can measure them there.
 */
const struct scale_kernels *scale_kernels_best(void)
{
	const struct scale_kernels *avx2 = scale_kernels_avx2();

	return avx2 ? avx2 : &scale_kernels_plain;
}
