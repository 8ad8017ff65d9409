/**
 * Lines that strangers can cause, as far as they are logged: who knocks at the door all day long fills no
 * disk. LOG_LIMIT of a kind in a minute pass; how many more there were is told with the first after it.
 */
#ifndef COMMON_LOG_LIMIT_H
#define COMMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT 20

/** Of one kind of line; zeroed at first. */
struct log_limit {
	uint64_t since_ns; /* 0: there was none */
	unsigned n;        /* since then */
};

/** Is this one to be logged? @what: the kind, as in "7 more connections refused within a minute". */
bool log_limit_passes(struct log_limit *limit, const char *what);

#endif
