/**
 * The keys and buttons that a viewer holds down: so that they can be let go when it may hold them no
 * longer, and so that no Ctrl+Alt+Del is put together by those who may not send it.
 */
#ifndef AGENT_VIEWER_RFB_INPUT_H
#define AGENT_VIEWER_RFB_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define RFB_KEYS_MAX 32

/** The kinds of keys that Ctrl+Alt+Del consists of. */
enum { RFB_KEY_CONTROL, RFB_KEY_ALT, RFB_KEY_DELETE, RFB_N_KEY_KINDS };

/** The one keyboard of a session: how many keys of each kind its viewers hold, all together. */
struct rfb_keyboard {
	unsigned n_held[RFB_N_KEY_KINDS];
};

struct rfb_key {
	uint32_t keysym;
	uint32_t keycode; /* of the QEMU extension; 0: none */
	unsigned kinds;   /* bits */
};

struct rfb_input {
	struct rfb_keyboard *keyboard; /* borrowed */
	struct rfb_key keys[RFB_KEYS_MAX];
	size_t n_keys;
	unsigned buttons, x, y;
};

/**
 * A key goes down or up. May the server be told? Not if more are held than a person has fingers for,
 * nor, unless @may_sas, if Ctrl, Alt and Del would be down together.
 */
bool rfb_input_key(struct rfb_input *input, uint32_t keysym, uint32_t keycode, bool is_down,
		   bool may_sas);

/** The pointer is there, with these buttons. */
void rfb_input_pointer(struct rfb_input *input, unsigned buttons, unsigned x, unsigned y);

/** Append the messages that let go of all keys, or of all buttons. */
int rfb_input_release_keys(struct rfb_input *input, struct buf *out, struct error *err);
int rfb_input_release_buttons(struct rfb_input *input, struct buf *out, struct error *err);

/** The connection is over, and the server lets go by itself. */
void rfb_input_forget(struct rfb_input *input);

#endif
