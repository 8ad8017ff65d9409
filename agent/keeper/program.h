/**
 * A program of the session: forked, made the owner's process, and executed.
 *
 * The child reports what goes wrong until its program runs through a close-on-exec pipe: an error,
 * or just the end of the pipe when it runs.
 */
#ifndef AGENT_KEEPER_PROGRAM_H
#define AGENT_KEEPER_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/account.h"
#include "agent/keeper/cgroup.h"
#include "agent/keeper/environment.h"
#include "agent/keeper/output.h"
#include "agent/keeper/pam.h"
#include "agent/program-path.h"
#include "common/error.h"

#define PROGRAM_PASSED_FD 3 /* the number that program_start.passed_fd has in the program */

/** What the programs of a session have in common; all borrowed. */
struct program_context {
	const struct account *owner;
	const struct pam *pam;
	const struct cgroup *cgroup;
	struct environment *environment;
};

struct program {
	pid_t pid;     /* 0: not started, or ended and reaped */
	int exec_fd;   /* tells whether the program runs; -1 once it has */
	bool started;  /* it runs, or did */
	int status;    /* as from waitpid(), when started and pid is 0 */
	bool end_told; /* its end, to the peers */
	char name[96]; /* for sentences: "init file 'x'" */
	struct output output;
};

#define PROGRAM_NONE ((struct program){.exec_fd = -1, .output.fd = -1})

/**
 * @prepare runs in the child after it has become the owner; it says what to execute: *ret_argv,
 * whose first string is an absolute path. The child never returns from it otherwise than by exec or
 * exit. Its errors are told as they are. NULL in *ret_argv: all is done, as if that had been executed.
 */
typedef int program_prepare(void *data, char ***ret_argv, struct error *err);

struct program_start {
	const char *source; /* of its lines in the log */
	int log_fd;
	int passed_fd; /* becomes PROGRAM_PASSED_FD; -1: none */
	program_prepare *prepare;
	void *data;
	/** The request names the program, so that it is not the host's fault if it cannot run. */
	bool is_requested;
};

/** Fork. Success says nothing of the exec yet: wait for program->exec_fd. */
int program_start(struct program *program, const struct program_context *context,
		  const struct program_start *start, struct error *err);

/**
 * exec_fd is readable: true if the program runs now; false with the child's error if it does not.
 * Closes exec_fd either way.
 */
bool program_runs(struct program *program, struct error *err);

/** How it ended, from a wait status: "exit status 1", "killed by signal 9". */
void program_describe_status(int status, char *ret, size_t size);

/** Close what the keeper has of it. */
void program_done(struct program *program);

#endif
