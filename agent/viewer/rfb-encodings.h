/**
 * What a client may ask its server to send: the encodings and extensions that can be measured.
 * Everything else is taken out of its list.
 */
#ifndef AGENT_VIEWER_RFB_ENCODINGS_H
#define AGENT_VIEWER_RFB_ENCODINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum rfb_encoding {
	RFB_RAW = 0,
	RFB_COPY_RECT = 1,
	RFB_HEXTILE = 5,
	RFB_TIGHT = 7,
	RFB_ZRLE = 16,
	RFB_DESKTOP_SIZE = -223,
	RFB_LAST_RECT = -224,
	RFB_CURSOR = -239,
	RFB_QEMU_KEY = -258,
	RFB_EXTENDED_DESKTOP_SIZE = -308,
	RFB_FENCE = -312,
	RFB_CONTINUOUS_UPDATES = -313,
	RFB_EXTENDED_CLIPBOARD = -1063131698, /* 0xc0a1e5ce */
};

#define RFB_ENCODINGS_MAX 40

/** What the client has asked for, in its order, as far as it is known here. */
struct rfb_encodings {
	int32_t numbers[RFB_ENCODINGS_MAX];
	size_t n;
	bool is_given; /* it has asked */
};

/** Note one of a client's list, if it is known and not there yet. */
void rfb_encodings_add(struct rfb_encodings *encodings, int32_t number);

/** Append the message that asks for them, as far as @features allow it. */
int rfb_encodings_append(const struct rfb_encodings *encodings, uint32_t features, struct buf *out,
			 struct error *err);

#endif
