#include "common/histogram.h"

const struct histogram_bounds histogram_of_requests = {
	14, {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}};
const struct histogram_bounds histogram_of_creations = {
	14, {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}};

void histogram_add(struct histogram *histogram, double seconds)
{
	const struct histogram_bounds *bounds = histogram->bounds;

	histogram->n++;
	histogram->sum += seconds;
	for (size_t i = 0; i < bounds->n; i++) {
		if (seconds > bounds->seconds[i])
			continue;
		histogram->counts[i]++;
		return;
	}
}
