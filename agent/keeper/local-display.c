#include "agent/keeper/local-display.h"

#include <X11/Xauth.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <xcb/xcb.h>

#include "agent/keeper/directory.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/message.h"
#include "common/number.h"

#define ENVIRON_MAX_BYTES (4 * 1024 * 1024)
#define CANDIDATES_MAX 32
#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"

/* Ways in, each once, in the order in which they are tried. */
struct candidates {
	struct candidate {
		int display;
		char authority[LOCAL_DISPLAY_PATH_MAX];
	} items[CANDIDATES_MAX];
	size_t n;
};

static void add(struct candidates *c, int display, const char *authority)
{
	if (c->n == CANDIDATES_MAX || strlen(authority) >= LOCAL_DISPLAY_PATH_MAX ||
	    (authority[0] && authority[0] != '/'))
		return;
	for (size_t i = 0; i < c->n; i++) {
		if (c->items[i].display == display && strcmp(c->items[i].authority, authority) == 0)
			return;
	}
	c->items[c->n].display = display;
	(void)snprintf(c->items[c->n].authority, LOCAL_DISPLAY_PATH_MAX, "%s", authority);
	c->n++;
}

/* --- what the owner's programs know ------------------------------------------------------------
 */

int local_display_read_environ(const char *text, size_t len, const char *login, int display,
			       const char **ret_authority)
{
	const char *authority = "", *value;
	bool is_of_login = false;
	int number = -1;

	for (const char *entry = text; entry < text + len; entry += strlen(entry) + 1) {
		if ((value = message_value(entry, "DISPLAY")))
			number = seat_display_number(value);
		else if ((value = message_value(entry, "XAUTHORITY")))
			authority = value;
		else if ((value = message_value(entry, "XDG_SESSION_ID")))
			is_of_login = login && strcmp(value, login) == 0;
	}
	if (number < 0 || (display >= 0 ? number != display : !is_of_login))
		return -1;
	*ret_authority = authority;
	return number;
}

static void add_process(struct candidates *c, const char *pid, const struct seat *seat, int display)
{
	AUTO(buf_done) struct buf text = {0};
	const char *authority;
	struct error ignored;
	struct stat st;
	char path[64];
	int number;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/environ", pid);
	if (stat(path, &st) < 0 || st.st_uid != seat->uid ||
	    file_read(path, ENVIRON_MAX_BYTES, &text, &ignored) < 0 ||
	    buf_append(&text, "", 1, &ignored) < 0)
		return;
	number = local_display_read_environ(text.data, text.len - 1, seat->login, display,
					    &authority);
	if (number >= 0)
		add(c, number, authority);
}

/* The kernel lists processes by their number, which is their age most of the time. */
static void add_processes(struct candidates *c, const struct seat *seat, int display)
{
	AUTO(closedir_p) DIR *folder = opendir("/proc");
	const struct dirent *entry;
	long long pid;

	while (folder && (entry = readdir(folder))) {
		if (number_parse(entry->d_name, 1, 1LL << 30, &pid))
			add_process(c, entry->d_name, seat, display);
	}
}

/* --- an X server -------------------------------------------------------------------------------
 */

/* Connect, and see who is at the other end. Nothing is said yet. */
static int reach(int display, const struct account *owner, pid_t *ret_server, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/.X11-unix/X%d", display);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		return error_set(err, ERR_UNSUPPORTED, "connect to the X server of display :%d: %s",
				 display, strerror(errno));
	}
	if (peer.uid != 0 && peer.uid != owner->uid)
		return error_set(err, ERR_UNSUPPORTED,
				 "the X server of display :%d is neither user %s's nor root's",
				 display, owner->name);
	*ret_server = peer.pid;
	return TAKE_FD(fd);
}

void local_display_server_name(pid_t pid, char ret[16])
{
	AUTO(fclose_p) FILE *file = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = pid > 0 ? fopen(path, "re") : NULL;
	ret[0] = '\0';
	if (file && fgets(ret, 16, file))
		ret[strcspn(ret, "\n")] = '\0';
}

/* The -auth argument of an X server; "" if it has none that is a path. */
static void argument_of(pid_t server, char *ret, size_t size)
{
	AUTO(buf_done) struct buf text = {0};
	struct error ignored;
	char path[64];
	bool is_next = false;

	ret[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)server);
	if (server <= 0 || file_read(path, ENVIRON_MAX_BYTES, &text, &ignored) < 0 ||
	    buf_append(&text, "", 1, &ignored) < 0)
		return;
	for (size_t i = 0; i < text.len; i += strlen(text.data + i) + 1) {
		if (is_next && text.data[i] == '/' && strlen(text.data + i) < size)
			(void)snprintf(ret, size, "%s", text.data + i);
		is_next = strcmp(text.data + i, "-auth") == 0;
	}
}

/* What is tried besides what the programs have. */
static int add_usual(struct candidates *c, int display, const struct account *owner,
		     struct error *err)
{
	char path[LOCAL_DISPLAY_PATH_MAX];
	pid_t server;
	AUTO(close_p) int fd = reach(display, owner, &server, err);

	if (fd < 0)
		return -1;
	if (snprintf(path, sizeof(path), "%s/.Xauthority", owner->home) < (int)sizeof(path))
		add(c, display, path);
	argument_of(server, path, sizeof(path));
	if (path[0])
		add(c, display, path);
	add(c, display, "");
	return 0;
}

/* --- trying ------------------------------------------------------------------------------------
 */

static int check_file(const char *path, const struct account *owner, struct error *err)
{
	AUTO(close_p) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		return error_set(err, ERR_UNSUPPORTED, "X authority file %s: %s", path,
				 strerror(errno));
	}
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != owner->uid) ||
	    (st.st_mode & 022))
		return error_set(
			err, ERR_UNSUPPORTED,
			"X authority file %s: expected a regular file that only user %s or "
			"root may write",
			path, owner->name);
	return 0;
}

static Xauth *read_authority(const char *path, int display)
{
	static char cookie_name[] = COOKIE_NAME;
	char *names[] = {cookie_name};
	const int lengths[] = {sizeof(cookie_name) - 1};
	char host[256], number[8];

	if (gethostname(host, sizeof(host)) < 0 || setenv("XAUTHORITY", path, 1) < 0)
		return NULL;
	host[sizeof(host) - 1] = '\0';
	(void)snprintf(number, sizeof(number), "%d", display);
	return XauGetBestAuthByAddr(FamilyLocal, (unsigned short)strlen(host), host,
				    (unsigned short)strlen(number), number, 1, names, lengths);
}

/* Takes the connection, and leaves it: whether we were let in is all that counts. */
static bool lets_in(int fd, const Xauth *authority)
{
	xcb_auth_info_t info = {0};
	xcb_connection_t *connection;
	bool is_in;

	if (authority)
		info = (xcb_auth_info_t){.namelen = authority->name_length,
					 .name = authority->name,
					 .datalen = authority->data_length,
					 .data = authority->data};
	connection = xcb_connect_to_fd(fd, authority ? &info : NULL);
	is_in = xcb_connection_has_error(connection) == 0;
	xcb_disconnect(connection);
	return is_in;
}

static int check_server(const struct local_display *found, const struct seat *seat,
			const struct account *owner, struct error *err)
{
	if (strcmp(found->server_name, "Xwayland") == 0)
		return error_set(err, ERR_UNSUPPORTED,
				 "the desktop of user %s at the local seat runs on Wayland; a "
				 "console session needs Xorg",
				 owner->name);
	/* From a text console one can start X servers that nobody sees. */
	if (seat->is_text && strcmp(found->server_name, "Xorg") != 0 &&
	    strcmp(found->server_name, "X") != 0)
		return error_set(err, ERR_UNSUPPORTED,
				 "display :%d of user %s is no X server of the local seat",
				 found->number, owner->name);
	return 0;
}

static int try(struct local_display *ret, const struct candidate *candidate,
	       const struct seat *seat, const struct account *owner, struct error *err)
{
	struct local_display found = {.number = candidate->display};
	int fd = reach(candidate->display, owner, &found.server, err);
	Xauth *authority = NULL;
	bool is_in;

	if (fd < 0)
		return -1;
	local_display_server_name(found.server, found.server_name);
	(void)snprintf(found.authority, sizeof(found.authority), "%s", candidate->authority);
	if (check_server(&found, seat, owner, err) < 0 ||
	    (found.authority[0] && check_file(found.authority, owner, err) < 0)) {
		(void)close(fd);
		return -1;
	}
	if (found.authority[0])
		authority = read_authority(found.authority, found.number);
	is_in = lets_in(fd, authority);
	if (authority)
		XauDisposeAuth(authority);
	if (!is_in)
		return error_set(err, ERR_UNSUPPORTED,
				 "display :%d does not let user %s in (X authority file: %s)",
				 found.number, owner->name,
				 found.authority[0] ? found.authority : "none");
	*ret = found;
	return 0;
}

static int no_display(const struct seat *seat, const struct account *owner, struct error *err)
{
	if (seat->is_text)
		return error_set(
			err, ERR_UNSUPPORTED,
			"user %s is logged in at the local seat at a text console, without "
			"an X display",
			owner->name);
	return error_set(err, ERR_UNSUPPORTED,
			 "the X display of user %s at the local seat is not known: no program of "
			 "the login has one",
			 owner->name);
}

int local_display_find(struct local_display *ret, const struct seat *seat,
		       const struct account *owner, struct error *err)
{
	AUTO(free_p) struct candidates *c = calloc(1, sizeof(*c));
	int display = seat->display ? seat_display_number(seat->display) : -1;
	struct error first = {0}, problem;
	size_t n;

	if (!c)
		return error_oom(err);
	add_processes(c, seat, display);
	n = c->n;
	for (size_t i = 0; i < n; i++)
		(void)add_usual(c, c->items[i].display, owner, &problem);
	if (display >= 0 && add_usual(c, display, owner, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (try(ret, &c->items[i], seat, owner, &problem) == 0)
			return 0;
		if (first.code == ERR_NONE)
			first = problem;
	}
	if (first.code == ERR_NONE)
		return no_display(seat, owner, err);
	*err = first;
	return -1;
}
