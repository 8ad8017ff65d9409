#include "agent/boot.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"

#define FIRST_PROCESS_PATH "/proc/1/stat"
#define MOST_BYTES 4096
#define START_SIZE 32

/* Of the first process, in ticks: a container starts anew under the same kernel, and a service's own view
 * of /proc/sys may show that kernel's id. The 22nd field, the 2nd in parentheses: proc(5). */
static void read_start(char ret[START_SIZE])
{
	AUTO(buf_done) struct buf text = {0};
	const char *field;
	struct error err;

	ret[0] = '\0';
	if (file_read(FIRST_PROCESS_PATH, MOST_BYTES, &text, &err) < 0)
		return;
	field = strrchr(text.data, ')');
	for (unsigned i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field)
		(void)snprintf(ret, START_SIZE, "%.*s", (int)strcspn(field + 1, " "), field + 1);
}

bool boot_is_new(const char *state_folder)
{
	AUTO(buf_done) struct buf before = {0};
	char path[PATH_MAX], id[UUID_SIZE], start[START_SIZE], now[UUID_SIZE + START_SIZE];
	struct error err;

	boot_read_id(id);
	read_start(start);
	(void)snprintf(now, sizeof(now), "%s %s", id, start);
	if (!*id || snprintf(path, sizeof(path), "%s/boot", state_folder) >= (int)sizeof(path))
		return false;
	if (file_read(path, MOST_BYTES, &before, &err) == 0 && strcmp(before.data, now) == 0)
		return false;
	if (file_write_atomic(path, now, strlen(now), 0600, &err) < 0)
		log_warning("%s", err.message);
	return before.len > 0;
}
