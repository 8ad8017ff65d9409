/* A module for glibc's name services that stands for a directory: slow to know, with names such as
 * CORP\mira and mira@corp.example. It reads a folder, named by DCV_NSS_DOUBLE:
 *
 *     users    a line for each name a user is asked for by:
 *              ASKED:NAME:UID:GID:HOME:SHELL:FAILURE:N   the entry says NAME; the first N questions
 *              fail, as FAILURE says: notfound, tryagain, unavail; N < 0: all of them
 *     groups   NAME:GID:MEMBER,MEMBER...
 *     asked    the questions are added here, a line each: a name, or a uid
 *     hold     if it is there, it is opened for reading before anything is answered: a FIFO holds up
 *              whoever asks until somebody writes */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELDS 8

enum nss_status _nss_dcvdouble_getpwnam_r(const char *name, struct passwd *ret, char *room,
					  size_t size, int *ret_errno);
enum nss_status _nss_dcvdouble_getpwuid_r(uid_t uid, struct passwd *ret, char *room, size_t size,
					  int *ret_errno);
enum nss_status _nss_dcvdouble_getgrnam_r(const char *name, struct group *ret, char *room,
					  size_t size, int *ret_errno);
enum nss_status _nss_dcvdouble_getgrgid_r(gid_t gid, struct group *ret, char *room, size_t size,
					  int *ret_errno);
enum nss_status _nss_dcvdouble_initgroups_dyn(const char *user, gid_t primary, long *n, long *size,
					      gid_t **ids, long limit, int *ret_errno);

static int open_in_folder(const char *name, int flags)
{
	const char *folder = getenv("DCV_NSS_DOUBLE");
	char path[4096];

	if (!folder || snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -1;
	return open(path, flags | O_CLOEXEC, 0666);
}

static FILE *open_file(const char *name)
{
	int fd = open_in_folder(name, O_RDONLY);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

/* Note the question. How often it was there before? */
static long note_question(const char *question)
{
	FILE *asked = open_file("asked");
	int fd = open_in_folder("asked", O_WRONLY | O_APPEND | O_CREAT);
	char line[1024];
	long n = 0;

	while (asked && fgets(line, sizeof(line), asked)) {
		line[strcspn(line, "\n")] = '\0';
		n += strcmp(line, question) == 0;
	}
	if (asked)
		(void)fclose(asked);
	(void)dprintf(fd, "%s\n", question);
	(void)close(fd);
	return n;
}

static void wait_for_hold(void)
{
	int fd = open_in_folder("hold", O_RDONLY);
	char byte;

	if (fd >= 0 && read(fd, &byte, 1) < 0)
		abort();
	(void)close(fd);
}

/* Take a line apart; false if it has another number of fields. */
static bool split(char *line, char **fields, size_t n)
{
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < n; i++)
		fields[i] = strsep(&line, ":");
	return fields[n - 1] && !line;
}

static enum nss_status fail(enum nss_status status, int problem, int *ret_errno)
{
	*ret_errno = problem;
	return status;
}

static enum nss_status fail_as(const char *failure, int *ret_errno)
{
	if (strcmp(failure, "tryagain") == 0)
		return fail(NSS_STATUS_TRYAGAIN, EAGAIN, ret_errno);
	if (strcmp(failure, "unavail") == 0)
		return fail(NSS_STATUS_UNAVAIL, ECONNREFUSED, ret_errno);
	return fail(NSS_STATUS_NOTFOUND, ENOENT, ret_errno);
}

static char *keep(char **room, size_t *size, const char *text)
{
	size_t len = strlen(text) + 1;
	char *kept = *room;

	if (len > *size)
		return NULL;
	memcpy(kept, text, len);
	*room += len;
	*size -= len;
	return kept;
}

static enum nss_status fill_user(struct passwd *ret, char **fields, char *room, size_t size,
				 int *ret_errno)
{
	*ret = (struct passwd){
		.pw_name = keep(&room, &size, fields[1]),
		.pw_passwd = keep(&room, &size, "*"),
		.pw_gecos = keep(&room, &size, ""),
		.pw_dir = keep(&room, &size, fields[4]),
		.pw_shell = keep(&room, &size, fields[5]),
		.pw_uid = (uid_t)strtoul(fields[2], NULL, 10),
		.pw_gid = (gid_t)strtoul(fields[3], NULL, 10),
	};
	if (!ret->pw_name || !ret->pw_passwd || !ret->pw_gecos || !ret->pw_dir || !ret->pw_shell)
		return fail(NSS_STATUS_TRYAGAIN, ERANGE, ret_errno);
	return NSS_STATUS_SUCCESS;
}

/* @column: of the file, which has the @question. */
static enum nss_status find_user(const char *question, size_t column, struct passwd *ret,
				 char *room, size_t size, int *ret_errno)
{
	enum nss_status status = fail(NSS_STATUS_NOTFOUND, ENOENT, ret_errno);
	FILE *users = open_file("users");
	char line[1024], *fields[FIELDS];
	long n_before, n_failing;

	if (!users)
		return status;
	wait_for_hold();
	n_before = note_question(question);
	while (fgets(line, sizeof(line), users)) {
		if (!split(line, fields, FIELDS) || strcmp(fields[column], question) != 0)
			continue;
		n_failing = strtol(fields[7], NULL, 10);
		status = column == 0 && (n_failing < 0 || n_before < n_failing)
				 ? fail_as(fields[6], ret_errno)
				 : fill_user(ret, fields, room, size, ret_errno);
		break;
	}
	(void)fclose(users);
	return status;
}

enum nss_status _nss_dcvdouble_getpwnam_r(const char *name, struct passwd *ret, char *room,
					  size_t size, int *ret_errno)
{
	return find_user(name, 0, ret, room, size, ret_errno);
}

enum nss_status _nss_dcvdouble_getpwuid_r(uid_t uid, struct passwd *ret, char *room, size_t size,
					  int *ret_errno)
{
	char question[24];

	(void)snprintf(question, sizeof(question), "%u", (unsigned)uid);
	return find_user(question, 2, ret, room, size, ret_errno);
}

/* Groups are known from the start, and without their members, as large directories have it. */
static enum nss_status find_group(const char *question, size_t column, struct group *ret,
				  char *room, size_t size, int *ret_errno)
{
	enum nss_status status = fail(NSS_STATUS_NOTFOUND, ENOENT, ret_errno);
	static char *no_members[] = {NULL};
	FILE *groups = open_file("groups");
	char line[1024], *fields[3];

	while (groups && fgets(line, sizeof(line), groups)) {
		if (!split(line, fields, 3) || strcmp(fields[column], question) != 0)
			continue;
		*ret = (struct group){.gr_name = keep(&room, &size, fields[0]),
				      .gr_passwd = keep(&room, &size, "*"),
				      .gr_gid = (gid_t)strtoul(fields[1], NULL, 10),
				      .gr_mem = no_members};
		status = ret->gr_name && ret->gr_passwd
				 ? NSS_STATUS_SUCCESS
				 : fail(NSS_STATUS_TRYAGAIN, ERANGE, ret_errno);
		break;
	}
	if (groups)
		(void)fclose(groups);
	return status;
}

enum nss_status _nss_dcvdouble_getgrnam_r(const char *name, struct group *ret, char *room,
					  size_t size, int *ret_errno)
{
	return find_group(name, 0, ret, room, size, ret_errno);
}

enum nss_status _nss_dcvdouble_getgrgid_r(gid_t gid, struct group *ret, char *room, size_t size,
					  int *ret_errno)
{
	char question[24];

	(void)snprintf(question, sizeof(question), "%u", (unsigned)gid);
	return find_group(question, 1, ret, room, size, ret_errno);
}

static bool has_member(char *members, const char *user)
{
	char *member;

	while ((member = strsep(&members, ","))) {
		if (strcmp(member, user) == 0)
			return true;
	}
	return false;
}

/* The room that glibc gives is enough for the few groups of a test. */
enum nss_status _nss_dcvdouble_initgroups_dyn(const char *user, gid_t primary, long *n, long *size,
					      gid_t **ids, long limit, int *ret_errno)
{
	FILE *groups = open_file("groups");
	char line[1024], *fields[3];

	(void)primary;
	(void)limit;
	(void)ret_errno;
	while (groups && fgets(line, sizeof(line), groups)) {
		if (split(line, fields, 3) && has_member(fields[2], user) && *n < *size)
			(*ids)[(*n)++] = (gid_t)strtoul(fields[1], NULL, 10);
	}
	if (groups)
		(void)fclose(groups);
	return NSS_STATUS_SUCCESS;
}
