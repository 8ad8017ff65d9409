#include "agent/keeper/ending.h"

#include <signal.h>
#include <time.h>

#define XSERVER_GRACE_MS 3000
#define OVERDUE_MS 10000
#define LOOK_AGAIN_MS 1000 /* at processes whose end nobody tells us of */
#define LOOK_SOON_MS 20    /* what was killed goes in a moment */

long long clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void enter_phase(struct ending *e, enum ending_phase phase, long long limit_ms)
{
	e->phase = phase;
	e->phase_deadline_ms = clock_ms() + limit_ms;
	e->next_look_ms = 0;
	processes_forget(&e->processes);
}

void ending_begin(struct ending *e, enum ending_phase phase, pid_t xserver, long long grace_s)
{
	e->xserver = xserver;
	e->overdue_ms = clock_ms() + grace_s * 1000 + OVERDUE_MS;
	e->was_told = false;
	enter_phase(e, phase, grace_s * 1000);
}

/* Look again for processes when those we know of are gone, and now and then. */
static bool is_time_to_look(struct ending *e)
{
	size_t n_left = processes_watch(&e->processes);
	long long now = clock_ms();

	if (n_left > 0 && now < e->next_look_ms)
		return false;
	e->next_look_ms = now + LOOK_AGAIN_MS;
	return true;
}

static void advance_programs(struct ending *e)
{
	bool all_gone = is_time_to_look(e) &&
			processes_signal(&e->processes, SIGTERM, e->xserver) == 0;

	if (!all_gone && clock_ms() < e->phase_deadline_ms)
		return;
	enter_phase(e, ENDING_XSERVER, XSERVER_GRACE_MS);
	if (e->xserver)
		(void)kill(e->xserver, SIGTERM);
}

static void advance_all(struct ending *e)
{
	if (!is_time_to_look(e))
		return;
	cgroup_kill(e->processes.cgroup);
	if (processes_signal(&e->processes, SIGKILL, 0) > 0)
		return;
	if (cgroup_is_populated(e->processes.cgroup))
		e->next_look_ms = clock_ms() + LOOK_SOON_MS;
	else
		enter_phase(e, ENDING_DONE, 0);
}

bool ending_advance(struct ending *e)
{
	if (e->phase == ENDING_PROGRAMS)
		advance_programs(e);
	if (e->phase == ENDING_XSERVER && (!e->xserver || clock_ms() >= e->phase_deadline_ms))
		enter_phase(e, ENDING_ALL, 0);
	if (e->phase == ENDING_ALL)
		advance_all(e);
	return e->phase == ENDING_DONE;
}

long long ending_timeout_ms(const struct ending *e)
{
	long long until = e->phase == ENDING_XSERVER ? e->phase_deadline_ms : e->next_look_ms;
	long long now = clock_ms();

	if (e->phase == ENDING_PROGRAMS && e->phase_deadline_ms < until)
		until = e->phase_deadline_ms;
	return until > now ? until - now : 0;
}

bool ending_is_overdue(struct ending *e)
{
	if (e->was_told || clock_ms() < e->overdue_ms)
		return false;
	e->was_told = true;
	return true;
}
