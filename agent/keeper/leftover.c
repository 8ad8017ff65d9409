#include "agent/keeper/leftover.h"

#include <poll.h>
#include <stdlib.h>

#include "agent/keeper/cgroup.h"
#include "agent/keeper/ending.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/xlock.h"
#include "agent/keeper/xsocket.h"
#include "common/cleanup.h"
#include "common/log.h"

/* Until a process ends that we watch, or it is time to look again. */
static void wait_a_bit(struct ending *ending)
{
	struct pollfd fds[PROCESSES_WATCHED_MAX];
	size_t n = ending->processes.n_watched;

	for (size_t i = 0; i < n; i++)
		fds[i] =
			(struct pollfd){.fd = ending->processes.watched[i].pidfd, .events = POLLIN};
	(void)poll(fds, n, (int)ending_timeout_ms(ending));
}

static int end_processes(const struct record *record, struct cgroup *cgroup, struct error *err)
{
	AUTO(free_p) struct ending *ending = calloc(1, sizeof(*ending));
	long long deadline_ms = clock_ms() + LEFTOVER_TIMEOUT_S * 1000LL;
	int rc = 0;

	if (!ending)
		return error_oom(err);
	ending->processes.cgroup = cgroup;
	ending->processes.session_id = record->session_id;
	ending->processes.owner = (uid_t)record->uid;
	ending_begin(ending, ENDING_ALL, 0, 0);
	while (rc == 0 && !ending_advance(ending)) {
		if (clock_ms() >= deadline_ms)
			rc = error_set(err, ERR_TIMEOUT, "%zu processes do not end",
				       ending->processes.n_watched);
		else
			wait_a_bit(ending);
	}
	processes_forget(&ending->processes);
	return rc;
}

static int remove_socket(const struct options *options, const struct record *record,
			 struct error *err)
{
	const struct xsocket socket = {.display = (int)record->display,
				       .dev = (dev_t)record->x_dev,
				       .ino = (ino_t)record->x_ino,
				       .born_ns = record->x_born_ns};
	struct xlock lock = XLOCK_NONE;
	int rc = 0;

	/* Of a server that was killed before its number was known: that has no record. */
	if (record->display >= 0 && !xsocket_is_left(&socket))
		return 0;
	if (xlock_request(&lock, options->run_dir, err) < 0 || xlock_wait(&lock, err) < 0)
		rc = -1;
	else if (record->display >= 0)
		xsocket_remove(&socket);
	else
		xsocket_remove_dead((uid_t)record->uid);
	xlock_release(&lock);
	return rc;
}

static int end_session(const struct options *options, const struct record *record,
		       struct error *err)
{
	AUTO(cgroup_done) struct cgroup cgroup = {0};

	if (record->cgroup && cgroup_adopt(&cgroup, record->cgroup, err) < 0)
		return -1;
	if (end_processes(record, &cgroup, err) < 0 || remove_socket(options, record, err) < 0)
		return -1;
	cgroup_remove(&cgroup);
	return 0;
}

int leftover_clean(const struct options *options, int number, struct error *err)
{
	AUTO(folder_done) struct folder folder = FOLDER_NONE;
	AUTO(record_done) struct record record = RECORD_NONE;

	if (folder_take_over(&folder, options->run_dir, number, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	if (folder_read_record(&folder, &record, err) == 0) {
		if (end_session(options, &record, err) < 0)
			return error_prefix(err, "session %s", record.session_id);
		log_info("session %s, whose keeper was killed, is cleaned up", record.session_id);
	} else if (err->code != ERR_NOT_FOUND) {
		return -1;
	}
	folder_remove(&folder, options->run_dir);
	return 0;
}
