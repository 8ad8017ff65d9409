#include "common/text.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool text_skip(const char **at, const char *what)
{
	size_t len = strlen(what);

	if (strncmp(*at, what, len) != 0)
		return false;
	*at += len;
	return true;
}

static void random_bytes(unsigned char *ret, size_t len)
{
	/* Without randomness nothing that follows would be safe, and OpenSSL has tried everything.
	 */
	if (RAND_bytes(ret, (int)len) != 1)
		abort();
}

/* Out of a stock: each time OpenSSL is asked costs more than all the rest of an id. */
static void stocked_bytes(unsigned char *ret, size_t len)
{
	static unsigned char stock[1024];
	static size_t used = sizeof(stock);
	static pid_t owner;

	if (used + len > sizeof(stock) || owner != getpid()) {
		random_bytes(stock, sizeof(stock));
		owner = getpid();
		used = 0;
	}
	memcpy(ret, stock + used, len);
	memset(stock + used, 0, len);
	used += len;
}

void uuid_make(char ret[UUID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char b[16];
	char *to = ret;

	stocked_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[b[i] >> 4];
		*to++ = digits[b[i] & 0x0f];
	}
	*to = '\0';
}

/* Does @text begin with @form, in which 'x' is a lower-case hex digit and '0' a decimal one? */
static bool has_form(const char *text, const char *form)
{
	for (; *form; form++, text++) {
		bool is_digit = isdigit((unsigned char)*text);

		if (*form == 'x'   ? !is_digit && !(*text >= 'a' && *text <= 'f')
		    : *form == '0' ? !is_digit
				   : *text != *form)
			return false;
	}
	return true;
}

bool is_uuid(const char *text)
{
	return strlen(text) == UUID_SIZE - 1 &&
	       has_form(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

void random_text(char *ret, size_t len)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t n = 0; n < len;) {
		unsigned char byte;

		random_bytes(&byte, 1);
		/* the largest multiple of 62: what lies above would favour some letters */
		if (byte < 248)
			ret[n++] = alphabet[byte % 62];
	}
	ret[len] = '\0';
}

unsigned random_number(unsigned below)
{
	unsigned long long number;

	/* 64 bits against 32: the bias is below anything that could be seen */
	random_bytes((unsigned char *)&number, sizeof(number));
	return (unsigned)(number % below);
}

long long time_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *put_number(char *to, int value, int n_digits, char after)
{
	for (int i = n_digits - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	to[n_digits] = after;
	return to + n_digits + 1;
}

/* By hand: every line and most answers have a time, and strftime() costs ten times as much. */
void time_format(long long ms, char ret[TIME_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm utc;
	bool is_time = ms >= 0 && gmtime_r(&seconds, &utc) && utc.tm_year <= 9999 - 1900;

	if (!is_time)
		utc = (struct tm){.tm_year = 70, .tm_mday = 1};
	ret = put_number(ret, utc.tm_year + 1900, 4, '-');
	ret = put_number(ret, utc.tm_mon + 1, 2, '-');
	ret = put_number(ret, utc.tm_mday, 2, 'T');
	ret = put_number(ret, utc.tm_hour, 2, ':');
	ret = put_number(ret, utc.tm_min, 2, ':');
	ret = put_number(ret, utc.tm_sec, 2, '.');
	ret = put_number(ret, is_time ? (int)(ms % 1000) : 0, 3, 'Z');
	*ret = '\0';
}

bool time_parse(const char *text, long long *ret_ms)
{
	struct tm utc = {0}, copy;
	const char *rest;
	long long fraction = 0, seconds;

	/* strptime() itself would take blanks for digits, and February 30. */
	if (!has_form(text, "0000-00-00T00:00:00"))
		return false;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	if (!rest)
		return false;
	if (*rest == '.') {
		int unit = 100;

		if (!isdigit((unsigned char)rest[1]))
			return false;
		for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
			fraction += unit * (*rest - '0');
	}
	copy = utc;
	seconds = timegm(&copy);
	if (strcmp(rest, "Z") != 0 || copy.tm_mday != utc.tm_mday || copy.tm_sec != utc.tm_sec)
		return false;
	*ret_ms = seconds * 1000 + fraction;
	return true;
}

int base64_append(struct buf *buf, const void *bytes, size_t len, struct error *err)
{
	/* EVP_EncodeBlock takes an int; a multiple of three has no padding inside the text. */
	const size_t slice = 3 << 20;
	const unsigned char *from = bytes;

	if (buf_reserve(buf, len / 3 * 4 + 8, err) < 0)
		return -1;
	while (len > 0) {
		size_t n = len < slice ? len : slice;

		buf->len += (size_t)EVP_EncodeBlock((unsigned char *)buf->data + buf->len, from,
						    (int)n);
		from += n;
		len -= n;
	}
	buf->data[buf->len] = '\0';
	return 0;
}

int base64url_append(struct buf *buf, const void *bytes, size_t len, struct error *err)
{
	size_t start = buf->len;

	if (base64_append(buf, bytes, len, err) < 0)
		return -1;
	while (buf->len > start && buf->data[buf->len - 1] == '=')
		buf->data[--buf->len] = '\0';
	for (size_t i = start; i < buf->len; i++) {
		if (buf->data[i] == '+')
			buf->data[i] = '-';
		else if (buf->data[i] == '/')
			buf->data[i] = '_';
	}
	return 0;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* OpenSSL's decoder knows one alphabet, demands padding and counts it as data: a page of our own is
 * shorter than working around that. */
int base64_decode(const char *text, struct buf *ret, struct error *err)
{
	size_t len = strlen(text), start = ret->len;
	unsigned long bits = 0;
	unsigned n_bits = 0;

	if (buf_reserve(ret, len / 4 * 3 + 3, err) < 0)
		return -1;

	/* Padding fills the last group of four. */
	if (len % 4 == 0) {
		for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(text[i]);

		if (value < 0 || (i == len - 1 && len % 4 == 1)) {
			buf_truncate(ret, start);
			return error_set(err, ERR_INVALID, "not valid base64");
		}
		bits = bits << 6 | (unsigned long)value;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		ret->data[ret->len++] = (char)(bits >> n_bits & 0xff);
	}
	ret->data[ret->len] = '\0';
	return 0;
}

size_t utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (n == 0 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

bool is_utf8(const char *text, size_t len)
{
	uint64_t word;

	while (len > 0) {
		size_t n = utf8_length(text);

		if (n == 0)
			return false;
		text += n;
		len -= n;
		/* most is ASCII: eight of it at a time */
		for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
			memcpy(&word, text, sizeof(word));
			if (word & 0x8080808080808080)
				break;
		}
	}
	return true;
}

int hex_digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}
