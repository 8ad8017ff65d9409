#include "agent/idle.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/cpu-time.h"
#include "agent/idle-exempt.h"
#include "agent/sentence.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define LOOKS_PER_LIMIT 60
#define LOOK_LEAST_MS 100
#define LOOK_SOON_MS 100
#define LOOK_MOST_MS 30000

/* Asking a name service, and reading all of /proc, is for another thread. It touches nothing else. */
struct cpu_job {
	struct idle *idle; /* NULL: nobody waits any more */
	size_t n;
	struct cpu_job_user {
		char *session_id, *owner;
		long long cpu_ms;
	} users[];
};

struct idle {
	struct agent *agent;
	struct idle_rule rule;
	long long look_every_ms; /* 0: never, the policy is off */
	struct timer *timer;
	bool is_soon;        /* it is started for an early look */
	struct cpu_job *job; /* under way */
};

static struct idle_rule rule_of(const struct agent_config *config)
{
	return (struct idle_rule){.disconnected_ms = config->idle_disconnected_s * 1000,
				  .quiet_ms = config->idle_quiet_s * 1000,
				  .warning_ms = config->idle_warning_s * 1000,
				  .cpu_percent = config->idle_cpu_percent};
}

static long long now_of(const struct agent *agent)
{
	return (long long)loop_now_ms(agent->loop);
}

/* "90 s", "30 min" */
static const char *duration(long long ms, char ret[32])
{
	long long seconds = (ms + 999) / 1000;

	if (seconds % 60 == 0 || seconds > 600)
		(void)snprintf(ret, 32, "%lld min", (seconds + 59) / 60);
	else
		(void)snprintf(ret, 32, "%lld s", seconds);
	return ret;
}

/* --- whom it concerns --------------------------------------------------------------------------
 */

/* Why the policy does not touch the session, or NULL; *ret_state as in idle_to_json(). */
static const char *immunity(const struct agent *agent, const struct session *session,
			    const char **ret_state, char ret[200])
{
	const struct idle_rule rule = rule_of(agent->config);
	const char *item;

	*ret_state = "EXEMPT";
	item = idle_exempt_find(agent->config->idle_exempt, session, agent->server.tags);
	if (rule.disconnected_ms == 0 && rule.quiet_ms == 0) {
		*ret_state = "OFF";
		return "this host ends no idle sessions";
	}
	if (session->state != SESSION_READY) {
		*ret_state = "NOT_READY";
		(void)snprintf(ret, 200, "it is %s", session_state_name(session->state));
		return ret;
	}
	if (session->is_host_made)
		return "it was made by other means than the session manager";
	if (item) {
		(void)snprintf(ret, 200, "agent.idle_exempt has '%.150s'", item);
		return ret;
	}
	if (agent->engine->status.trouble) {
		*ret_state = "UNKNOWN";
		return "the engine does not tell who is connected";
	}
	return NULL;
}

static bool is_concerned(const struct agent *agent, const struct session *session)
{
	const char *state;
	char text[200];

	return !immunity(agent, session, &state, text);
}

/* --- what follows from the rule ----------------------------------------------------------------
 */

static void describe_limit(const struct agent *agent, const struct idle_verdict *verdict, char *ret,
			   size_t size)
{
	char limit[32];

	(void)duration(verdict->limit_ms, limit);
	if (verdict->cause == IDLE_DISCONNECTED)
		(void)snprintf(ret, size, "no client was connected for %s", limit);
	else
		(void)snprintf(
			ret, size,
			"no client was connected and its programs used less than %lld %% of a "
			"processor for %s",
			agent->config->idle_cpu_percent, limit);
}

static void warn(struct idle *idle, struct session *session, const struct idle_verdict *verdict)
{
	const struct engine *engine = idle->agent->engine;
	long long now_ms = now_of(idle->agent);
	char text[400], since[32], left[32];
	struct error err;

	session->idle.warned_ms = now_ms;
	(void)duration(now_ms - verdict->since_ms, since);
	(void)duration(verdict->end_ms - now_ms, left);
	log_info("session %s is idle and will be ended in %s (owner=%s, idle for %s)", session->id,
		 left, session->owner, since);
	(void)snprintf(
		text, sizeof(text),
		"Nobody has been connected to the session '%.80s' on %.80s for %s. It will be "
		"ended in %s, with all programs in it, unless somebody connects to it.",
		session->name, idle->agent->server.hostname, since, left);
	sentence_make_valid(text); /* a name that was cut, for instance */
	if (engine->ops->notify &&
	    engine->ops->notify(idle->agent->engine, session, text, &err) < 0)
		log_warning("session %s: the owner is not told that it is idle: %s", session->id,
			    err.message);
}

static void end(struct idle *idle, struct session *session, const struct idle_verdict *verdict)
{
	char limit[200], reason[240];
	struct error err;

	describe_limit(idle->agent, verdict, limit, sizeof(limit));
	(void)snprintf(reason, sizeof(reason), "idle: %s", limit);
	if (agent_end_session(idle->agent, session, reason, &err) < 0)
		log_error("session %s: %s", session->id, err.message);
}

/* What must not be lost with the agent: everything but the sample, of which an older one will do. */
static bool is_news(const struct idle_state *a, const struct idle_state *b)
{
	return a->empty_since_ms != b->empty_since_ms || a->quiet_since_ms != b->quiet_since_ms ||
	       a->warned_ms != b->warned_ms || a->visit_ms != b->visit_ms;
}

/* @before: what is on the disk. */
static void act(struct idle *idle, struct session *session, const struct idle_state *before)
{
	struct idle_verdict verdict = idle_judge(&session->idle, &idle->rule, now_of(idle->agent));
	struct error err;

	if (verdict.step == IDLE_TO_WARN)
		warn(idle, session, &verdict);
	else if (verdict.step < IDLE_TO_WARN)
		session->idle.warned_ms = 0;
	if (verdict.step < IDLE_TO_WARN && before->warned_ms > 0)
		log_info("session %s is not idle any more (owner=%s)", session->id, session->owner);
	if (is_news(&session->idle, before) &&
	    session_list_save(&idle->agent->sessions, session, &err) < 0)
		log_warning("session %s: %s", session->id, err.message);
	if (verdict.step == IDLE_TO_END)
		end(idle, session, &verdict);
}

void idle_used(struct idle *idle, struct session *session, long long cpu_ms)
{
	const struct idle_state before = session->idle;

	if (!is_concerned(idle->agent, session))
		return;
	idle_state_sample(&session->idle, &idle->rule, now_of(idle->agent), cpu_ms);
	act(idle, session, &before);
}

/* --- CPU time where the engine does not know the processes: all of the owner's -------------------
 */

static void job_free(struct cpu_job *job)
{
	for (size_t i = 0; job && i < job->n; i++) {
		free(job->users[i].session_id);
		free(job->users[i].owner);
	}
	free(job);
}

static void measure(void *userdata)
{
	struct cpu_job *job = userdata;
	struct passwd entry, *found;
	char buffer[16384];

	for (size_t i = 0; i < job->n; i++) {
		struct cpu_job_user *user = &job->users[i];

		user->cpu_ms = -1;
		if (getpwnam_r(user->owner, &entry, buffer, sizeof(buffer), &found) == 0 && found)
			user->cpu_ms = cpu_time_of_user(found->pw_uid);
	}
}

static void on_measured(void *userdata)
{
	struct cpu_job *job = userdata;
	struct idle *idle = job->idle;

	if (idle)
		idle->job = NULL;
	for (size_t i = 0; idle && i < job->n; i++) {
		struct session *session =
			session_list_find(&idle->agent->sessions, job->users[i].session_id);

		if (session)
			idle_used(idle, session, job->users[i].cpu_ms);
	}
	job_free(job);
}

/* Early looks do not make the time between two samples so short that any stir in it is much. */
static bool wants_sample(const struct idle *idle, const struct session *session)
{
	const struct idle_state *s = &session->idle;

	return idle->rule.quiet_ms > 0 && s->empty_since_ms > 0 &&
	       now_of(idle->agent) - s->sampled_ms >= idle->look_every_ms / 2 &&
	       is_concerned(idle->agent, session);
}

static void measure_owners(struct idle *idle)
{
	const struct list *sessions = &idle->agent->sessions.sessions;
	struct cpu_job *job;
	struct error err;
	size_t n = 0;

	if (idle->job)
		return;
	list_for_each (session, sessions, struct session, link)
		n += wants_sample(idle, session);
	job = n > 0 ? calloc(1, sizeof(*job) + n * sizeof(job->users[0])) : NULL;
	if (!job)
		return; /* without memory nothing is known, and nothing is ended for being quiet */
	list_for_each (session, sessions, struct session, link) {
		if (!wants_sample(idle, session))
			continue;
		job->users[job->n].session_id = strdup(session->id);
		job->users[job->n].owner = strdup(session->owner);
		if (!job->users[job->n].session_id || !job->users[job->n++].owner) {
			job_free(job);
			return;
		}
	}
	job->idle = idle;
	if (loop_work(idle->agent->loop, measure, on_measured, job, &err) < 0) {
		log_error("look at the programs of idle sessions: %s", err.message);
		job_free(job);
		return;
	}
	idle->job = job;
}

/* --- the watch ---------------------------------------------------------------------------------
 */

static void look(struct idle *idle, struct session *session)
{
	const struct idle_state before = session->idle;
	struct engine *engine = idle->agent->engine;

	idle_state_look(&session->idle, now_of(idle->agent), session->n_connections,
			session->disconnection_time_ms);
	act(idle, session, &before);
	if (engine->ops->usage && wants_sample(idle, session))
		engine->ops->usage(engine, session);
}

static void on_timer(void *userdata)
{
	struct idle *idle = userdata;
	unsigned long long every_ms = (unsigned long long)idle->look_every_ms;

	if (idle->is_soon)
		timer_start(idle->timer, every_ms, every_ms);
	idle->is_soon = false;
	if (!idle->agent->is_ready)
		return;
	list_for_each_safe (session, &idle->agent->sessions.sessions, struct session, link) {
		if (is_concerned(idle->agent, session))
			look(idle, session);
	}
	if (!idle->agent->engine->ops->usage)
		measure_owners(idle);
}

void idle_look_soon(struct idle *idle)
{
	if (!idle || idle->look_every_ms == 0 || idle->is_soon)
		return;
	idle->is_soon = true;
	timer_start(idle->timer, LOOK_SOON_MS, 0);
}

static long long look_every_ms(const struct idle_rule *rule)
{
	long long limit_ms = rule->disconnected_ms, ms;

	if (limit_ms == 0 || (rule->quiet_ms > 0 && rule->quiet_ms < limit_ms))
		limit_ms = rule->quiet_ms;
	if (limit_ms == 0)
		return 0;
	ms = limit_ms / LOOKS_PER_LIMIT;
	if (ms < LOOK_LEAST_MS)
		ms = LOOK_LEAST_MS;
	return ms < LOOK_MOST_MS ? ms : LOOK_MOST_MS;
}

struct idle *idle_new(struct agent *agent, struct error *err)
{
	struct idle *idle = calloc(1, sizeof(*idle));

	if (idle)
		idle->timer = timer_new(agent->loop, on_timer, idle);
	if (!idle || !idle->timer) {
		free(idle);
		(void)error_oom(err);
		return NULL;
	}
	idle->agent = agent;
	idle->rule = rule_of(agent->config);
	idle->look_every_ms = look_every_ms(&idle->rule);
	idle_look_soon(idle);
	return idle;
}

void idle_free(struct idle *idle)
{
	if (!idle)
		return;
	timer_free(idle->timer);
	if (idle->job)
		idle->job->idle = NULL;
	free(idle);
}

/* --- what is told ------------------------------------------------------------------------------
 */

static json_t *pack(const char *state, const char *reason)
{
	return json_pack("{s:s,s:s}", "State", state, "Reason", reason);
}

static json_t *describe_use(const struct agent *agent, const struct session *session,
			    enum idle_step step)
{
	const struct idle_state *s = &session->idle;
	char text[160];

	if (step == IDLE_IN_USE && session->n_connections <= 0)
		return pack("UNKNOWN", "it was not looked at so far");
	if (step == IDLE_IN_USE) {
		(void)snprintf(text, sizeof(text), "clients are connected: %lld",
			       session->n_connections);
		return pack("IN_USE", text);
	}
	if (!s->has_percent)
		return pack("BUSY", "no client is connected, but it is not known how much its "
				    "programs do");
	(void)snprintf(text, sizeof(text),
		       "no client is connected, but its programs use %lld %% of a processor; less "
		       "than %lld %% is quiet",
		       s->percent, agent->config->idle_cpu_percent);
	return pack("BUSY", text);
}

static json_t *describe_end(const struct agent *agent, const struct session *session,
			    const struct idle_verdict *verdict)
{
	long long now_ms = now_of(agent), left_ms = verdict->end_ms - now_ms;
	char since[32], limit[200], text[300], time[TIME_SIZE];
	json_t *object;

	describe_limit(agent, verdict, limit, sizeof(limit));
	(void)duration(now_ms - verdict->since_ms, since);
	(void)snprintf(text, sizeof(text), "%s so far; it is ended when %s%s", since, limit,
		       session->idle.warned_ms > 0 ? "; the owner was told" : "");
	object = pack(session->idle.warned_ms > 0 ? "WARNED" : "IDLE", text);
	left_ms = left_ms > 0 ? left_ms : 0;
	time_format(time_now_ms() + left_ms, time);
	json_set_text(object, "EndTime", time);
	(void)json_object_set_new(object, "SecondsLeft", json_integer((left_ms + 999) / 1000));
	return object;
}

json_t *idle_to_json(const struct agent *agent, const struct session *session)
{
	const struct idle_rule rule = rule_of(agent->config);
	const struct idle_verdict verdict = idle_judge(&session->idle, &rule, now_of(agent));
	char text[200];
	const char *state, *why = immunity(agent, session, &state, text);
	json_t *object;

	if (why)
		return pack(state, why);
	object = verdict.step < IDLE_COUNTING ? describe_use(agent, session, verdict.step)
					      : describe_end(agent, session, &verdict);
	if (session->idle.has_percent)
		(void)json_object_set_new(object, "CpuPercent",
					  json_integer(session->idle.percent));
	return object;
}
