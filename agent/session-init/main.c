/* dcv-session-init JOB: what the DCV server starts as the first program of a session that has an
 * autorun file. It runs as the session's owner: the autorun file in the background, then the program
 * that makes the desktop in its own place. What to run is in the job, which the agent has written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/engines/dcv-handover.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/message.h"
#include "common/number.h"

#define USAGE                                                                                      \
	"Usage: dcv-session-init JOB\n"                                                            \
	"Start what the agent has written into JOB; for an Amazon DCV server, as the session's "   \
	"owner."
#define EXIT_NO_JOB 125
#define EXIT_NOT_RUN 126

struct job {
	const char *init, *session_id;
	char **autorun; /* its path and arguments; the strings are the message's */
};

/* The job of somebody else would be run with our rights: a server that has ignored for whom the
 * session is meant must not do that. */
static int check_uid(const struct message *message, struct error *err)
{
	const char *text = message_get(message, DCV_JOB_UID);
	long long uid;

	if (!text || !number_parse(text, 0, 4294967295LL, &uid))
		return error_set(err, ERR_INVALID, "the job does not say for whom it is");
	if ((uid_t)uid != getuid() || (uid_t)uid != geteuid())
		return error_set(err, ERR_DENIED, "the job is for uid %lld and this is uid %u", uid,
				 (unsigned)getuid());
	return 0;
}

static int read_job(const struct message *message, struct job *ret, struct error *err)
{
	const char *entry = NULL, *value;
	size_t n = 0;

	ret->init = message_get(message, DCV_JOB_INIT);
	ret->session_id = message_get(message, DCV_JOB_SESSION_ID);
	ret->autorun = calloc(message->len + 2, sizeof(char *));
	if (!ret->autorun)
		return error_oom(err);
	while ((entry = message_next(message, entry))) {
		value = message_value(entry, n == 0 ? DCV_JOB_AUTORUN : DCV_JOB_ARGUMENT);
		if (value)
			ret->autorun[n++] = (char *)value;
	}
	if (!ret->init || n == 0)
		return error_set(err, ERR_INVALID, "the job is not complete");
	return 0;
}

/* In the background, and nobody's child: the desktop would not wait for it. It begins when the desktop
 * does: @gate is closed by its execution, and has a byte if that fails. */
static void run_autorun(const struct job *job, int gate)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const char *home = getenv("HOME");
	char byte;
	ssize_t n;

	if (fork() != 0)
		_exit(0);
	do {
		n = read(gate, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 0)
		_exit(EXIT_NOT_RUN);
	/* As in sessions of our own; one who cannot go home stays. */
	if (home && chdir(home) < 0)
		fprintf(stderr, "autorun file: go to %s: %s\n", home, strerror(errno));
	(void)dup2(null, STDIN_FILENO);
	(void)execv(job->autorun[0], job->autorun);
	fprintf(stderr, "autorun file %s: %s\n", job->autorun[0], strerror(errno));
	_exit(EXIT_NOT_RUN);
}

static int run_job(const struct job *job, struct error *err)
{
	char *const argv[] = {(char *)job->init, NULL};
	int gate[2];
	pid_t pid;

	if (job->session_id)
		(void)setenv("DCV_SESSION_ID", job->session_id, 0);
	if (pipe2(gate, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	pid = fork();
	if (pid < 0)
		return error_errno(err, "start the autorun file");
	if (pid == 0) {
		(void)close(gate[1]);
		run_autorun(job, gate[0]);
	}
	(void)close(gate[0]);
	(void)waitpid(pid, NULL, 0);
	(void)execv(job->init, argv);
	(void)error_errno(err, "run %s", job->init);
	(void)!write(gate[1], "x", 1);
	return -1;
}

int main(int argc, char **argv)
{
	AUTO(buf_done) struct buf text = {0};
	struct message message;
	struct job job = {0};
	struct error err = {0};
	int status = EXIT_NO_JOB;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("dcv-session-init " VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return puts(USAGE) < 0;
	if (argc != 2) {
		fputs(USAGE "\n", stderr);
		return 2;
	}
	if (file_read(argv[1], DCV_JOB_MAX_BYTES, &text, &err) == 0 &&
	    message_parse(&message, text.data, text.len, &err) == 0 &&
	    check_uid(&message, &err) == 0 && read_job(&message, &job, &err) == 0 &&
	    run_job(&job, &err) < 0)
		status = EXIT_NOT_RUN;
	fprintf(stderr, "%s: %s\n", argv[0], err.message);
	free(job.autorun);
	return status;
}
