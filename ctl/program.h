/** One run of the program, from the command line to the exit status. */
#ifndef CTL_PROGRAM_H
#define CTL_PROGRAM_H

#include "ctl/exit-status.h"

enum exit_status program_run(int argc, char **argv);

#endif
