#include "common/ready.h"

#include <fcntl.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/number.h"

int ready_parse(const char *text, int *ret_fd, struct error *err)
{
	long long fd;

	if (!number_parse(text, 3, 65535, &fd) || fcntl((int)fd, F_GETFD) < 0)
		return error_set(err, ERR_USAGE, "--ready-fd: '%s' is no open descriptor", text);
	*ret_fd = (int)fd;
	(void)fcntl(*ret_fd, F_SETFD, FD_CLOEXEC); /* for us, not for what we start */
	return 0;
}

void ready_tell(int *fd)
{
	if (*fd >= 0 && write(*fd, "ready\n", 6) != 6)
		log_debug("nobody reads the readiness descriptor");
	close_p(fd);
}
