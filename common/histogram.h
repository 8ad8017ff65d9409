/** How long things took: counts by upper bounds, their sum and their number. */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stddef.h>

#define HISTOGRAM_BOUNDS_MAX 14

struct histogram_bounds {
	size_t n;
	double seconds[HISTOGRAM_BOUNDS_MAX]; /* ascending */
};

/** Of what is answered at once or by an agent, and of what people wait for. */
extern const struct histogram_bounds histogram_of_requests, histogram_of_creations;

struct histogram {
	const struct histogram_bounds *bounds;
	unsigned long long
		counts[HISTOGRAM_BOUNDS_MAX]; /* up to this bound and above the one before */
	unsigned long long n;                 /* all of them */
	double sum;
};

void histogram_add(struct histogram *histogram, double seconds);

#endif
