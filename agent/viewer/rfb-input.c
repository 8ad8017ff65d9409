#include "agent/viewer/rfb-input.h"

#include "agent/viewer/rfb.h"
#include "common/cleanup.h"

/* A key may be named by its symbol or by its place on the keyboard, in either form of the latter. What
 * is either counts: which of the two the server goes by is not known. */
static const struct named {
	uint32_t keysym, keycode; /* 0: none */
	unsigned kind;
} named[] = {
	{0xffe3, 0x1d, RFB_KEY_CONTROL}, /* Control_L */
	{0xffe4, 0x9d, RFB_KEY_CONTROL}, /* Control_R */
	{0, 0xe01d, RFB_KEY_CONTROL},    /* the same in full */
	{0xffe9, 0x38, RFB_KEY_ALT},     /* Alt_L */
	{0xffea, 0xb8, RFB_KEY_ALT},     /* Alt_R */
	{0, 0xe038, RFB_KEY_ALT},        /* the same in full */
	{0xffe7, 0, RFB_KEY_ALT},        /* Meta_L, the same modifier */
	{0xffe8, 0, RFB_KEY_ALT},        /* Meta_R */
	{0xffff, 0xd3, RFB_KEY_DELETE},  /* Delete */
	{0, 0xe053, RFB_KEY_DELETE},     /* the same in full */
	{0xff9f, 0x53, RFB_KEY_DELETE},  /* KP_Delete */
	{0xffae, 0, RFB_KEY_DELETE},     /* KP_Decimal, its key */
	{0xffac, 0, RFB_KEY_DELETE},     /* KP_Separator, too */
};

static unsigned kinds_of(uint32_t keysym, uint32_t keycode)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if ((named[i].keysym && named[i].keysym == keysym) ||
		    (named[i].keycode && named[i].keycode == keycode))
			kinds |= 1U << named[i].kind;
	}
	return kinds;
}

static void count(struct rfb_keyboard *keyboard, unsigned kinds, bool is_down)
{
	for (unsigned kind = 0; kind < RFB_N_KEY_KINDS; kind++) {
		if (kinds & 1U << kind)
			keyboard->n_held[kind] += is_down ? 1 : -1U;
	}
}

/* As the server tells keys apart. */
static struct rfb_key *find(struct rfb_input *input, uint32_t keysym, uint32_t keycode)
{
	for (size_t i = 0; i < input->n_keys; i++) {
		struct rfb_key *key = &input->keys[i];

		if (keycode ? key->keycode == keycode : key->keycode == 0 && key->keysym == keysym)
			return key;
	}
	return NULL;
}

/* Would Ctrl, Alt and Del be down if these were? */
static bool makes_sas(const struct rfb_keyboard *keyboard, unsigned kinds)
{
	if (!kinds)
		return false;
	for (unsigned kind = 0; kind < RFB_N_KEY_KINDS; kind++) {
		if (keyboard->n_held[kind] == 0 && !(kinds & 1U << kind))
			return false;
	}
	return true;
}

static bool press(struct rfb_input *input, uint32_t keysym, uint32_t keycode, bool may_sas)
{
	struct rfb_key *key = find(input, keysym, keycode);
	unsigned kinds = kinds_of(keysym, keycode), news = key ? kinds & ~key->kinds : kinds;

	if (!may_sas && makes_sas(input->keyboard, kinds))
		return false;
	if (!key && input->n_keys == RFB_KEYS_MAX)
		return false;
	if (!key) {
		key = &input->keys[input->n_keys++];
		*key = (struct rfb_key){.keysym = keysym, .keycode = keycode};
	}
	key->kinds |= news;
	count(input->keyboard, news, true);
	return true;
}

static bool release(struct rfb_input *input, uint32_t keysym, uint32_t keycode)
{
	struct rfb_key *key = find(input, keysym, keycode);

	if (!key)
		return false; /* it was not let through either */
	count(input->keyboard, key->kinds, false);
	*key = input->keys[--input->n_keys];
	return true;
}

bool rfb_input_key(struct rfb_input *input, uint32_t keysym, uint32_t keycode, bool is_down,
		   bool may_sas)
{
	return is_down ? press(input, keysym, keycode, may_sas) : release(input, keysym, keycode);
}

void rfb_input_pointer(struct rfb_input *input, unsigned buttons, unsigned x, unsigned y)
{
	input->buttons = buttons;
	input->x = x;
	input->y = y;
}

static int append_release(const struct rfb_key *key, struct buf *out, struct error *err)
{
	unsigned char plain[8] = {4}, extended[12] = {255};

	if (!key->keycode) {
		rfb_put_u32(plain + 4, key->keysym);
		return buf_append(out, plain, sizeof(plain), err);
	}
	rfb_put_u32(extended + 4, key->keysym);
	rfb_put_u32(extended + 8, key->keycode);
	return buf_append(out, extended, sizeof(extended), err);
}

int rfb_input_release_keys(struct rfb_input *input, struct buf *out, struct error *err)
{
	for (size_t i = 0; i < input->n_keys; i++) {
		if (append_release(&input->keys[i], out, err) < 0)
			return -1;
	}
	rfb_input_forget(input);
	return 0;
}

int rfb_input_release_buttons(struct rfb_input *input, struct buf *out, struct error *err)
{
	unsigned char message[6] = {5};

	if (!input->buttons)
		return 0;
	input->buttons = 0;
	rfb_put_u16(message + 2, input->x);
	rfb_put_u16(message + 4, input->y);
	return buf_append(out, message, sizeof(message), err);
}

void rfb_input_forget(struct rfb_input *input)
{
	for (size_t i = 0; i < input->n_keys; i++)
		count(input->keyboard, input->keys[i].kinds, false);
	input->n_keys = 0;
}
