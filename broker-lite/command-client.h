/** The command line's side of the administrator's commands. */
#ifndef BROKER_COMMAND_CLIENT_H
#define BROKER_COMMAND_CLIENT_H

#include "broker-lite/command.h"

/* Exit status. */
#define COMMAND_DONE 0
#define COMMAND_FAILED 1
#define COMMAND_USAGE 2
#define COMMAND_NO_BROKER 3
#define COMMAND_NOT_ROOT 4

/**
 * Run what @argv[1] names, with the options that follow; prints, and returns the exit status.
 */
int command_client_run(int argc, char **argv);

/** What the help says of the commands: one line for each. */
void command_client_list(void);

/** Every command with its options, for scdoc. */
void command_client_manual(void);

#endif
