#include "agent/keeper/mounts.h"

#include <mntent.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

static bool lies_at(const char *folder, const char *point)
{
	size_t len = strlen(point);

	while (len > 1 && point[len - 1] == '/')
		len--;
	return point[0] == '/' && len > 1 && strncmp(folder, point, len) == 0 &&
	       (folder[len] == '\0' || folder[len] == '/');
}

/* The deepest mount point at or above @folder in a table, the root left out; "" if there is none. */
static void find_point(const char *folder, const char *table_path, char *ret_point,
		       bool *ret_is_automounter)
{
	FILE *table = setmntent(table_path, "re");
	char line[LINE_MAX_BYTES];
	struct mntent entry;

	ret_point[0] = '\0';
	while (table && getmntent_r(table, &entry, line, sizeof(line))) {
		if (!lies_at(folder, entry.mnt_dir) || strlen(entry.mnt_dir) < strlen(ret_point))
			continue;
		(void)snprintf(ret_point, LINE_MAX_BYTES, "%s", entry.mnt_dir);
		*ret_is_automounter = strcmp(entry.mnt_type, "autofs") == 0;
	}
	if (table)
		(void)endmntent(table);
}

bool mounts_missing(const char *folder, const char *fstab_path, const char *mounts_path, char *ret,
		    size_t size)
{
	char wanted[LINE_MAX_BYTES], present[LINE_MAX_BYTES];
	bool is_automounter = false, ignored;

	find_point(folder, fstab_path, wanted, &ignored);
	find_point(folder, mounts_path, present, &is_automounter);
	if (is_automounter)
		(void)snprintf(ret, size, "the automounter of %.200s does not bring it", present);
	else if (wanted[0] && !lies_at(present, wanted))
		(void)snprintf(ret, size, "%.200s of fstab is not mounted", wanted);
	else
		return false;
	return true;
}
