/**
 * The X server of a session: its arguments, its authority file, its display number.
 *
 * Xvnc listens for viewers on a Unix socket in the owner's folder and for X clients on its
 * display's socket, and nowhere else. *Trap*: without -rfbport -1 it would also listen on TCP, to
 * everybody and without a password. *Trap*: it would turn away every viewer for a while after five that
 * have not finished their hello, for to it they all come from one place.
 */
#ifndef AGENT_KEEPER_XSERVER_H
#define AGENT_KEEPER_XSERVER_H

#include "agent/keeper/program.h"
#include "agent/keeper/xsocket.h"

struct xserver {
	struct program program;
	int display_fd; /* where the server says its number; -1 before and after */
	char text[16];  /* what it has said so far */
	size_t text_len;
	struct xsocket socket;
	char *authority; /* path */
	char *rfb;       /* path */
};

#define XSERVER_NONE                                                                               \
	((struct xserver){.program = PROGRAM_NONE, .display_fd = -1, .socket = XSOCKET_NONE})

struct xserver_start {
	const char *path;         /* of the program */
	const char *geometry;     /* "1920x1080" */
	const char *session_id;   /* the desktop's name */
	const char *owner_folder; /* for the authority file and the viewers' socket */
	int log_fd;
	/* What else can be checked as the owner, before a server is started for nothing. */
	int (*check)(void *data, struct error *err);
	void *check_data;
};

/** Start it. Ready when program.started and socket.display is known. */
int xserver_start(struct xserver *x, const struct program_context *context,
		  const struct xserver_start *start, struct error *err);

/** display_fd is readable: take the number. ERR_SYSTEM when the server says something else. */
int xserver_read_display(struct xserver *x, uid_t owner, struct error *err);

/** What its end means: "X server ended: exit status 1: last line of its output". */
void xserver_describe_end(struct xserver *x, char *ret, size_t size);
void xserver_done(struct xserver *x);

/**
 * Write an authority file with one new random cookie that fits every display of this host
 * (FamilyWild: the number is not known yet, and host names change).
 */
int xserver_write_authority(const char *path, struct error *err);

#endif
