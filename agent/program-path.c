#include "agent/program-path.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/cleanup.h"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

int program_find(const char *name, char **ret, struct error *err)
{
	static const char *const folders[] = {"", "/usr/local/bin/", "/usr/bin/", "/bin/"};

	for (size_t i = name[0] == '/' ? 0 : 1; i < ARRAY_SIZE(folders); i++) {
		AUTO(free_p) char *path = NULL;

		if (asprintf(&path, "%s%s", folders[i], name) < 0) {
			path = NULL;
			return error_oom(err);
		}
		if (is_program(path)) {
			*ret = TAKE(path);
			return 0;
		}
		if (name[0] == '/')
			break;
	}
	return error_set(err, ERR_CONFIG, "program '%s' is not there", name);
}

int program_find_scraper(char **ret, struct error *err)
{
	/* Debian's name, and that of others; which Debian has for a script around it */
	if (program_find("X0tigervnc", ret, err) == 0 || program_find("x0vncserver", ret, err) == 0)
		return 0;
	return error_set(err, ERR_UNSUPPORTED,
			 "TigerVNC's scraping server, X0tigervnc or x0vncserver, is not there");
}
