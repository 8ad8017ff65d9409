/**
 * The command doctor: is this host fit for sessions? The agent's program looks at the host, whether an
 * agent runs or not; a running agent is asked for what only it knows; the findings are printed, each
 * with what to do.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "ctl/exit-status.h"
#include "ctl/option.h"

/* Of its own, in the manner of monitoring: a command line that is wrong is no host that is well. */
enum doctor_status {
	DOCTOR_WELL = 0, /* nothing is to be done; some may not have been checked */
	DOCTOR_WARNINGS = 1,
	DOCTOR_ERRORS = 2,
};

/** A doctor_status; STATUS_OTHER if the host could not be looked at. */
enum exit_status doctor(const struct arguments *args, bool wants_json);

/** The exit status of these findings. */
enum doctor_status doctor_status(const json_t *findings);

/** Append what the answer of a running agent to DescribeServers says of the host. */
void doctor_read_server(const json_t *server, json_t *findings);

#endif
