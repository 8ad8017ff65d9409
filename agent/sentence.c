#include "agent/sentence.h"

#include <stddef.h>

/* Length of the UTF-8 character at @p, 0 if there is none: cut short, overlong, a surrogate. */
static size_t character_len(const unsigned char *p)
{
	static const struct {
		unsigned char mask, lead;
		unsigned least;
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t n = 0; n < sizeof(forms) / sizeof(forms[0]); n++) {
		unsigned code = p[0] & (unsigned char)~forms[n].mask;

		if ((p[0] & forms[n].mask) != forms[n].lead)
			continue;
		for (size_t i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (p[i] & 0x3f);
		}
		if (code < forms[n].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return 0;
		return n + 1;
	}
	return 0;
}

void sentence_make_valid(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p;) {
		size_t len = character_len(p);

		if (len == 0 || *p < 0x20 || *p == 0x7f) {
			*p = '?';
			len = 1;
		}
		p += len;
	}
}
