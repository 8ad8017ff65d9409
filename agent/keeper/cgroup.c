#include "agent/keeper/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

#define PROC_TEXT_MAX_BYTES 16384

/* Where cgroup v2 lies, alone or beside the controllers of v1. */
static const char *mount_folder(void)
{
	if (access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0)
		return "/sys/fs/cgroup";
	if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0)
		return "/sys/fs/cgroup/unified";
	return NULL;
}

char *cgroup_parse(const char *text)
{
	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, "0::/", 4) == 0)
			return strndup(line + 3, len - 3);
		line += len;
		line += *line == '\n';
	}
	return NULL;
}

/* A small file below /proc or /sys; false if it cannot be read. */
static bool read_text(const char *path, char *ret, size_t size)
{
	AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
	AUTO(free_p) char *path = NULL;
	AUTO(close_p) int fd = -1;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return false;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static char *line_of(pid_t pid)
{
	char path[64], text[PROC_TEXT_MAX_BYTES];

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	return read_text(path, text, sizeof(text)) ? cgroup_parse(text) : NULL;
}

/* Folder of a line; NULL where cgroup v2 is not mounted. */
static char *folder_of(const char *line)
{
	const char *mount = mount_folder();
	char *path;

	if (!mount || !line || asprintf(&path, "%s%s", mount, strcmp(line, "/") ? line : "") < 0)
		return NULL;
	return path;
}

void cgroup_note_origin(struct cgroup *cgroup)
{
	AUTO(free_p) char *line = line_of(getpid());

	*cgroup = (struct cgroup){0};
	cgroup->origin = folder_of(line);
}

/* A child of the cgroup in which we are, under a name that no other keeper has. */
static void make_child(struct cgroup *cgroup, const char *parent)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) < 0 ||
	    asprintf(&cgroup->path, "%s/dcv-session-%d-%08x", parent, (int)getpid(), random) < 0) {
		cgroup->path = NULL;
		return;
	}
	if (mkdir(cgroup->path, 0755) < 0) {
		log_info("no cgroup for this session: make %s: %s", cgroup->path, strerror(errno));
		free(cgroup->path);
		cgroup->path = NULL;
		return;
	}
	cgroup->is_made = true;
	cgroup->line = strdup(cgroup->path + strlen(mount_folder()));
}

void cgroup_find(struct cgroup *cgroup)
{
	AUTO(free_p) char *line = line_of(getpid());
	AUTO(free_p) char *folder = folder_of(line);
	pid_t members[2];

	if (!cgroup->origin || !folder)
		return;
	cgroup->path = folder;
	/* Somewhere else than before and alone there: made for us. Alone matters, for modules exist
	 * that move all sessions of a user into one cgroup, and killing that would be wrong. */
	if (strcmp(folder, cgroup->origin) != 0 && cgroup_list(cgroup, members, 2) == 1 &&
	    members[0] == getpid()) {
		cgroup->is_entered = true;
		cgroup->path = TAKE(folder);
		cgroup->line = TAKE(line);
		return;
	}
	cgroup->path = NULL;
	make_child(cgroup, folder);
}

int cgroup_adopt(struct cgroup *cgroup, const char *path, struct error *err)
{
	const char *mount = mount_folder();

	*cgroup = (struct cgroup){0};
	if (!mount || strncmp(path, mount, strlen(mount)) != 0 || path[strlen(mount)] != '/')
		return 0; /* the host has other mounts than when that was written */
	cgroup->path = strdup(path);
	cgroup->line = strdup(path + strlen(mount));
	/* ours are told from those of systemd by their name */
	cgroup->is_made = strncmp(strrchr(path, '/'), "/dcv-session-", 13) == 0;
	return cgroup->path && cgroup->line ? 0 : error_oom(err);
}

void cgroup_done(struct cgroup *cgroup)
{
	free(cgroup->path);
	free(cgroup->line);
	free(cgroup->origin);
	*cgroup = (struct cgroup){0};
}

/* The plain way: fork, and let the child move itself. */
static pid_t fork_and_enter(const struct cgroup *cgroup, bool *ret_is_child, struct error *err)
{
	pid_t pid = fork();

	*ret_is_child = pid == 0;
	if (pid < 0)
		return error_errno(err, "fork");
	if (pid == 0 && cgroup->path && !cgroup->is_entered &&
	    !write_text(cgroup->path, "cgroup.procs", "0"))
		return error_errno(err, "enter cgroup %s", cgroup->path);
	return pid;
}

pid_t cgroup_fork(const struct cgroup *cgroup, bool *ret_is_child, struct error *err)
{
	struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	AUTO(close_p) int fd = -1;
	long pid;

	if (!cgroup->path || cgroup->is_entered)
		return fork_and_enter(cgroup, ret_is_child, err);
	fd = open(cgroup->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fork_and_enter(cgroup, ret_is_child, err);
	arguments.cgroup = (__u64)fd;
	pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid < 0) /* an older kernel, a filter of system calls, a threaded cgroup */
		return fork_and_enter(cgroup, ret_is_child, err);
	*ret_is_child = pid == 0;
	return (pid_t)pid;
}

bool cgroup_has(const struct cgroup *cgroup, pid_t pid)
{
	AUTO(free_p) char *line = NULL;
	size_t len;

	if (!cgroup->line)
		return false;
	line = line_of(pid);
	len = strlen(cgroup->line);
	return line && strncmp(line, cgroup->line, len) == 0 && (!line[len] || line[len] == '/');
}

size_t cgroup_list(const struct cgroup *cgroup, pid_t *ret, size_t max)
{
	AUTO(free_p) char *path = NULL;
	AUTO(fclose_p) FILE *file = NULL;
	size_t n = 0;
	int pid;

	if (!cgroup->path || asprintf(&path, "%s/cgroup.procs", cgroup->path) < 0) {
		path = NULL;
		return 0;
	}
	file = fopen(path, "re");
	while (file && n < max && fscanf(file, "%d", &pid) == 1)
		ret[n++] = pid;
	return n;
}

bool cgroup_is_populated(const struct cgroup *cgroup)
{
	AUTO(free_p) char *path = NULL;
	char text[256];

	/* As long as we are in it ourselves it says nothing about the others. */
	if (cgroup->is_entered || !cgroup->path ||
	    asprintf(&path, "%s/cgroup.events", cgroup->path) < 0) {
		path = NULL;
		return false;
	}
	return read_text(path, text, sizeof(text)) && strstr(text, "populated 1");
}

long long cgroup_cpu_ms(const struct cgroup *cgroup)
{
	AUTO(free_p) char *path = NULL;
	unsigned long long us;
	char text[1024];

	if (!cgroup->path || asprintf(&path, "%s/cpu.stat", cgroup->path) < 0) {
		path = NULL;
		return -1;
	}
	if (!read_text(path, text, sizeof(text)) || sscanf(text, "usage_usec %18llu", &us) != 1)
		return -1;
	return (long long)(us / 1000);
}

void cgroup_kill(struct cgroup *cgroup)
{
	if (!cgroup->path)
		return;
	if (cgroup->is_entered) {
		if (!write_text(cgroup->origin, "cgroup.procs", "0")) {
			log_warning("cannot leave cgroup %s: %s", cgroup->path, strerror(errno));
			return; /* the processes are found one by one */
		}
		cgroup->is_entered = false;
	}
	if (!write_text(cgroup->path, "cgroup.kill", "1") && errno != ENOENT)
		log_debug("no cgroup.kill in %s: %s", cgroup->path, strerror(errno));
}

void cgroup_remove(struct cgroup *cgroup)
{
	if (cgroup->path && cgroup->is_made && rmdir(cgroup->path) < 0 && errno != ENOENT)
		log_warning("remove cgroup %s: %s", cgroup->path, strerror(errno));
}
