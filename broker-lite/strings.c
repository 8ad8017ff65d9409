#include "broker-lite/strings.h"

#include <stdlib.h>
#include <string.h>

static void set_bit(struct pairs *pairs, uint32_t bit)
{
	pairs->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

struct pairs pairs_of(const char *text)
{
	struct pairs pairs = {{0}};

	for (const unsigned char *p = (const unsigned char *)text; p[0] && p[1]; p++) {
		uint32_t mixed = (p[0] * 256U + p[1]) * 2654435769U;

		set_bit(&pairs, mixed >> 24);
		set_bit(&pairs, mixed >> 16 & 255);
	}
	return pairs;
}

void strings_init(struct strings *strings)
{
	*strings = (struct strings){.n = 1}; /* 0 is STRINGS_NONE */
}

void strings_done(struct strings *strings)
{
	for (uint32_t i = 1; i < strings->n; i++)
		free(strings->items[i].long_text);
	free(strings->items);
	free(strings->readings);
	free(strings->pairs);
	json_decref(strings->index);
	strings_init(strings);
}

uint32_t strings_find(const struct strings *strings, const char *text)
{
	return (uint32_t)json_integer_value(json_object_get(strings->index, text));
}

static int grow(struct strings *strings)
{
	uint32_t capacity = strings->capacity ? strings->capacity * 2 : 64;
	struct interned *items = reallocarray(strings->items, capacity, sizeof(*items));
	struct pairs *pairs = reallocarray(strings->pairs, capacity, sizeof(*pairs));

	struct reading *readings = reallocarray(strings->readings, capacity, sizeof(*readings));

	strings->items = items ? items : strings->items;
	strings->pairs = pairs ? pairs : strings->pairs;
	strings->readings = readings ? readings : strings->readings;
	if (!items || !pairs || !readings)
		return -1;
	strings->capacity = capacity;
	return 0;
}

static uint32_t take_number(struct strings *strings)
{
	uint32_t number = strings->first_free;

	if (number != STRINGS_NONE) {
		strings->first_free = strings->items[number].next_free;
		return number;
	}
	if (strings->n >= strings->capacity && grow(strings) < 0)
		return STRINGS_NONE;
	return strings->n++;
}

static void give_number_back(struct strings *strings, uint32_t number)
{
	strings->items[number] = (struct interned){.next_free = strings->first_free};
	strings->first_free = number;
}

static int set_text(struct interned *item, const char *text)
{
	*item = (struct interned){.n_uses = 1, .len = (uint32_t)strlen(text)};
	if (item->len < INTERNED_SHORT_BYTES)
		memcpy(item->short_text, text, item->len + 1);
	else
		item->long_text = strdup(text);
	return item->len < INTERNED_SHORT_BYTES || item->long_text ? 0 : -1;
}

uint32_t strings_obtain(struct strings *strings, const char *text)
{
	uint32_t number = strings_find(strings, text);
	struct reading *reading;

	if (number != STRINGS_NONE) {
		strings->items[number].n_uses++;
		return number;
	}
	if (!strings->index)
		strings->index = json_object();
	number = take_number(strings);
	if (number == STRINGS_NONE)
		return STRINGS_NONE;
	if (set_text(&strings->items[number], text) < 0 ||
	    json_object_set_new_nocheck(strings->index, text, json_integer((json_int_t)number)) <
		    0) {
		free(strings->items[number].long_text);
		give_number_back(strings, number);
		return STRINGS_NONE;
	}
	strings->pairs[number] = pairs_of(text);
	reading = &strings->readings[number];
	reading->has_number = numeral_read(text, &reading->number);
	return number;
}

void strings_release(struct strings *strings, uint32_t number)
{
	struct interned *item;

	if (number == STRINGS_NONE)
		return;
	item = &strings->items[number];
	if (--item->n_uses > 0)
		return;
	(void)json_object_del(strings->index, interned_text(item));
	free(item->long_text);
	give_number_back(strings, number);
}
