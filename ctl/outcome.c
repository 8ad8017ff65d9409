#include "ctl/outcome.h"

#include <stdio.h>

#include "ctl/visible.h"

enum exit_status fail(const struct error *err, enum exit_status status)
{
	complain("%s", err->message);
	return status;
}

enum exit_status write_out(const char *bytes, size_t len)
{
	struct error err = {0};

	if (fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0)
		return STATUS_SUCCESS;
	(void)error_errno(&err, "write the answer");
	return fail(&err, STATUS_OTHER);
}
