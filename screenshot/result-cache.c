#include "screenshot/result-cache.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"

void result_done(struct result *result)
{
	for (size_t i = 0; i < result->n_files; i++)
		close_p(&result->fds[i]);
	*result = (struct result){.n_files = 0};
}

void result_add(struct result *result, int fd, size_t n_bytes)
{
	assert(result->n_files < MONITORS_MAX);
	result->fds[result->n_files++] = fd;
	result->n_bytes += n_bytes;
}

void result_cache_done(struct result_cache *cache)
{
	for (size_t i = 0; i < RESULTS_MAX; i++)
		result_done(&cache->results[i]);
}

static bool is_same(const struct screenshot_options *one, const struct screenshot_options *other)
{
	return one->format == other->format && one->max_width == other->max_width &&
	       one->max_height == other->max_height;
}

const struct result *result_cache_find(struct result_cache *cache,
				       const struct screenshot_options *options,
				       uint64_t generation)
{
	struct result *found = NULL;

	for (size_t i = 0; i < RESULTS_MAX; i++) {
		struct result *result = &cache->results[i];

		if (result->n_files > 0 && result->generation != generation)
			result_done(result);
		if (result->n_files > 0 && is_same(&result->options, options))
			found = result;
	}
	if (found)
		found->used = ++cache->n_calls;
	return found;
}

/* An empty one, or else the one that was not asked for for longest. */
static struct result *find_oldest(struct result_cache *cache)
{
	struct result *oldest = &cache->results[0];

	for (size_t i = 1; i < RESULTS_MAX; i++) {
		if (cache->results[i].used < oldest->used)
			oldest = &cache->results[i];
	}
	return oldest;
}

static size_t bytes_kept(const struct result_cache *cache)
{
	size_t n = 0;

	for (size_t i = 0; i < RESULTS_MAX; i++)
		n += cache->results[i].n_bytes;
	return n;
}

void result_cache_put(struct result_cache *cache, struct result *result)
{
	struct result *place = find_oldest(cache);

	result_done(place);
	if (result->n_bytes > RESULTS_MAX_BYTES - bytes_kept(cache)) {
		result_done(result);
		return;
	}
	*place = *result;
	place->used = ++cache->n_calls;
	*result = (struct result){.n_files = 0};
}

int result_share(int fd, int *ret, struct error *err)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret < 0)
		return error_errno(err, "open a picture again");
	return 0;
}
