/**
 * When a session that nobody uses is to be ended: the rule alone, without clock, engine or file.
 *
 * Times are milliseconds of one clock that only goes forward and stands still while the host is
 * suspended (loop_now_ms(): CLOCK_MONOTONIC): a night in which nobody could have connected is nobody's
 * neglect, and setting the host's time changes nothing. 0 stands for "not". The state survives the
 * agent; a boot, which begins the clock anew, ends the sessions.
 */
#ifndef AGENT_IDLE_RULE_H
#define AGENT_IDLE_RULE_H

#include <jansson.h>
#include <stdbool.h>

struct idle_rule {
	long long disconnected_ms; /* without a client; 0: no reason to end */
	long long quiet_ms;        /* without a client, and the programs quiet; 0: the same */
	long long warning_ms;      /* before the end; 0: none */
	long long cpu_percent;     /* of one processor; programs that use less are quiet */
};

/* What is known of one session. Begins with {0}. */
struct idle_state {
	long long empty_since_ms; /* no client is connected */
	long long quiet_since_ms; /* and the programs are quiet */
	long long warned_ms;      /* the owner was told */
	long long visit_ms;   /* when the last client left, as the engine tells, in its own time */
	long long sampled_ms; /* when the processes' CPU time was looked at last */
	long long cpu_ms;     /* how much it was */
	long long percent;    /* used between the last two looks; of meaning if has_percent */
	bool has_percent;
};

/**
 * How many clients there are, and when the last one left. A session is empty from the first look that
 * finds it so; another @visit_ms than last time means that somebody was there in between.
 */
void idle_state_look(struct idle_state *state, long long now_ms, long long n_clients,
		     long long visit_ms);

/**
 * The CPU time that its processes have used so far; -1: not known. What was used since the last look
 * is spread evenly over the time since then, also if that was long.
 */
void idle_state_sample(struct idle_state *state, const struct idle_rule *rule, long long now_ms,
		       long long cpu_ms);

enum idle_step {
	IDLE_IN_USE,   /* a client is connected */
	IDLE_BUSY,     /* none is, but the programs are not quiet, or not known to be */
	IDLE_COUNTING, /* it will be ended at end_ms */
	IDLE_TO_WARN,  /* the same, and the owner is to be told now */
	IDLE_WARNED,
	IDLE_TO_END
};

enum idle_cause { IDLE_DISCONNECTED, IDLE_QUIET };

struct idle_verdict {
	enum idle_step step;
	enum idle_cause cause; /* from IDLE_COUNTING on, as the rest */
	long long limit_ms;    /* the one of the rule that applies */
	long long since_ms;    /* idle since */
	long long end_ms;      /* when it will be ended if nothing changes */
};

/**
 * What is to happen now. That programs are quiet is known up to the last look at them only, so that
 * a session of which nothing is heard is not ended for being quiet. Nobody is ended who was not warned
 * as long before as the rule says, however late the warning was.
 */
struct idle_verdict idle_judge(const struct idle_state *state, const struct idle_rule *rule,
			       long long now_ms);

/** For the session's record, and back; anything that is no such object is an empty state. NULL without
 * memory. */
json_t *idle_state_to_json(const struct idle_state *state);
struct idle_state idle_state_from_json(const json_t *object);

#endif
