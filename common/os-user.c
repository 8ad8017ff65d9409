#include "common/os-user.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

#define ROOM_BYTES 4096
#define ROOM_MAX_BYTES (1024 * 1024)

/* Whom to look for. */
struct key {
	const char *name; /* NULL: the uid */
	uid_t uid;
};

/* 0 with the entry, 0 without because there is none, or an errno. */
static int ask_once(struct os_user *ret, const struct key *key)
{
	struct passwd *found = NULL;
	int problem = ERANGE;

	for (size_t size = ROOM_BYTES; problem == ERANGE && size <= ROOM_MAX_BYTES; size *= 4) {
		os_user_done(ret);
		ret->room = malloc(size);
		if (!ret->room)
			return ENOMEM;
		problem = key->name ? getpwnam_r(key->name, &ret->entry, ret->room, size, &found)
				    : getpwuid_r(key->uid, &ret->entry, ret->room, size, &found);
	}
	if (problem != 0 || !found)
		os_user_done(ret);
	/* Services have many ways to say that they know of none; see getpwnam(3). */
	return problem == ENOENT || problem == ESRCH ? 0 : problem;
}

static bool is_worth_a_pause(int problem)
{
	return problem != ENOMEM && problem != ERANGE;
}

static void pause_ms(long long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int fail(const char *who, int problem, long long n_tries, struct error *err)
{
	char times[48] = "";

	if (n_tries > 1)
		(void)snprintf(times, sizeof(times), " (asked %lld times)", n_tries);
	if (problem == 0)
		return error_set(err, ERR_NOT_FOUND, "user not found: %s%s", who, times);
	return error_set(err, ERR_SYSTEM, "name services do not tell who user %s is: %s%s", who,
			 strerror(problem), times);
}

static int find(struct os_user *ret, const struct key *key, const char *who, long long n_tries,
		struct error *err)
{
	AUTO(os_user_done) struct os_user user = {0};
	long long pause = OS_USER_PAUSE_MS, n = 1;
	int problem;

	for (;;) {
		problem = ask_once(&user, key);
		if (user.room || n >= n_tries || !is_worth_a_pause(problem))
			break;
		pause_ms(pause);
		pause = pause * 2 < OS_USER_PAUSE_MAX_MS ? pause * 2 : OS_USER_PAUSE_MAX_MS;
		n++;
	}
	if (!user.room)
		return fail(who, problem, n, err);
	*ret = user;
	user = (struct os_user){0};
	return 0;
}

int os_user_find_name(struct os_user *ret, const char *name, long long n_tries, struct error *err)
{
	return find(ret, &(struct key){.name = name}, name, n_tries, err);
}

int os_user_find_uid(struct os_user *ret, uid_t uid, long long n_tries, struct error *err)
{
	char who[32];

	(void)snprintf(who, sizeof(who), "uid %u", (unsigned)uid);
	return find(ret, &(struct key){.uid = uid}, who, n_tries, err);
}

void os_user_done(struct os_user *user)
{
	free(user->room);
	*user = (struct os_user){0};
}
