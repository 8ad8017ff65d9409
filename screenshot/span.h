/**
 * What one pixel of a smaller picture covers of the original, along one side.
 *
 * One side of the original has `from` pixels, the result has `to`, to <= from. Measured in units of
 * 1/to of an original pixel, every original pixel is `to` long, every pixel of the result is `from`
 * long, and all edges lie on whole units. So the weights are integers: an original pixel counts by
 * the units of it that lie in the pixel of the result, and these weights add up to `from`. Only the
 * proportion of the two matters: without a common divisor, weights are as small as they can be.
 */
#ifndef SCREENSHOT_SPAN_H
#define SCREENSHOT_SPAN_H

#include <stdint.h>

struct span {
	uint32_t first;        /* original pixel in which the span begins */
	uint32_t n_whole;      /* pixels after the first that lie in it wholly, each counts `to` */
	uint32_t first_weight; /* 1 to `to` */
	uint32_t last_weight;  /* of the pixel after those, 0 if the span ends at an edge */
};

/** @from: up to IMAGE_MAX_SIDE; @to: up to @from; @position: in the result */
static inline struct span span_of(uint32_t position, uint32_t from, uint32_t to)
{
	uint32_t begin = position * from, end = begin + from; /* up to IMAGE_MAX_SIDE squared */
	struct span span = {.first = begin / to};
	uint32_t whole_begin = (span.first + 1) * to;

	/* A span is at least as long as a pixel, so it reaches the end of its first one. */
	span.first_weight = whole_begin - begin;
	span.n_whole = (end - whole_begin) / to;
	span.last_weight = (end - whole_begin) % to;
	return span;
}

#endif
