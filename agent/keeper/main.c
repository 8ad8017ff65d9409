#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/listener.h"
#include "agent/keeper/options.h"
#include "common/cleanup.h"
#include "common/number.h"

#define FIRST_SYSTEMD_FD 3

/* The connection that systemd has accepted for us. */
static int given_connection(void)
{
	const char *fds = getenv("LISTEN_FDS");
	const char *pid = getenv("LISTEN_PID");
	long long n, own;

	if (fds && pid && number_parse(fds, 1, 1, &n) && number_parse(pid, 1, 1LL << 30, &own) &&
	    own == getpid())
		return FIRST_SYSTEMD_FD;
	return STDIN_FILENO;
}

int main(int argc, char **argv)
{
	AUTO(options_done) struct options options = {0};
	int status = options_read(&options, argc, argv);
	struct error err = {0};

	if (status >= 0)
		return status;
	if (options_resolve(&options, &err) < 0) {
		(void)fprintf(stderr, "dcv-session-keeper: %s\n", err.message);
		return error_exit_status(err.code);
	}
	if (options.listen_path)
		return listener_run(&options);
	return keeper_serve(&options, given_connection());
}
