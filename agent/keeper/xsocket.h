/**
 * The socket of an X server below /tmp/.X11-unix. A server that is killed leaves it behind, and a
 * later server takes the display number over. So what was ours is known by device, inode and time
 * of birth, and is looked at and removed only under the lock of xlock.h. *Trap*: device and inode
 * do not suffice, for ext4 gives the inode of a socket that was just removed to the very next one.
 */
#ifndef AGENT_KEEPER_XSOCKET_H
#define AGENT_KEEPER_XSOCKET_H

#include <stdbool.h>
#include <sys/types.h>

struct xsocket {
	int display; /* -1: not known */
	dev_t dev;
	ino_t ino; /* 0: not known */
	long long born_ns;
};

#define XSOCKET_NONE ((struct xsocket){.display = -1})

/** Make the folder if the host has none; else the first X server would, and own it. */
void xsocket_make_folder(void);

/** Put the socket of @display on record; only if it is @owner's, for the number is the X server's
 * word, and the owner may have made it say anything. */
struct xsocket xsocket_note(int display, uid_t owner);

/** Whether the very same socket is there still. */
bool xsocket_is_left(const struct xsocket *socket);

/** Remove it if it is. Under the lock. */
void xsocket_remove(const struct xsocket *socket);

/** Remove sockets of @owner at which nobody listens: of an X server that was killed before it told
 * its number. Under the lock. */
void xsocket_remove_dead(uid_t owner);

#endif
