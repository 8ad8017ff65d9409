#include "agent/engines/dcv-handover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"

/* "path/sessions-id/name", or without the last. */
static char *path_of(const char *folder, const char *session_id, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s%s%s", folder, session_id, name ? "/" : "", name ? name : "") < 0)
		return NULL;
	return path;
}

/* Whatever the umask: others must be able to go through @path, and to list nothing in it. */
static int make_folder(const char *path, struct error *err)
{
	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return error_errno(err, "make folder %s", path);
	return chmod(path, 0711) < 0 ? error_errno(err, "open folder %s", path) : 0;
}

int dcv_handover_init(const char *folder, struct error *err)
{
	if (file_make_folder(folder, 0711, err) < 0)
		return -1;
	return make_folder(folder, err);
}

static int write_file(const char *folder, const char *session_id, const char *name,
		      const struct buf *text, mode_t mode, char **ret_path, struct error *err)
{
	AUTO(free_p) char *session_folder = path_of(folder, session_id, NULL);
	AUTO(free_p) char *path = path_of(folder, session_id, name);

	if (!session_folder || !path)
		return error_oom(err);
	if (make_folder(session_folder, err) < 0 ||
	    file_write_volatile(path, text->data ? text->data : "", text->len, mode, err) < 0)
		return -1;
	if (chmod(path, mode) < 0)
		return error_errno(err, "open %s", path);
	if (ret_path)
		*ret_path = TAKE(path);
	return 0;
}

int dcv_handover_permissions(const char *folder, const char *session_id, const struct buf *text,
			     char **ret_path, struct error *err)
{
	return write_file(folder, session_id, "permissions", text, 0644, ret_path, err);
}

/* It stands between quotes in a script; it comes from whoever has installed us. */
static bool is_plain_path(const char *path)
{
	for (const char *p = path; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("/._+-", *p))
			return false;
	}
	return path[0] == '/';
}

int dcv_handover_job(const char *folder, const char *session_id, const char *helper,
		     const struct buf *job, char **ret_path, struct error *err)
{
	AUTO(buf_done) struct buf script = {0};

	if (!is_plain_path(helper))
		return error_set(err, ERR_CONFIG, "%s cannot be the path of a program", helper);
	if (job->len > DCV_JOB_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE,
				 "the arguments of the autorun file are larger than %d bytes",
				 DCV_JOB_MAX_BYTES);
	if (buf_printf(&script, err, "#!/bin/sh\nexec '%s' \"${0%%/*}/job\"\n", helper) < 0 ||
	    write_file(folder, session_id, "job", job, 0644, NULL, err) < 0)
		return -1;
	return write_file(folder, session_id, "init", &script, 0755, ret_path, err);
}

void dcv_handover_remove(const char *folder, const char *session_id)
{
	static const char *const names[] = {"permissions", "job", "init", NULL};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO(free_p) char *path = path_of(folder, session_id, names[i]);

		if (path && (names[i] ? unlink(path) : rmdir(path)) < 0 && errno != ENOENT)
			log_warning("remove %s: %s", path, strerror(errno));
	}
}

void dcv_handover_sweep(const char *folder,
			bool (*is_known)(const char *session_id, void *userdata), void *userdata)
{
	DIR *stream = opendir(folder);
	const struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		if (entry->d_name[0] != '.' && !is_known(entry->d_name, userdata))
			dcv_handover_remove(folder, entry->d_name);
	}
	if (stream)
		(void)closedir(stream);
}
