#include "agent/keeper/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cpu-time.h"
#include "agent/keeper/directory.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/number.h"

#define CHILDREN_MAX 4096
#define ENVIRON_MAX_BYTES (4 * 1024 * 1024)
#define DEPTH_MAX 1000

size_t processes_children_of(pid_t pid, pid_t *ret, size_t max)
{
	AUTO(fclose_p) FILE *file = NULL;
	char path[64];
	size_t n = 0;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	while (file && n < max && fscanf(file, "%d", &child) == 1)
		ret[n++] = child;
	return n;
}

size_t processes_children(pid_t *ret, size_t max)
{
	AUTO(free_p) pid_t *again = calloc(max, sizeof(*again));
	size_t n, n_before;

	n = processes_children_of(getpid(), ret, max);
	for (int i = 0; again && i < 10; i++) {
		n_before = n;
		memcpy(again, ret, n * sizeof(*ret));
		n = processes_children_of(getpid(), ret, max);
		if (n == n_before && memcmp(again, ret, n * sizeof(*ret)) == 0)
			break;
	}
	return n;
}

bool processes_environ_has(const char *text, size_t len, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	while (len > 0) {
		size_t n = strnlen(text, len);

		if (n == name_len + 1 + value_len && memcmp(text, name, name_len) == 0 &&
		    text[name_len] == '=' && memcmp(text + name_len + 1, value, value_len) == 0)
			return true;
		if (n == len)
			return false;
		text += n + 1;
		len -= n + 1;
	}
	return false;
}

/* Parent of a process; 0 if it is gone. */
static pid_t parent_of(pid_t pid)
{
	AUTO(close_p) int fd = -1;
	char path[64], text[512];
	const char *after_name;
	ssize_t n;
	int parent;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	after_name = strrchr(text, ')'); /* a process may call itself ") R 1" */
	return after_name && sscanf(after_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_descendant(pid_t pid)
{
	for (int depth = 0; pid > 1 && depth < DEPTH_MAX; depth++) {
		pid = parent_of(pid);
		if (pid == getpid())
			return true;
	}
	return false;
}

/* Whether one of the process's uids is the owner's. The folder's owner will not do: it is root for
 * a process that does not dump core. */
static bool is_of_owner(int proc_fd, uid_t owner)
{
	AUTO(close_p) int fd = openat(proc_fd, "status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	unsigned real, effective, saved;
	const char *line;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %u %u %u", &real, &effective, &saved) == 3 &&
	       (real == owner || effective == owner || saved == owner);
}

static bool carries_session_id(const struct processes *p, pid_t pid)
{
	AUTO(buf_done) struct buf text = {0};
	AUTO(close_p) int proc_fd = -1;
	AUTO(close_p) int fd = -1;
	struct error err = {0};
	struct stat st;
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || fstat(proc_fd, &st) < 0 || (st.st_uid != p->owner && st.st_uid != 0) ||
	    !is_of_owner(proc_fd, p->owner))
		return false;
	fd = openat(proc_fd, "environ", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && text.len < ENVIRON_MAX_BYTES && buf_reserve(&text, 65536, &err) == 0) {
		n = read(fd, text.data + text.len, 65536);
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	return text.len > 0 &&
	       processes_environ_has(text.data, text.len, "DCV_SESSION_ID", p->session_id);
}

static bool belongs(const struct processes *p, pid_t pid)
{
	return (p->with_descendants && is_descendant(pid)) || cgroup_has(p->cgroup, pid) ||
	       carries_session_id(p, pid);
}

static bool has_ended(int pidfd)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

static bool is_watched(const struct processes *p, pid_t pid)
{
	for (size_t i = 0; i < p->n_watched; i++) {
		if (p->watched[i].pid == pid && !has_ended(p->watched[i].pidfd))
			return true;
	}
	return false;
}

/* 1 if there is such a process of the session and it got the signal. */
static size_t signal_one(struct processes *p, pid_t pid, int signal)
{
	AUTO(close_p) int pidfd = -1;
	bool watched;

	if (pid <= 1 || pid == getpid())
		return 0;
	watched = is_watched(p, pid);
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || has_ended(pidfd) || !belongs(p, pid))
		return 0;
	if (watched && signal == SIGTERM)
		return 1; /* was asked once, and some take a second TERM for impatience */
	/* EPERM: for a keeper without root, a setuid program. We cannot end it and do not wait. */
	if (pidfd_send_signal(pidfd, signal, NULL, 0) < 0)
		return 0;
	if (signal == SIGTERM)
		(void)pidfd_send_signal(pidfd, SIGCONT, NULL, 0); /* a stopped one hears no TERM */
	if (!watched && p->n_watched < PROCESSES_WATCHED_MAX) {
		p->watched[p->n_watched].pid = pid;
		p->watched[p->n_watched++].pidfd = TAKE_FD(pidfd);
	}
	return 1;
}

static size_t signal_descendants(struct processes *p, pid_t parent, int signal, pid_t except,
				 int depth)
{
	AUTO(free_p) pid_t *children = calloc(CHILDREN_MAX, sizeof(*children));
	size_t n_found = 0, n;

	if (!children || depth > DEPTH_MAX)
		return 0;
	n = processes_children_of(parent, children, CHILDREN_MAX);
	for (size_t i = 0; i < n; i++) {
		if (children[i] == except)
			continue;
		n_found += signal_descendants(p, children[i], signal, except, depth + 1);
		n_found += signal_one(p, children[i], signal);
	}
	return n_found;
}

static size_t signal_cgroup(struct processes *p, int signal, pid_t except)
{
	AUTO(free_p) pid_t *members = calloc(CHILDREN_MAX, sizeof(*members));
	size_t n_found = 0, n;

	if (!members)
		return 0;
	n = cgroup_list(p->cgroup, members, CHILDREN_MAX);
	for (size_t i = 0; i < n; i++) {
		if (members[i] != except)
			n_found += signal_one(p, members[i], signal);
	}
	return n_found;
}

static size_t signal_stragglers(struct processes *p, int signal, pid_t except)
{
	AUTO(closedir_p) DIR *folder = opendir("/proc");
	const struct dirent *entry;
	size_t n_found = 0;
	long long pid;

	while (folder && (entry = readdir(folder))) {
		if (number_parse(entry->d_name, 2, 1LL << 30, &pid) && (pid_t)pid != except &&
		    carries_session_id(p, (pid_t)pid))
			n_found += signal_one(p, (pid_t)pid, signal);
	}
	return n_found;
}

size_t processes_signal(struct processes *p, int signal, pid_t except)
{
	size_t n_found = 0;

	(void)processes_watch(p);
	if (p->with_descendants)
		n_found += signal_descendants(p, getpid(), signal, except, 0);
	n_found += signal_cgroup(p, signal, except);
	return n_found + signal_stragglers(p, signal, except);
}

/* The ones that are not counted with the cgroup. A stat() is all that other people's cost. */
static bool is_counted_alone(const struct processes *p, int proc_fd, const char *name, pid_t pid,
			     bool has_cgroup)
{
	struct stat st;

	if (fstatat(proc_fd, name, &st, 0) < 0 || st.st_uid != p->owner || pid == getpid() ||
	    (has_cgroup && cgroup_has(p->cgroup, pid)))
		return false;
	return (p->with_descendants && is_descendant(pid)) || carries_session_id(p, pid);
}

long long processes_cpu_ms(const struct processes *p)
{
	long long cgroup_ms = cgroup_cpu_ms(p->cgroup), total_ms, pid;
	AUTO(closedir_p) DIR *folder = opendir("/proc");
	const struct dirent *entry;

	/* without a cgroup, those that have ended are found with the one who waited for them: us */
	total_ms = cgroup_ms >= 0 ? cgroup_ms : cpu_time_of(getpid(), false);
	while (folder && (entry = readdir(folder))) {
		if (number_parse(entry->d_name, 2, 1LL << 30, &pid) &&
		    is_counted_alone(p, dirfd(folder), entry->d_name, (pid_t)pid, cgroup_ms >= 0))
			total_ms += cpu_time_of((pid_t)pid, true);
	}
	return total_ms;
}

size_t processes_watch(struct processes *p)
{
	for (size_t i = 0; i < p->n_watched;) {
		if (!has_ended(p->watched[i].pidfd)) {
			i++;
			continue;
		}
		close_p(&p->watched[i].pidfd);
		p->watched[i] = p->watched[--p->n_watched];
	}
	return p->n_watched;
}

void processes_forget(struct processes *p)
{
	for (size_t i = 0; i < p->n_watched; i++)
		close_p(&p->watched[i].pidfd);
	p->n_watched = 0;
}
