/* The peer that creation is measured against: what PAM and an X server need by themselves.
 *
 *   bare-session USER PAM_DIR RUN_DIR XSERVER_OPTION...
 *
 * Opens a PAM session for USER with the service file of PAM_DIR, starts Xvnc as that user, waits
 * for its display number, ends both. Prints milliseconds: "pam P x X". RUN_DIR belongs to USER. */
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int no_conversation(int n, const struct pam_message **messages,
			   struct pam_response **ret_responses, void *userdata)
{
	(void)n;
	(void)messages;
	(void)ret_responses;
	(void)userdata;
	return PAM_CONV_ERR;
}

static void become(const struct passwd *user)
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0)
		_exit(126);
}

/* Start the X server; milliseconds until it has told its display number. */
static double time_x(const struct passwd *user, const char *run_dir, char **options)
{
	double start = now_ms();
	char fd[16], rfb[256], byte;
	int ends[2];
	pid_t pid;
	ssize_t n;

	if (pipe(ends) < 0)
		return -1;
	(void)snprintf(fd, sizeof(fd), "%d", ends[1]);
	(void)snprintf(rfb, sizeof(rfb), "%s/rfb", run_dir);
	pid = fork();
	if (pid == 0) {
		char *arguments[64] = {"Xvnc", "-displayfd", fd, "-rfbunixpath", rfb};
		size_t n_arguments = 5;

		become(user);
		(void)close(ends[0]);
		while (*options && n_arguments < 63)
			arguments[n_arguments++] = *options++;
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		(void)execvp("Xvnc", arguments);
		_exit(127);
	}
	(void)close(ends[1]);
	do
		n = read(ends[0], &byte, 1);
	while (n == 1 && byte != '\n');
	start = now_ms() - start;
	(void)close(ends[0]);
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
	return n == 1 ? start : -1;
}

int main(int argc, char **argv)
{
	static const struct pam_conv conversation = {no_conversation, NULL};
	const struct passwd *user = argc > 4 ? getpwnam(argv[1]) : NULL;
	pam_handle_t *pam = NULL;
	double start = now_ms(), pam_ms, x_ms;

	if (!user) {
		(void)fprintf(stderr, "bare-session USER PAM_DIR RUN_DIR XSERVER_OPTION...\n");
		return 2;
	}
	if (pam_start_confdir("dcv-session-keeper", argv[1], &conversation, argv[2], &pam) !=
		    PAM_SUCCESS ||
	    pam_acct_mgmt(pam, PAM_SILENT) != PAM_SUCCESS ||
	    pam_setcred(pam, PAM_ESTABLISH_CRED | PAM_SILENT) != PAM_SUCCESS ||
	    pam_open_session(pam, PAM_SILENT) != PAM_SUCCESS) {
		(void)fprintf(stderr, "bare-session: PAM refuses %s\n", argv[1]);
		return 1;
	}
	pam_ms = now_ms() - start;
	x_ms = time_x(user, argv[3], argv + 4);
	(void)pam_close_session(pam, PAM_SILENT);
	(void)pam_end(pam, PAM_SUCCESS);
	if (x_ms < 0)
		return 1;
	(void)printf("pam %.2f x %.2f\n", pam_ms, x_ms);
	return 0;
}
