#include "broker-lite/strings.h"

#include <stdlib.h>
#include <string.h>

void strings_init(struct strings *strings)
{
	*strings = (struct strings){.n = 1}; /* 0 is STRINGS_NONE */
}

void strings_done(struct strings *strings)
{
	for (uint32_t i = 1; i < strings->n; i++)
		free(strings->items[i].text);
	free(strings->items);
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

	if (!items)
		return -1;
	strings->items = items;
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

uint32_t strings_obtain(struct strings *strings, const char *text)
{
	uint32_t number = strings_find(strings, text);
	struct interned *item;

	if (number != STRINGS_NONE) {
		strings->items[number].n_uses++;
		return number;
	}
	if (!strings->index)
		strings->index = json_object();
	number = take_number(strings);
	if (number == STRINGS_NONE)
		return STRINGS_NONE;
	item = &strings->items[number];
	*item = (struct interned){.text = strdup(text), .n_uses = 1};
	if (!item->text || json_object_set_new_nocheck(strings->index, text,
						       json_integer((json_int_t)number)) < 0) {
		free(item->text);
		give_number_back(strings, number);
		return STRINGS_NONE;
	}
	item->has_number = numeral_read(text, &item->number);
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
	(void)json_object_del(strings->index, item->text);
	free(item->text);
	give_number_back(strings, number);
}
