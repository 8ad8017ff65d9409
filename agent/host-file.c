#include "agent/host-file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

FILE *host_file_open(const char *root, const char *path)
{
	AUTO(free_p) char *full = NULL;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return NULL;
	}
	return fopen(full, "re");
}

char *host_file_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\"'");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n\"'", text[len - 1]))
		text[--len] = '\0';
	return text;
}

bool host_file_line(const char *root, char *ret, size_t size, const char *path_format, ...)
{
	AUTO(free_p) char *path = NULL;
	AUTO(fclose_p) FILE *file = NULL;
	va_list arguments;
	char *text;

	*ret = '\0';
	va_start(arguments, path_format);
	if (vasprintf(&path, path_format, arguments) < 0)
		path = NULL;
	va_end(arguments);
	file = path ? host_file_open(root, path) : NULL;
	if (!file || !fgets(ret, (int)size, file)) {
		*ret = '\0';
		return false;
	}
	text = host_file_trim(ret);
	memmove(ret, text, strlen(text) + 1);
	return *ret != '\0';
}
