/** Small texts with a fixed form: ids, times, base64; UTF-8. Sources: RFC 9562, 3339, 4648, 3629. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

#define UUID_SIZE 37 /* with the NUL */
#define TIME_SIZE 25

/** Step over @what if @at begins with it. */
bool text_skip(const char **at, const char *what);

/** A random UUID (version 4), lower case. */
void uuid_make(char ret[UUID_SIZE]);
bool is_uuid(const char *text);

/** Random letters and digits from the system's generator: @len of them and a NUL. */
void random_text(char *ret, size_t len);

/** A random number from 0 to @below - 1. */
unsigned random_number(unsigned below);

/** Milliseconds since 1970, UTC. */
long long time_now_ms(void);

/** "2026-03-02T08:00:11.042Z": always three fraction digits, because clients compare the texts. */
void time_format(long long ms, char ret[TIME_SIZE]);

/** Read that form of a day that exists, with any number of fraction digits or no fraction. */
bool time_parse(const char *text, long long *ret_ms);

/** Append @len bytes as base64 (standard alphabet, padded, no line ends). */
int base64_append(struct buf *buf, const void *bytes, size_t len, struct error *err);

/** The same in the URL-safe alphabet and without padding. */
int base64url_append(struct buf *buf, const void *bytes, size_t len, struct error *err);

/**
 * Append what @text stands for. Standard and URL-safe alphabet; the padding is right or left out.
 * ERR_INVALID, with @ret as it was.
 */
int base64_decode(const char *text, struct buf *ret, struct error *err);

/** Length of the UTF-8 character at @text, which ends in NUL; 0: overlong, a surrogate, or none. */
size_t utf8_length(const char *text);

/** @text has @len bytes, NUL may be one of them, and a NUL after them. */
bool is_utf8(const char *text, size_t len);

/** The value of a hexadecimal digit in either case, or -1. */
int hex_digit(char c);

#endif
