/**
 * One viewer's connection to an X server, as the bytes of both directions: what comes from the client
 * reaches the server only as far as the features of the permission file allow, and the other way round.
 *
 * Neither side is trusted. A client may send anything, in any pieces; what it may not do is dropped
 * without a word, what cannot be understood ends the connection with a reason. The stream of the server
 * can only be filtered where it can be measured, so it is made to speak what is known here: encodings
 * that are not in rfb-encodings.c are taken out of what the client asks for, the pixel format stands
 * from the first request for an update on, and a message or rectangle that is not known here ends the
 * connection.
 *
 * What a client says is passed on when it is whole, so that at any time it can lose a right, and let go of
 * what it holds down. Memory is allocated for that, RFB_HELD_MAX_BYTES at most, and for what is passed on,
 * which is never more than came and a few hundred bytes. Source: RFC 6143, and the community's description of the protocol for its extensions.
 */
#ifndef AGENT_VIEWER_RFB_H
#define AGENT_VIEWER_RFB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/viewer/rfb-encodings.h"
#include "agent/viewer/rfb-input.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/features.h"

#define RFB_PORTION_MAX_BYTES 256
#define RFB_CUT_TEXT_MAX_BYTES (16UL * 1024 * 1024)
#define RFB_HELD_MAX_BYTES 262144 /* larger texts are nothing for a server of TigerVNC either */

struct rfb;

/** A portion is complete. It says what comes next: rfb_side_await(), _extend() or _body(). */
typedef int rfb_portion_fn(struct rfb *rfb, struct buf *out, struct error *err);

/** One direction: portions of known length, which are looked at, and bodies, which are only counted. */
struct rfb_side {
	unsigned char portion[RFB_PORTION_MAX_BYTES];
	size_t n, wanted;
	rfb_portion_fn *complete;
	uint64_t body_left;
	bool is_body_passed; /* else it is dropped; a client's is held first */
};

/** How many bytes a pixel takes. */
struct rfb_pixel {
	unsigned bytes;
	unsigned tight_bytes; /* where Tight writes it shorter */
};

/** Of a rectangle that is under way. */
struct rfb_rectangle {
	unsigned width, height;
	unsigned tile_x, tile_y;   /* Hextile */
	uint64_t tight_data_bytes; /* before compression */
};

struct rfb {
	uint32_t features;
	struct rfb_side client, server;
	struct rfb_pixel pixel;
	bool is_pixel_chosen; /* by the client */
	bool is_pixel_fixed;  /* an update has been asked for */
	bool has_begun;       /* the client's side has come to its messages */
	struct buf held;      /* a client's message that is not whole */
	struct rfb_encodings encodings;
	unsigned n_encodings_left; /* of a SetEncodings that is under way */
	struct rfb_input input;
	unsigned n_rectangles_left;
	bool is_update_endless; /* it ends with LastRect */
	struct rfb_rectangle rectangle;
};

/** A new connection. @keyboard: what all viewers of the session have in common; borrowed. */
void rfb_init(struct rfb *rfb, uint32_t features, struct rfb_keyboard *keyboard);

/**
 * It is about to end: let go of what it holds down. Of a client's buttons no server does so by itself, of
 * its keys Xvnc does, the scraping server does not always.
 */
int rfb_let_go(struct rfb *rfb, struct buf *to_server, struct error *err);

/** It is over: memory is freed, and what it held down on the common keyboard is not held any more. */
void rfb_done(struct rfb *rfb);

/**
 * Bytes came from one side; append to @out what goes to the other. ERR_INVALID: it is to be closed,
 * and @out is not to be sent.
 */
int rfb_take_client(struct rfb *rfb, const void *bytes, size_t len, struct buf *out,
		    struct error *err);
int rfb_take_server(struct rfb *rfb, const void *bytes, size_t len, struct buf *out,
		    struct error *err);

/** From now on these are allowed. @to_server: what the server is to be told of it, keys that are let go. */
int rfb_set_features(struct rfb *rfb, uint32_t features, struct buf *to_server, struct error *err);

/* --- for the parts of it ------------------------------------------------------------------------ */

static inline bool rfb_may(const struct rfb *rfb, uint32_t features)
{
	return (rfb->features & features) == features;
}

unsigned rfb_u16(const unsigned char *bytes);
uint32_t rfb_u32(const unsigned char *bytes);
void rfb_put_u16(unsigned char *bytes, unsigned value);
void rfb_put_u32(unsigned char *bytes, uint32_t value);

/** What comes next is a portion of @wanted bytes, at least one. */
void rfb_side_await(struct rfb_side *side, size_t wanted, rfb_portion_fn *complete);

/** The present portion has more bytes: @wanted in all. */
void rfb_side_extend(struct rfb_side *side, size_t wanted, rfb_portion_fn *complete);

/** Append the portion to @out. */
int rfb_side_pass(const struct rfb_side *side, struct buf *out, struct error *err);

/** Before the next portion so many bytes come that are passed on, or dropped. */
void rfb_side_body(struct rfb_side *side, uint64_t bytes, bool is_passed);

/** The message that was held is whole. */
rfb_portion_fn rfb_client_whole;

/** Read 16 bytes. ERR_INVALID if pixels of that kind cannot be measured. */
int rfb_pixel_read(struct rfb_pixel *ret, const unsigned char *bytes, struct error *err);

rfb_portion_fn rfb_client_version;
rfb_portion_fn rfb_server_version;

/** Say what the features of now mean for the server. */
rfb_portion_fn rfb_client_settle;

/** A rectangle's first 12 bytes are there. */
rfb_portion_fn rfb_rectangle_begin;

/** It has ended (rfb-server.c). */
void rfb_rectangle_end(struct rfb *rfb);

#endif
