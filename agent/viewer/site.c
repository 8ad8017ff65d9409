#include "agent/viewer/site.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/file.h"

#define FILE_MAX_BYTES (4UL * 1024 * 1024)
#define FOLDERS_DEEP 8

struct site {
	struct site_file *files;
	size_t n;
};

static void closedir_p(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* NULL: a kind of file that no browser asks for. */
static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".svg", "image/svg+xml"},
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		size_t n = strlen(types[i][0]);

		if (len > n && strcmp(name + len - n, types[i][0]) == 0)
			return types[i][1];
	}
	return NULL;
}

static int add_file(struct site *site, const char *path, const char *name, struct error *err)
{
	struct site_file *files, *file;

	if (!type_of(name))
		return 0;
	files = reallocarray(site->files, site->n + 1, sizeof(*files));
	if (!files)
		return error_oom(err);
	site->files = files;
	file = &files[site->n];
	*file = (struct site_file){.name = strdup(name), .type = type_of(name)};
	if (!file->name)
		return error_oom(err);
	site->n++;
	return file_read(path, FILE_MAX_BYTES, &file->bytes, err);
}

static char *join(const char *a, const char *b, const char *c, struct error *err)
{
	char *text;

	if (asprintf(&text, "%s%s%s", a, b, c) >= 0)
		return text;
	(void)error_oom(err);
	return NULL;
}

static int add_folder(struct site *site, const char *path, const char *name, unsigned deep,
		      struct error *err);

static int add_entry(struct site *site, const char *path, const char *name, unsigned deep,
		     struct error *err)
{
	AUTO(free_p) char *prefix = NULL;
	struct stat status;

	if (stat(path, &status) < 0)
		return error_errno(err, "read %s", path);
	if (S_ISREG(status.st_mode))
		return add_file(site, path, name, err);
	if (!S_ISDIR(status.st_mode) || deep == FOLDERS_DEEP)
		return 0;
	prefix = join(name, "/", "", err);
	return prefix ? add_folder(site, path, prefix, deep + 1, err) : -1;
}

/* @name: of the folder, with a slash at the end unless it is empty. */
static int add_folder(struct site *site, const char *path, const char *name, unsigned deep,
		      struct error *err)
{
	AUTO(closedir_p) DIR *folder = opendir(path);
	const struct dirent *entry;

	if (!folder)
		return error_errno(err, "read %s", path);
	while ((entry = readdir(folder))) {
		AUTO(free_p) char *path_below = NULL;
		AUTO(free_p) char *name_below = NULL;

		if (entry->d_name[0] == '.')
			continue;
		path_below = join(path, "/", entry->d_name, err);
		name_below = join(name, "", entry->d_name, err);
		if (!path_below || !name_below ||
		    add_entry(site, path_below, name_below, deep, err) < 0)
			return -1;
	}
	return 0;
}

static int load(struct site *site, const char *page_folder, const char *novnc_folder,
		struct error *err)
{
	static const char *const parts[] = {"core", "vendor/pako"};

	if (add_folder(site, page_folder, "", FOLDERS_DEEP, err) < 0)
		return error_prefix(err, "the viewer's page");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		AUTO(free_p) char *path = join(novnc_folder, "/", parts[i], err);
		char name[32];

		(void)snprintf(name, sizeof(name), "novnc/%s/", parts[i]);
		if (!path)
			return -1;
		if (add_folder(site, path, name, 0, err) < 0)
			return error_prefix(err, "noVNC (is the package novnc installed?)");
	}
	return 0;
}

struct site *site_load(const char *page_folder, const char *novnc_folder, struct error *err)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site) {
		(void)error_oom(err);
		return NULL;
	}
	if (load(site, page_folder, novnc_folder, err) == 0)
		return site;
	site_free(site);
	return NULL;
}

const struct site_file *site_find(const struct site *site, const char *name)
{
	for (size_t i = 0; i < site->n; i++) {
		if (strcmp(site->files[i].name, name) == 0)
			return &site->files[i];
	}
	return NULL;
}

void site_free(struct site *site)
{
	if (!site)
		return;
	for (size_t i = 0; i < site->n; i++) {
		free(site->files[i].name);
		buf_done(&site->files[i].bytes);
	}
	free(site->files);
	free(site);
}
