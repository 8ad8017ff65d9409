#include "agent/idle-rule.h"

/* What a record holds may be of another boot, or wrong: no time is ahead of the clock. */
static bool is_possible(const struct idle_state *s, long long now_ms)
{
	const long long times[] = {s->empty_since_ms, s->quiet_since_ms, s->warned_ms,
				   s->sampled_ms};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (times[i] < 0 || times[i] > now_ms)
			return false;
	}
	return s->cpu_ms >= 0;
}

void idle_state_look(struct idle_state *s, long long now_ms, long long n_clients,
		     long long visit_ms)
{
	bool was_visited = s->visit_ms != visit_ms;

	if (n_clients > 0 || was_visited || !is_possible(s, now_ms))
		*s = (struct idle_state){.visit_ms = visit_ms};
	if (n_clients <= 0 && s->empty_since_ms == 0)
		s->empty_since_ms = now_ms;
}

void idle_state_sample(struct idle_state *s, const struct idle_rule *rule, long long now_ms,
		       long long cpu_ms)
{
	long long passed_ms = now_ms - s->sampled_ms;
	/* less than before: processes have ended and taken their times with them */
	long long used_ms = cpu_ms > s->cpu_ms ? cpu_ms - s->cpu_ms : 0;
	bool is_quiet;

	if (s->empty_since_ms == 0)
		return;
	if (cpu_ms < 0) {
		s->quiet_since_ms = s->sampled_ms = s->cpu_ms = 0;
		s->has_percent = false;
		return;
	}
	if (s->sampled_ms > 0 && passed_ms <= 0)
		return;
	if (s->sampled_ms > 0) {
		is_quiet = used_ms * 100 < rule->cpu_percent * passed_ms;
		s->percent = used_ms * 100 / passed_ms;
		s->has_percent = true;
		if (!is_quiet)
			s->quiet_since_ms = 0;
		else if (s->quiet_since_ms == 0)
			s->quiet_since_ms = s->sampled_ms;
	}
	s->sampled_ms = now_ms;
	s->cpu_ms = cpu_ms;
}

/* One of the two reasons to end. @known_ms: up to when it is known that it holds. */
static struct idle_verdict judge_one(const struct idle_state *s, const struct idle_rule *rule,
				     const struct idle_verdict *reason, long long known_ms,
				     long long now_ms)
{
	struct idle_verdict v = *reason;
	long long half_ms = v.limit_ms / 2;
	long long warning_ms = rule->warning_ms < half_ms ? rule->warning_ms : half_ms;
	bool is_warning_time;

	v.end_ms = v.since_ms + v.limit_ms;
	is_warning_time = warning_ms > 0 && known_ms >= v.end_ms - warning_ms;
	/* a look that came late: the warning is due, and its time begins with it */
	if (is_warning_time && s->warned_ms == 0 && v.end_ms < now_ms + warning_ms)
		v.end_ms = now_ms + warning_ms;
	else if (is_warning_time && s->warned_ms > 0 && v.end_ms < s->warned_ms + warning_ms)
		v.end_ms = s->warned_ms + warning_ms;
	if (is_warning_time && s->warned_ms == 0)
		v.step = IDLE_TO_WARN;
	else if (known_ms >= v.end_ms)
		v.step = IDLE_TO_END;
	else
		v.step = is_warning_time ? IDLE_WARNED : IDLE_COUNTING;
	return v;
}

struct idle_verdict idle_judge(const struct idle_state *s, const struct idle_rule *rule,
			       long long now_ms)
{
	const struct idle_verdict disconnected = {.cause = IDLE_DISCONNECTED,
						  .limit_ms = rule->disconnected_ms,
						  .since_ms = s->empty_since_ms};
	const struct idle_verdict quiet = {
		.cause = IDLE_QUIET, .limit_ms = rule->quiet_ms, .since_ms = s->quiet_since_ms};
	struct idle_verdict verdict = {.step = IDLE_BUSY}, other;

	if (s->empty_since_ms == 0)
		return (struct idle_verdict){.step = IDLE_IN_USE};
	if (rule->disconnected_ms > 0)
		verdict = judge_one(s, rule, &disconnected, now_ms, now_ms);
	if (rule->quiet_ms == 0 || s->quiet_since_ms == 0)
		return verdict;
	other = judge_one(s, rule, &quiet, s->sampled_ms, now_ms);
	return verdict.step == IDLE_BUSY || other.end_ms < verdict.end_ms ? other : verdict;
}

json_t *idle_state_to_json(const struct idle_state *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "EmptySinceMs", (json_int_t)s->empty_since_ms,
			 "QuietSinceMs", (json_int_t)s->quiet_since_ms, "WarnedMs",
			 (json_int_t)s->warned_ms, "VisitMs", (json_int_t)s->visit_ms, "SampledMs",
			 (json_int_t)s->sampled_ms, "CpuMs", (json_int_t)s->cpu_ms);
}

struct idle_state idle_state_from_json(const json_t *object)
{
	struct idle_state s = {
		.empty_since_ms = json_integer_value(json_object_get(object, "EmptySinceMs")),
		.quiet_since_ms = json_integer_value(json_object_get(object, "QuietSinceMs")),
		.warned_ms = json_integer_value(json_object_get(object, "WarnedMs")),
		.visit_ms = json_integer_value(json_object_get(object, "VisitMs")),
		.sampled_ms = json_integer_value(json_object_get(object, "SampledMs")),
		.cpu_ms = json_integer_value(json_object_get(object, "CpuMs")),
	};

	/* A sample of programs that were busy is of no use later: spread over the time since then
	 * it would make them quiet. */
	if (s.quiet_since_ms == 0)
		s.sampled_ms = s.cpu_ms = 0;
	return s;
}
