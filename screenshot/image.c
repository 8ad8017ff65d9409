#include "screenshot/image.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "common/cleanup.h"

#define HUGE_PAGE_BYTES ((size_t)2 * 1024 * 1024)

/*
 * To touch 4 KiB pages for the first time takes longer than to fill them. The kernel may give large
 * ones where we say that they are welcome.
 */
static void *allocate(size_t size_bytes)
{
	void *memory;

	if (size_bytes < HUGE_PAGE_BYTES)
		return malloc(size_bytes);
	memory = aligned_alloc(HUGE_PAGE_BYTES,
			       (size_bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1));
	if (memory)
		(void)madvise(memory, size_bytes, MADV_HUGEPAGE);
	return memory;
}

int image_new(struct image **ret, unsigned width, unsigned height, struct error *err)
{
	AUTO(image_freep) struct image *image = NULL;
	size_t size_bytes;

	if (width == 0 || height == 0 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
		return error_set(err, ERR_TOO_LARGE,
				 "a picture of %ux%u pixels is out of range, 1x1 to %ux%u", width,
				 height, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
	image = calloc(1, sizeof(*image));
	if (!image)
		return error_oom(err);
	image->width = width;
	image->height = height;
	image->stride = (size_t)width * IMAGE_PIXEL_BYTES;
	if (__builtin_mul_overflow(image->stride, (size_t)height, &size_bytes))
		return error_oom(err);
	image->pixels = allocate(size_bytes);
	if (!image->pixels)
		return error_oom(err);
	*ret = TAKE(image);
	return 0;
}

struct image *image_free(struct image *image)
{
	if (image) {
		free(image->pixels);
		free(image);
	}
	return NULL;
}

void image_freep(struct image **image)
{
	*image = image_free(*image);
}
