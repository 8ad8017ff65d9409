#include "screenshot/scale-kernels.h"

#ifndef __x86_64__

const struct scale_kernels *scale_kernels_avx2(void)
{
	return NULL;
}

#else

#include <immintrin.h>
#include <string.h>

#include "screenshot/image.h"

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline
#define BLOCK_BYTES 64 /* a cache line, so that each is read once */

/* A whole number below this becomes a double by putting it into the mantissa of 2^52. */
#define MANTISSA 0x1p52

/* Products of 16 unsigned sums of 16 bits, in two halves of each 128-bit lane. */
AVX2_INLINE void multiply_16(__m256i sums, __m256i weight, __m256i *ret_low, __m256i *ret_high)
{
	__m256i low = _mm256_mullo_epi16(sums, weight);
	__m256i high = _mm256_mulhi_epu16(sums, weight);

	*ret_low = _mm256_unpacklo_epi16(low, high);
	*ret_high = _mm256_unpackhi_epi16(low, high);
}

/* Weighted sums of the edge rows, in the order of multiply_16(); @weights holds those of first and
 * last in turns, and so do the 16 bytes of each in @bytes. */
AVX2_INLINE void weigh_edges(__m256i bytes, __m256i weights, __m256i *ret_low, __m256i *ret_high)
{
	const __m256i zero = _mm256_setzero_si256();

	*ret_low = _mm256_madd_epi16(_mm256_unpacklo_epi8(bytes, zero), weights);
	*ret_high = _mm256_madd_epi16(_mm256_unpackhi_epi8(bytes, zero), weights);
}

AVX2_INLINE void put(uint32_t *sums, __m256i value, bool is_begin)
{
	if (!is_begin)
		value = _mm256_add_epi32(value, _mm256_loadu_si256((const __m256i_u *)sums));
	_mm256_storeu_si256((__m256i_u *)sums, value);
}

/* From 32 bytes of each edge row, and the sums of the even and of the odd bytes of the whole rows. */
AVX2_INLINE void put_half(uint32_t *sums, __m256i first, __m256i last, __m256i even, __m256i odd,
			  __m256i whole_weight, __m256i edge_weights, bool is_begin)
{
	__m256i part0, part1, part2, part3, edge0, edge1, edge2, edge3;

	multiply_16(_mm256_unpacklo_epi16(even, odd), whole_weight, &part0, &part1);
	multiply_16(_mm256_unpackhi_epi16(even, odd), whole_weight, &part2, &part3);
	weigh_edges(_mm256_unpacklo_epi8(first, last), edge_weights, &edge0, &edge1);
	weigh_edges(_mm256_unpackhi_epi8(first, last), edge_weights, &edge2, &edge3);
	part0 = _mm256_add_epi32(part0, edge0);
	part1 = _mm256_add_epi32(part1, edge1);
	part2 = _mm256_add_epi32(part2, edge2);
	part3 = _mm256_add_epi32(part3, edge3);
	/* Each part has four sums of the first 16 bytes and four of the others. */
	put(sums, _mm256_permute2x128_si256(part0, part1, 0x20), is_begin);
	put(sums + 8, _mm256_permute2x128_si256(part2, part3, 0x20), is_begin);
	put(sums + 16, _mm256_permute2x128_si256(part0, part1, 0x31), is_begin);
	put(sums + 24, _mm256_permute2x128_si256(part2, part3, 0x31), is_begin);
}

AVX2_INLINE __m256i load(const uint8_t *bytes)
{
	return _mm256_loadu_si256((const __m256i_u *)bytes);
}

AVX2_INLINE void add_block(uint32_t *sums, const struct row_run *run, size_t at, bool is_begin,
			   __m256i whole_weight, __m256i edge_weights)
{
	const __m256i low_bytes = _mm256_set1_epi16(0xff);
	const uint8_t *row = run->whole + at, *first = run->first + at, *last = run->last + at;
	__m256i even0 = _mm256_setzero_si256(), odd0 = even0, even1 = even0, odd1 = even0;

	for (unsigned y = 0; y < run->n_whole; y++, row += run->stride) {
		__m256i bytes0 = load(row), bytes1 = load(row + 32);

		even0 = _mm256_add_epi16(even0, _mm256_and_si256(bytes0, low_bytes));
		odd0 = _mm256_add_epi16(odd0, _mm256_srli_epi16(bytes0, 8));
		even1 = _mm256_add_epi16(even1, _mm256_and_si256(bytes1, low_bytes));
		odd1 = _mm256_add_epi16(odd1, _mm256_srli_epi16(bytes1, 8));
	}
	put_half(sums + at, load(first), load(last), even0, odd0, whole_weight, edge_weights,
		 is_begin);
	put_half(sums + at + 32, load(first + 32), load(last + 32), even1, odd1, whole_weight,
		 edge_weights, is_begin);
}

AVX2 static void add_rows(uint32_t *sums, const struct row_run *run, size_t n, bool is_begin)
{
	/* Weights are at most IMAGE_MAX_SIDE, 2^14, so they are positive in 16 bits with a sign. */
	__m256i whole_weight = _mm256_set1_epi16((int16_t)run->whole_weight);
	__m256i edge_weights = _mm256_set1_epi32((int)(run->last_weight << 16 | run->first_weight));
	struct row_run rest = *run;
	size_t at = 0;

	if (is_begin) {
		for (; n - at >= BLOCK_BYTES; at += BLOCK_BYTES)
			add_block(sums, run, at, true, whole_weight, edge_weights);
	} else {
		for (; n - at >= BLOCK_BYTES; at += BLOCK_BYTES)
			add_block(sums, run, at, false, whole_weight, edge_weights);
	}
	rest.first += at;
	rest.whole += at;
	rest.last += at;
	scale_kernels_plain.add_rows(sums + at, &rest, n - at, is_begin);
}

/* The four sums of a pixel. */
AVX2_INLINE __m128i load_pixel(const uint32_t *sums)
{
	return _mm_loadu_si128((const __m128i_u *)sums);
}

AVX2_INLINE __m128i sum_whole(const uint32_t *sums, unsigned n)
{
	__m256i two = _mm256_setzero_si256();
	__m128i sum;
	unsigned i = 0;

	for (; i + 2 <= n; i += 2) /* two pixels at a time */
		two = _mm256_add_epi32(two, _mm256_loadu_si256((const __m256i_u *)(sums + i * 4)));
	sum = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
	if (i < n)
		sum = _mm_add_epi32(sum, load_pixel(sums + i * 4));
	return sum;
}

AVX2_INLINE __m256i times(__m128i sums, uint32_t weight)
{
	return _mm256_mul_epu32(_mm256_cvtepu32_epi64(sums), _mm256_set1_epi64x(weight));
}

/* The totals of one pixel of the result: products of 32 bits each, in sums of 64. */
AVX2_INLINE __m256i total_64(const uint32_t *sums, const struct span *span, uint32_t weight)
{
	__m256i total = times(load_pixel(sums), span->first_weight);
	unsigned n = span->n_whole;

	sums += IMAGE_PIXEL_BYTES;
	while (n > 0) {
		unsigned n_now = n < SCALE_WHOLE_SUMS_MAX ? n : SCALE_WHOLE_SUMS_MAX;

		total = _mm256_add_epi64(total, times(sum_whole(sums, n_now), weight));
		sums += (size_t)n_now * IMAGE_PIXEL_BYTES;
		n -= n_now;
	}
	if (span->last_weight > 0)
		total = _mm256_add_epi64(total, times(load_pixel(sums), span->last_weight));
	return total;
}

/* The same where no total has more than 31 bits. */
AVX2_INLINE __m128i total_32(const uint32_t *sums, const struct span *span, __m128i weight)
{
	/* What does not count need not be there. */
	const uint32_t *whole = sums + IMAGE_PIXEL_BYTES;
	const uint32_t *last =
		span->last_weight > 0 ? whole + (size_t)span->n_whole * IMAGE_PIXEL_BYTES : sums;
	__m128i total = _mm_mullo_epi32(sum_whole(whole, span->n_whole), weight);

	total = _mm_add_epi32(
		total, _mm_mullo_epi32(load_pixel(sums), _mm_set1_epi32((int)span->first_weight)));
	return _mm_add_epi32(
		total, _mm_mullo_epi32(load_pixel(last), _mm_set1_epi32((int)span->last_weight)));
}

/* The quotients of a pixel; the division is explained with the plain one. */
AVX2_INLINE void put_pixel(uint8_t *pixel, __m256d totals, __m256d half, __m256d inverse)
{
	__m128i words = _mm256_cvttpd_epi32(_mm256_mul_pd(_mm256_add_pd(totals, half), inverse));
	uint32_t bytes;

	words = _mm_packus_epi32(words, words);
	bytes = (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(words, words)) | 0xff000000u;
	memcpy(pixel, &bytes, sizeof(bytes));
}

AVX2_INLINE __m256d to_double(__m256i totals)
{
	const __m256d mantissa = _mm256_set1_pd(MANTISSA);

	return _mm256_sub_pd(
		_mm256_castsi256_pd(_mm256_or_si256(totals, _mm256_castpd_si256(mantissa))),
		mantissa);
}

AVX2 static void write_row(uint8_t *pixels, const uint32_t *sums, const struct span *spans,
			   unsigned width, uint32_t whole_weight, uint64_t area)
{
	const __m256d inverse = _mm256_set1_pd(1 / (double)area);
	const __m256d half = _mm256_set1_pd((double)(area / 2) + 0.5);
	const __m128i weight = _mm_set1_epi32((int)whole_weight);

	if (area * 255 <= INT32_MAX) {
		for (unsigned x = 0; x < width; x++, pixels += IMAGE_PIXEL_BYTES) {
			const uint32_t *at = sums + (size_t)spans[x].first * IMAGE_PIXEL_BYTES;

			put_pixel(pixels, _mm256_cvtepi32_pd(total_32(at, &spans[x], weight)), half,
				  inverse);
		}
		return;
	}
	for (unsigned x = 0; x < width; x++, pixels += IMAGE_PIXEL_BYTES) {
		const uint32_t *at = sums + (size_t)spans[x].first * IMAGE_PIXEL_BYTES;

		put_pixel(pixels, to_double(total_64(at, &spans[x], whole_weight)), half, inverse);
	}
}

/* --- sums of 16 bits ----------------------------------------------------------------------------
 */

/* What 32 bytes of two rows add to the sums; @weights holds those of the two in turns. */
AVX2_INLINE void weigh_rows(__m256i one, __m256i other, __m256i weights, __m256i *low,
			    __m256i *high)
{
	*low = _mm256_add_epi16(*low,
				_mm256_maddubs_epi16(_mm256_unpacklo_epi8(one, other), weights));
	*high = _mm256_add_epi16(*high,
				 _mm256_maddubs_epi16(_mm256_unpackhi_epi8(one, other), weights));
}

/* @low has the sums of bytes 0 to 7 and 16 to 23, @high those of the others. */
AVX2_INLINE void put_narrow(uint16_t *sums, __m256i low, __m256i high, bool is_begin)
{
	__m256i part0 = _mm256_permute2x128_si256(low, high, 0x20);
	__m256i part1 = _mm256_permute2x128_si256(low, high, 0x31);

	if (!is_begin) {
		part0 = _mm256_add_epi16(part0, _mm256_loadu_si256((const __m256i_u *)sums));
		part1 = _mm256_add_epi16(part1, _mm256_loadu_si256((const __m256i_u *)(sums + 16)));
	}
	_mm256_storeu_si256((__m256i_u *)sums, part0);
	_mm256_storeu_si256((__m256i_u *)(sums + 16), part1);
}

AVX2_INLINE void add_block_narrow(uint16_t *sums, const struct row_run *run, size_t at,
				  bool is_begin, __m256i whole_weights, __m256i edge_weights)
{
	const __m256i zero = _mm256_setzero_si256();
	const uint8_t *row = run->whole + at, *first = run->first + at, *last = run->last + at;
	__m256i low0 = zero, high0 = zero, low1 = zero, high1 = zero;
	unsigned y = 0;

	weigh_rows(load(first), load(last), edge_weights, &low0, &high0);
	weigh_rows(load(first + 32), load(last + 32), edge_weights, &low1, &high1);
	for (; y + 2 <= run->n_whole; y += 2, row += 2 * run->stride) {
		const uint8_t *next = row + run->stride;

		weigh_rows(load(row), load(next), whole_weights, &low0, &high0);
		weigh_rows(load(row + 32), load(next + 32), whole_weights, &low1, &high1);
	}
	if (y < run->n_whole) {
		weigh_rows(load(row), zero, whole_weights, &low0, &high0);
		weigh_rows(load(row + 32), zero, whole_weights, &low1, &high1);
	}
	put_narrow(sums + at, low0, high0, is_begin);
	put_narrow(sums + at + 32, low1, high1, is_begin);
}

static void add_rest_narrow(uint16_t *sums, const struct row_run *run, size_t at, size_t n,
			    bool is_begin)
{
	for (; at < n; at++) {
		uint32_t sum = is_begin ? 0 : sums[at];

		for (unsigned y = 0; y < run->n_whole; y++)
			sum += run->whole[y * run->stride + at] * run->whole_weight;
		sums[at] = (uint16_t)(sum + run->first[at] * run->first_weight +
				      run->last[at] * run->last_weight);
	}
}

AVX2 static void add_rows_narrow(uint16_t *sums, const struct row_run *run, size_t n, bool is_begin)
{
	__m256i whole_weights = _mm256_set1_epi8((int8_t)run->whole_weight);
	__m256i edge_weights =
		_mm256_set1_epi16((int16_t)(run->last_weight << 8 | run->first_weight));
	size_t at = 0;

	for (; n - at >= BLOCK_BYTES; at += BLOCK_BYTES)
		add_block_narrow(sums, run, at, is_begin, whole_weights, edge_weights);
	add_rest_narrow(sums, run, at, n, is_begin);
}

/* Sums of the same two original pixels of two pixels of the result, one in each half: channel by
 * channel, so that a multiplication can add the two. */
AVX2_INLINE __m256i load_two(const uint16_t *one, const uint16_t *other)
{
	const __m256i channels = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
	__m256i sums = _mm256_inserti128_si256(
		_mm256_castsi128_si256(_mm_loadu_si128((const __m128i_u *)one)),
		_mm_loadu_si128((const __m128i_u *)other), 1);

	return _mm256_shuffle_epi8(sums, channels);
}

/* The quotients of two pixels of the result in 32 bits. */
AVX2_INLINE __m256i divide_narrow(__m256i totals, __m256 half, __m256 inverse)
{
	return _mm256_cvttps_epi32(
		_mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(totals), half), inverse));
}

/* The sums of four pixels of the result so far, two in each. */
struct totals {
	__m256i first_two, last_two;
};

/* Add two original pixels of each, which are @tap sums behind where it begins. */
AVX2_INLINE void add_taps(struct totals *totals, const uint16_t *sums, const uint32_t *firsts,
			  const uint32_t *weights, size_t tap)
{
	const __m256i first_two = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
	const __m256i last_two = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
	__m256i all = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i_u *)weights));
	__m256i sums0 = load_two(sums + (size_t)firsts[0] * IMAGE_PIXEL_BYTES + tap,
				 sums + (size_t)firsts[1] * IMAGE_PIXEL_BYTES + tap);
	__m256i sums1 = load_two(sums + (size_t)firsts[2] * IMAGE_PIXEL_BYTES + tap,
				 sums + (size_t)firsts[3] * IMAGE_PIXEL_BYTES + tap);

	totals->first_two = _mm256_add_epi32(
		totals->first_two,
		_mm256_madd_epi16(sums0, _mm256_permutevar8x32_epi32(all, first_two)));
	totals->last_two = _mm256_add_epi32(
		totals->last_two,
		_mm256_madd_epi16(sums1, _mm256_permutevar8x32_epi32(all, last_two)));
}

/* Four pixels of the result. */
AVX2_INLINE __m128i write_group(const uint16_t *sums, const uint32_t *entries, unsigned n_pairs,
				__m256 half, __m256 inverse)
{
	struct totals totals = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	__m256i words;

	add_taps(&totals, sums, entries, entries + SCALE_TAP_GROUP, 0);
	if (n_pairs > 1) /* as previews have, without a loop */
		add_taps(&totals, sums, entries, entries + (size_t)2 * SCALE_TAP_GROUP,
			 (size_t)2 * IMAGE_PIXEL_BYTES);
	for (size_t i = 2; i < n_pairs; i++)
		add_taps(&totals, sums, entries, entries + (1 + i) * SCALE_TAP_GROUP,
			 2 * i * IMAGE_PIXEL_BYTES);
	words = _mm256_packus_epi32(divide_narrow(totals.first_two, half, inverse),
				    divide_narrow(totals.last_two, half, inverse));
	/* The first and the third pixel are in one half, the other two in the other. */
	words = _mm256_permute4x64_epi64(words, 0xd8);
	return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

AVX2_INLINE void write_groups(uint8_t *pixels, const uint16_t *sums, const uint32_t *entries,
			      unsigned n_pairs, unsigned width, unsigned area)
{
	const __m256 inverse = _mm256_set1_ps(1 / (float)area);
	const __m256 half = _mm256_set1_ps((float)(area / 2) + 0.5f);
	const __m128i unused = _mm_set1_epi32((int)0xff000000u);
	__m128i group;

	for (; width >= SCALE_TAP_GROUP; width -= SCALE_TAP_GROUP) {
		group = write_group(sums, entries, n_pairs, half, inverse);
		_mm_storeu_si128((__m128i_u *)pixels, _mm_or_si128(group, unused));
		pixels += (size_t)SCALE_TAP_GROUP * IMAGE_PIXEL_BYTES;
		entries += (1 + (size_t)n_pairs) * SCALE_TAP_GROUP;
	}
	if (width == 0)
		return;
	group = _mm_or_si128(write_group(sums, entries, n_pairs, half, inverse), unused);
	memcpy(pixels, &group, (size_t)width * IMAGE_PIXEL_BYTES);
}

/*
 * The quotient as with the plain kernel, in single precision: totals are below 2^22 and so exact with
 * half a unit more, which keeps the quotient 2^-15 away from every whole number. Rounding twice to 24
 * bits errs by less than that.
 */
AVX2 static void write_row_narrow(uint8_t *pixels, const uint16_t *sums,
				  const struct tap_table *taps, unsigned width, unsigned area)
{
	if (taps->n_pairs == 2) /* previews: a loop that is unrolled */
		write_groups(pixels, sums, taps->entries, 2, width, area);
	else
		write_groups(pixels, sums, taps->entries, taps->n_pairs, width, area);
}

static const struct scale_kernels kernels = {"AVX2", add_rows, write_row, add_rows_narrow,
					     write_row_narrow};

const struct scale_kernels *scale_kernels_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? &kernels : NULL;
}

#endif
