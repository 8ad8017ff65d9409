#include "agent/cpu-time.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper/directory.h"
#include "common/cleanup.h"
#include "common/number.h"

#define STAT_MAX_BYTES 4096

bool cpu_time_parse(const char *text, bool with_itself, long long *ret_ms)
{
	const char *after_name = strrchr(text, ')'); /* a process may call itself ") R 1" */
	unsigned long long user, system, children_user, children_system, ticks;
	unsigned long long per_second = (unsigned long long)sysconf(_SC_CLK_TCK);

	if (!after_name ||
	    sscanf(after_name,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %20llu %20llu %20llu %20llu",
		   &user, &system, &children_user, &children_system) != 4)
		return false;
	if ((user | system | children_user | children_system) > LLONG_MAX / 8000)
		return false; /* nobody has used that much */
	ticks = children_user + children_system + (with_itself ? user + system : 0);
	*ret_ms = (long long)(ticks * 1000 / per_second);
	return true;
}

long long cpu_time_of(pid_t pid, bool with_itself)
{
	AUTO(close_p) int fd = -1;
	char path[64], text[STAT_MAX_BYTES];
	long long ms;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return cpu_time_parse(text, with_itself, &ms) ? ms : 0;
}

long long cpu_time_of_user(uid_t uid)
{
	AUTO(closedir_p) DIR *folder = opendir("/proc");
	const struct dirent *entry;
	long long total_ms = -1, pid;
	struct stat st;

	while (folder && (entry = readdir(folder))) {
		if (!number_parse(entry->d_name, 1, 1LL << 30, &pid) ||
		    fstatat(dirfd(folder), entry->d_name, &st, 0) < 0 || st.st_uid != uid)
			continue;
		total_ms = (total_ms < 0 ? 0 : total_ms) + cpu_time_of((pid_t)pid, true);
	}
	return total_ms;
}
