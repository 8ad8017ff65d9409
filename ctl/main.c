/* dcvctl drives the agent of this host, or a broker; called as dcvsm it is the broker's client of
 * old. Both are one program over one API. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/manual.h"
#include "ctl/program.h"
#include "ctl/visible.h"

static void interrupted(int signal_number)
{
	(void)signal_number;
	_exit(STATUS_INTERRUPTED);
}

int main(int argc, char **argv)
{
	(void)signal(SIGINT, interrupted);
	visible_use_utf8();
	/* For those who make packages, as the other programs have it. */
	if (argc == 3 && strcmp(argv[1], "--print-manual") == 0)
		return manual_print(argv[2], stdout) && fflush(stdout) == 0 ? 0 : 2;
	return (int)program_run(argc, argv);
}
