/* dcv-session-files: what a web viewer's file transfer does as the owner of a session. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/files/serve.h"
#include "common/number.h"

static const char usage[] =
	"Usage: dcv-session-files --serve FD FOLDER\n"
	"Serve the files below a folder, with the rights of whoever runs it, to a web viewer.\n"
	"Started by dcv-session-keeper.\n\n"
	"  --serve FD FOLDER  requests come on that connected socket; \"%home%\" at the\n"
	"                     beginning of FOLDER stands for $HOME\n"
	"  --help\n"
	"  --version\n";

static int serve(long long fd, const char *folder)
{
	const char *home = getenv("HOME");
	struct error err = {0};

	/* what cannot be written is told by errors */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		(void)error_errno(&err, "give up privileges");
	else if (files_serve((int)fd, folder, home ? home : "", &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.message);
	return error_exit_status(err.code);
}

int main(int argc, char **argv)
{
	long long fd;

	if (argc == 4 && strcmp(argv[1], "--serve") == 0 && number_parse(argv[2], 0, 1024, &fd))
		return serve(fd, argv[3]);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("dcv-session-files " VERSION);
		return 0;
	}
	fputs(usage, stderr);
	return error_exit_status(ERR_USAGE);
}
