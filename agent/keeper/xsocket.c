#include "agent/keeper/xsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/keeper/directory.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/number.h"

#define X_FOLDER "/tmp/.X11-unix"
#define DISPLAY_MAX 65535

void xsocket_make_folder(void)
{
	if (geteuid() == 0 && mkdir(X_FOLDER, 01777) == 0)
		(void)chmod(X_FOLDER, 01777); /* whatever the umask */
}

/* The socket of a display as it is now, and whose it is; false if there is none. */
static bool look(int display, struct xsocket *ret, uid_t *ret_owner)
{
	char path[sizeof(X_FOLDER) + 16];
	const struct statx_timestamp *born;
	struct statx st;

	(void)snprintf(path, sizeof(path), X_FOLDER "/X%d", display);
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) < 0 ||
	    !S_ISSOCK(st.stx_mode))
		return false;
	/* The last change where the file system knows no birth: an X server makes none later. */
	born = st.stx_mask & STATX_BTIME ? &st.stx_btime : &st.stx_ctime;
	*ret = (struct xsocket){
		.display = display,
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.born_ns = born->tv_sec * 1000000000LL + born->tv_nsec,
	};
	*ret_owner = st.stx_uid;
	return true;
}

struct xsocket xsocket_note(int display, uid_t owner)
{
	struct xsocket found;
	uid_t found_owner;

	if (look(display, &found, &found_owner) && found_owner == owner)
		return found;
	return (struct xsocket){.display = display};
}

bool xsocket_is_left(const struct xsocket *socket)
{
	struct xsocket found;
	uid_t owner;

	return socket->display >= 0 && socket->ino != 0 && look(socket->display, &found, &owner) &&
	       found.dev == socket->dev && found.ino == socket->ino &&
	       found.born_ns == socket->born_ns;
}

void xsocket_remove(const struct xsocket *socket)
{
	char path[sizeof(X_FOLDER) + 16];

	if (!xsocket_is_left(socket))
		return;
	(void)snprintf(path, sizeof(path), X_FOLDER "/X%d", socket->display);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("remove %s: %s", path, strerror(errno));
}

static bool is_dead(int display)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), X_FOLDER "/X%d", display);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
	       errno == ECONNREFUSED;
}

void xsocket_remove_dead(uid_t owner)
{
	AUTO(closedir_p) DIR *folder = opendir(X_FOLDER);
	const struct dirent *entry;
	long long display;

	while (folder && (entry = readdir(folder))) {
		struct xsocket socket;

		if (entry->d_name[0] != 'X' ||
		    !number_parse(entry->d_name + 1, 0, DISPLAY_MAX, &display))
			continue;
		socket = xsocket_note((int)display, owner);
		if (socket.ino != 0 && is_dead((int)display))
			xsocket_remove(&socket);
	}
}
