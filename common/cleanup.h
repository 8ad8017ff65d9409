/**
 * Ownership by declaration: a local that owns something releases it when it goes out of scope, and
 * hands it over with TAKE(). So a function may return wherever it knows the answer.
 *
 *     AUTO(free_p) char *copy = strdup(text);
 *     ...
 *     *ret = TAKE(copy);
 *
 * A cleanup function gets the address of the variable and must accept an empty one (NULL, -1).
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(function) __attribute__((cleanup(function)))

/** The value of a pointer variable, which is NULL afterwards. */
#define TAKE(pointer)                                                                              \
	(__extension__({                                                                           \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	}))

/** The value of a descriptor variable, which is -1 afterwards. */
#define TAKE_FD(fd)                                                                                \
	(__extension__({                                                                           \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	}))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/** Release what any pointer variable points to. */
static inline void free_p(void *pointer)
{
	free(*(void **)pointer);
}

/** Close *fd if it is open, mark it closed, keep errno. */
static inline void close_p(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void fclose_p(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

#endif
