/**
 * Pictures that were made lately, as files in memory, by what was asked for. They are good as long as
 * the screen has not changed, which is a number here (capture_generation()).
 *
 * A file is a sealed memfd, which nobody can change, so it can be handed out any number of times.
 */
#ifndef SCREENSHOT_RESULT_CACHE_H
#define SCREENSHOT_RESULT_CACHE_H

#include <stdint.h>

#include "common/error.h"
#include "screenshot/screenshot.h"

/** Sizes and formats that are kept side by side. */
#define RESULTS_MAX 8

/** All files together; what is larger is not kept. */
#define RESULTS_MAX_BYTES (16 * 1024 * 1024)

/** The files of one request. */
struct result {
	struct screenshot_options options;
	uint64_t generation;
	size_t n_files;        /* 0 when there is none */
	int fds[MONITORS_MAX]; /* the primary monitor's first; owned */
	size_t n_bytes;
	unsigned long long used; /* when it was last asked for, in calls */
};

void result_done(struct result *result);

/** Add a file, which then belongs to @result. There is room for MONITORS_MAX. */
void result_add(struct result *result, int fd, size_t n_bytes);

/** Start with zeros, end with result_cache_done(). */
struct result_cache {
	struct result results[RESULTS_MAX];
	unsigned long long n_calls;
};

void result_cache_done(struct result_cache *cache);

/**
 * The files that were made for the same options, borrowed, or NULL. All that were made of another
 * state of the screen are dropped.
 */
const struct result *result_cache_find(struct result_cache *cache,
				       const struct screenshot_options *options,
				       uint64_t generation);

/** Keep a result, in the place of the one that was not asked for for longest. It is empty then. */
void result_cache_put(struct result_cache *cache, struct result *result);

/**
 * A descriptor of a file of its own offset, for the receiver to read from the beginning.
 *
 * @ret: on success the caller's
 */
int result_share(int fd, int *ret, struct error *err);

#endif
