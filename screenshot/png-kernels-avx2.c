#include "screenshot/png-kernels.h"

#ifndef __x86_64__

const struct png_kernels *png_kernels_avx2(void)
{
	return NULL;
}

#else

#include <immintrin.h>

#include "screenshot/image.h"

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline
#define BLOCK_BYTES 32

/* What a filter looks at, for a block of bytes. */
struct block {
	__m256i row, left, above, corner;
};

AVX2_INLINE __m256i load(const uint8_t *bytes)
{
	return _mm256_loadu_si256((const __m256i_u *)bytes);
}

AVX2_INLINE struct block load_block(const uint8_t *row, const uint8_t *above)
{
	return (struct block){
		load(row),
		load(row - PNG_PIXEL_BYTES),
		load(above),
		load(above - PNG_PIXEL_BYTES),
	};
}

AVX2_INLINE __m256i distance(__m256i one, __m256i other)
{
	return _mm256_sub_epi8(_mm256_max_epu8(one, other), _mm256_min_epu8(one, other));
}

AVX2_INLINE __m256i is_at_most(__m256i one, __m256i other)
{
	return _mm256_cmpeq_epi8(_mm256_min_epu8(one, other), one);
}

/* The processor's average rounds up. */
AVX2_INLINE __m256i average(struct block b)
{
	__m256i odd = _mm256_and_si256(_mm256_xor_si256(b.left, b.above), _mm256_set1_epi8(1));

	return _mm256_sub_epi8(_mm256_avg_epu8(b.left, b.above), odd);
}

/*
 * In bytes alone. The third distance is the sum of the others when left and above lie on the same
 * side of the corner, otherwise their difference. A sum beyond 255 is cut to that, and then is still
 * no less than the others, which is all that matters.
 */
AVX2_INLINE __m256i paeth(struct block b)
{
	__m256i to_left = distance(b.above, b.corner), to_above = distance(b.left, b.corner);
	__m256i is_above_higher = is_at_most(b.corner, b.above);
	__m256i is_left_higher = is_at_most(b.corner, b.left);
	__m256i is_same_side = _mm256_cmpeq_epi8(is_above_higher, is_left_higher);
	__m256i to_corner = _mm256_blendv_epi8(distance(to_left, to_above),
					       _mm256_adds_epu8(to_left, to_above), is_same_side);
	__m256i rest = _mm256_blendv_epi8(b.corner, b.above, is_at_most(to_above, to_corner));

	return _mm256_blendv_epi8(
		rest, b.left,
		_mm256_and_si256(is_at_most(to_left, to_above), is_at_most(to_left, to_corner)));
}

AVX2_INLINE __m256i filtered(enum png_filter filter, struct block b)
{
	switch (filter) {
	case PNG_FILTER_ROW_SUB:
		return _mm256_sub_epi8(b.row, b.left);
	case PNG_FILTER_ROW_UP:
		return _mm256_sub_epi8(b.row, b.above);
	case PNG_FILTER_ROW_AVERAGE:
		return _mm256_sub_epi8(b.row, average(b));
	case PNG_FILTER_ROW_PAETH:
		return _mm256_sub_epi8(b.row, paeth(b));
	default:
		return b.row;
	}
}

/* Eight bytes at a time are summed into 64 bits. */
AVX2_INLINE __m256i magnitudes(__m256i bytes)
{
	return _mm256_sad_epu8(_mm256_abs_epi8(bytes), _mm256_setzero_si256());
}

AVX2_INLINE uint64_t total(__m256i sums)
{
	return (uint64_t)_mm256_extract_epi64(sums, 0) + (uint64_t)_mm256_extract_epi64(sums, 1) +
	       (uint64_t)_mm256_extract_epi64(sums, 2) + (uint64_t)_mm256_extract_epi64(sums, 3);
}

AVX2 static void weigh(uint64_t ret_sums[PNG_FILTER_ROW_COUNT], const uint8_t *row,
		       const uint8_t *above, size_t len)
{
	__m256i none = _mm256_setzero_si256(), sub = none, up = none, mean = none, guess = none;
	size_t at = 0;

	for (; len - at >= BLOCK_BYTES; at += BLOCK_BYTES) {
		struct block b = load_block(row + at, above + at);

		none = _mm256_add_epi64(none, magnitudes(filtered(PNG_FILTER_ROW_NONE, b)));
		sub = _mm256_add_epi64(sub, magnitudes(filtered(PNG_FILTER_ROW_SUB, b)));
		up = _mm256_add_epi64(up, magnitudes(filtered(PNG_FILTER_ROW_UP, b)));
		mean = _mm256_add_epi64(mean, magnitudes(filtered(PNG_FILTER_ROW_AVERAGE, b)));
		guess = _mm256_add_epi64(guess, magnitudes(filtered(PNG_FILTER_ROW_PAETH, b)));
	}
	png_kernels_plain.weigh(ret_sums, row + at, above + at, len - at);
	ret_sums[PNG_FILTER_ROW_NONE] += total(none);
	ret_sums[PNG_FILTER_ROW_SUB] += total(sub);
	ret_sums[PNG_FILTER_ROW_UP] += total(up);
	ret_sums[PNG_FILTER_ROW_AVERAGE] += total(mean);
	ret_sums[PNG_FILTER_ROW_PAETH] += total(guess);
}

/* With a filter that is known when this is compiled; returns how far it came. */
AVX2_INLINE size_t apply_one(enum png_filter filter, uint8_t *out, const uint8_t *row,
			     const uint8_t *above, size_t len)
{
	size_t at = 0;

	for (; len - at >= BLOCK_BYTES; at += BLOCK_BYTES)
		_mm256_storeu_si256((__m256i_u *)(out + at),
				    filtered(filter, load_block(row + at, above + at)));
	return at;
}

AVX2 static void apply(enum png_filter filter, uint8_t *out, const uint8_t *row,
		       const uint8_t *above, size_t len)
{
	size_t at = 0;

	switch (filter) {
	case PNG_FILTER_ROW_SUB:
		at = apply_one(PNG_FILTER_ROW_SUB, out, row, above, len);
		break;
	case PNG_FILTER_ROW_UP:
		at = apply_one(PNG_FILTER_ROW_UP, out, row, above, len);
		break;
	case PNG_FILTER_ROW_AVERAGE:
		at = apply_one(PNG_FILTER_ROW_AVERAGE, out, row, above, len);
		break;
	case PNG_FILTER_ROW_PAETH:
		at = apply_one(PNG_FILTER_ROW_PAETH, out, row, above, len);
		break;
	default:
		break;
	}
	png_kernels_plain.apply(filter, out + at, row + at, above + at, len - at);
}

/* Eight pixels at a time; 32 bytes are written, of which the last 8 are written over. */
AVX2 static void to_rgb(uint8_t *out, const uint8_t *pixels, unsigned n_pixels)
{
	const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1,
					       -1, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1,
					       -1, -1);
	const __m256i close_up = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
	unsigned i = 0;

	for (; i + 11 <= n_pixels; i += 8) {
		__m256i bytes = _mm256_shuffle_epi8(load(pixels + (size_t)i * 4), order);

		_mm256_storeu_si256((__m256i_u *)(out + (size_t)i * PNG_PIXEL_BYTES),
				    _mm256_permutevar8x32_epi32(bytes, close_up));
	}
	png_kernels_plain.to_rgb(out + (size_t)i * PNG_PIXEL_BYTES,
				 pixels + (size_t)i * IMAGE_PIXEL_BYTES, n_pixels - i);
}

static const struct png_kernels kernels = {"AVX2", to_rgb, weigh, apply};

const struct png_kernels *png_kernels_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? &kernels : NULL;
}

#endif
