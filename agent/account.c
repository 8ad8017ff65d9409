#include "agent/account.h"

#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/os-user.h"

#define ENTRY_MAX_BYTES (1024 * 1024)

static int copy_entry(struct account *ret, const struct passwd *entry, struct error *err)
{
	ret->uid = entry->pw_uid;
	ret->gid = entry->pw_gid;
	ret->name = strdup(entry->pw_name);
	ret->home = strdup(entry->pw_dir ? entry->pw_dir : "");
	ret->shell = strdup(entry->pw_shell && entry->pw_shell[0] ? entry->pw_shell : "/bin/sh");
	if (!ret->name || !ret->home || !ret->shell)
		return error_oom(err);
	return 0;
}

static int look_up(struct account *ret, const char *name, long long n_tries, struct error *err)
{
	AUTO(os_user_done) struct os_user user = {0};

	if (os_user_find_name(&user, name, n_tries, err) < 0)
		return -1;
	return copy_entry(ret, &user.entry, err);
}

/*
 * "!" and "!!" alone are what useradd gives an account that has no password yet: such owners are
 * usual here, for who may connect is not decided by a password. "!" before a hash is what
 * `passwd -l` and `usermod -L` make of a password, and means that somebody locked the account.
 * PAM's account modules do not look at it, since for them it only says that no password fits.
 */
static bool is_locked(const char *password)
{
	return password[0] == '!' && password[1] && password[1] != '!';
}

static int check_shadow(const struct account *account, struct error *err)
{
	AUTO(free_p) char *buffer = malloc(ENTRY_MAX_BYTES);
	struct spwd entry, *found;

	if (!buffer)
		return error_oom(err);
	if (getspnam_r(account->name, &entry, buffer, ENTRY_MAX_BYTES, &found) != 0 || !found)
		return 0; /* in a directory, for instance; PAM knows more */
	if (is_locked(found->sp_pwdp))
		return error_set(err, ERR_DENIED, "the account of user %s is locked",
				 account->name);
	if (found->sp_expire >= 0 && time(NULL) / 86400 >= found->sp_expire)
		return error_set(err, ERR_DENIED, "the account of user %s has expired",
				 account->name);
	return 0;
}

static int check_shell(const struct account *account, struct error *err)
{
	const char *base = strrchr(account->shell, '/');
	struct stat st;

	base = base ? base + 1 : account->shell;
	if (strcmp(base, "nologin") == 0 || strcmp(base, "false") == 0)
		return error_set(err, ERR_DENIED, "user %s has no login shell (%s)", account->name,
				 account->shell);
	if (account->shell[0] != '/' || stat(account->shell, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !(st.st_mode & 0111))
		return error_set(err, ERR_DENIED, "user %s has no login shell (%s is no program)",
				 account->name, account->shell);
	return 0;
}

static int check_uid(const struct account *account, long long minimum_uid, struct error *err)
{
	if (account->uid == 0 || (long long)account->uid < minimum_uid)
		return error_set(err, ERR_DENIED,
				 "sessions for system accounts are not allowed (user %s, uid %u)",
				 account->name, account->uid);
	return 0;
}

static int check_self(const struct account *account, struct error *err)
{
	const struct passwd *self;

	if (geteuid() == 0 || account->uid == geteuid())
		return 0;
	self = getpwuid(geteuid());
	return error_set(err, ERR_DENIED, "this keeper runs as %s and can only serve %s, not %s",
			 self ? self->pw_name : "an ordinary user",
			 self ? self->pw_name : "that user", account->name);
}

int account_find(struct account *ret, const char *name, const struct agent_config *config,
		 enum account_use use, struct error *err)
{
	AUTO(account_done) struct account found = {0};

	if (look_up(&found, name, config->user_lookup_tries, err) < 0 ||
	    check_uid(&found, config->minimum_uid, err) < 0 ||
	    (use == ACCOUNT_TO_BECOME && check_self(&found, err) < 0) ||
	    (geteuid() == 0 && check_shadow(&found, err) < 0) || check_shell(&found, err) < 0)
		return -1;
	*ret = found;
	found = (struct account){0};
	return 0;
}

/* For good: a way back would make every program of the session root. */
int account_become(const struct account *account, struct error *err)
{
	if (geteuid() == 0) {
		/* The supplementary groups are those that PAM has left to the keeper. */
		if (setresgid(account->gid, account->gid, account->gid) < 0 ||
		    setresuid(account->uid, account->uid, account->uid) < 0)
			return error_errno(err, "become user %s", account->name);
	}
	if (account->uid == 0 || geteuid() != account->uid || getegid() != account->gid ||
	    setuid(0) == 0)
		return error_set(err, ERR_SYSTEM, "cannot become user %s for good", account->name);
	return 0;
}

void account_done(struct account *account)
{
	free(account->name);
	free(account->home);
	free(account->shell);
	*account = (struct account){0};
}
