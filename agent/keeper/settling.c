#include "agent/keeper/settling.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/processes.h"
#include "common/cleanup.h"

#define LOOKS_KEPT 20 /* bits of settling.busy */
#define CHILDREN_MAX 64
#define DEPTH_MAX 16
#define CONNECTED 3 /* SS_CONNECTED of the kernel, in the column St */

void settling_begin(struct settling *s, long long settle_ms, long long now_ms)
{
	*s = (struct settling){.settle_ms = settle_ms, .begin_ms = now_ms, .next_look_ms = now_ms};
}

static bool rests(const struct settling *s)
{
	unsigned n_seen = s->n_looks < LOOKS_KEPT ? s->n_looks : LOOKS_KEPT;
	unsigned n_busy = (unsigned)__builtin_popcount(s->busy & ((1U << LOOKS_KEPT) - 1));

	return 2 * n_busy <= n_seen;
}

bool settling_look(struct settling *s, long long now_ms, bool is_open, bool is_busy)
{
	s->next_look_ms = now_ms + SETTLING_LOOK_MS;
	s->n_open = is_open ? s->n_open + 1 : 0;
	s->busy = s->busy << 1 | is_busy;
	s->n_looks++;
	if (s->settle_ms == 0 || s->n_open >= SETTLING_LOOKS_OPEN)
		return true;
	return now_ms - s->begin_ms >= s->settle_ms && rests(s);
}

/* "Num RefCount Protocol Flags Type St Inode Path": the server's end of a connection has the path of
 * the listening socket. An abstract one begins with "@". */
static bool is_connection(const char *line, const char *path)
{
	unsigned state;
	int at = 0;

	if (sscanf(line, "%*s %*s %*s %*s %*s %x %*s %n", &state, &at) != 1 || at == 0)
		return false;
	line += at;
	if (*line == '@')
		line++;
	return state == CONNECTED && strncmp(line, path, strlen(path)) == 0 &&
	       line[strlen(path)] == '\n';
}

bool settling_display_is_open(const char *table_path, int display)
{
	AUTO(fclose_p) FILE *table = fopen(table_path, "re");
	char line[256], path[48];

	(void)snprintf(path, sizeof(path), "/tmp/.X11-unix/X%d", display);
	while (table && fgets(line, sizeof(line), table)) {
		if (is_connection(line, path))
			return true;
	}
	return false;
}

/* "PID (NAME) STATE ...", where the name may be anything; D is how one waits for a child that it
 * has just made with vfork(). */
static bool is_running(pid_t pid)
{
	AUTO(close_p) int fd = -1;
	char path[32], text[256];
	const char *end;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'R' || end[2] == 'D');
}

static bool is_tree_busy(pid_t pid, int depth)
{
	pid_t children[CHILDREN_MAX];
	size_t n;

	if (is_running(pid))
		return true;
	if (depth == DEPTH_MAX)
		return false;
	n = processes_children_of(pid, children, CHILDREN_MAX);
	for (size_t i = 0; i < n; i++) {
		if (is_tree_busy(children[i], depth + 1))
			return true;
	}
	return false;
}

bool settling_is_busy(pid_t pid)
{
	return pid > 0 && is_tree_busy(pid, 0);
}
