#include "broker-lite/numeral.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The locale has no say in this language. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *p)
{
	while (is_digit(*p))
		p++;
	return p;
}

size_t numeral_length(const char *text)
{
	const char *p = text + (*text == '+' || *text == '-');
	const char *exponent;

	if (!is_digit(*p))
		return 0;
	p = skip_digits(p);
	if (*p == '.' && is_digit(p[1]))
		p = skip_digits(p + 1);
	if (*p == 'e' || *p == 'E') {
		exponent = p + 1 + (p[1] == '+' || p[1] == '-');
		if (is_digit(*exponent))
			p = skip_digits(exponent);
	}
	return (size_t)(p - text);
}

bool numeral_read(const char *text, struct numeral *ret)
{
	size_t len = numeral_length(text);

	if (len == 0 || text[len])
		return false;
	ret->approximate = strtod(text, NULL);
	errno = 0;
	ret->exact = strtoll(text, NULL, 10);
	ret->is_exact = errno == 0 && !strpbrk(text, ".eE");
	return true;
}

int numeral_compare(const struct numeral *a, const struct numeral *b)
{
	if (a->is_exact && b->is_exact)
		return (a->exact > b->exact) - (a->exact < b->exact);
	return (a->approximate > b->approximate) - (a->approximate < b->approximate);
}

/* The least whole number that does not compare below (@or_equal: nor equal to) @value as a double.
 * Conversion to double is monotonic, so halving finds it. */
static uint64_t find_bound(double value, bool or_equal)
{
	uint64_t low = 0, high = NUMERAL_WHOLE_END;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		double at = (double)middle;

		if (at < value || (or_equal && at <= value))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void numeral_bounds(const struct numeral *numeral, uint64_t *ret_at_least, uint64_t *ret_above)
{
	if (!numeral->is_exact) {
		*ret_at_least = find_bound(numeral->approximate, false);
		*ret_above = find_bound(numeral->approximate, true);
	} else if (numeral->exact < 0) {
		*ret_at_least = *ret_above = 0;
	} else {
		*ret_at_least = (uint64_t)numeral->exact;
		*ret_above = (uint64_t)numeral->exact + 1;
	}
}
