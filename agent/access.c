#include "agent/access.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/os-groups.h"
#include "common/permissions.h"

struct membership {
	char *group;
	bool is_member;
};

/* The other thread finds out in which of these groups the user is; everything else is for later. */
struct question {
	struct loop *loop;
	const struct session_list *sessions;
	char *session_id, *user;
	struct membership *memberships;
	size_t n;
	access_fn fn;
	void *userdata;
};

static void forget_groups(struct question *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->memberships[i].group);
	free(q->memberships);
	q->memberships = NULL;
	q->n = 0;
}

static void question_free(struct question *q)
{
	forget_groups(q);
	free(q->session_id);
	free(q->user);
	free(q);
}

static const struct membership *find(const struct question *q, const char *group)
{
	for (size_t i = 0; i < q->n; i++) {
		if (strcmp(q->memberships[i].group, group) == 0)
			return &q->memberships[i];
	}
	return NULL;
}

static bool is_in_group(const char *group, void *userdata)
{
	const struct membership *found = find(userdata, group);

	return found && found->is_member;
}

static void look(void *userdata)
{
	struct question *q = userdata;
	AUTO(os_groups_done) struct os_groups groups = {0};
	struct error err;

	if (q->n == 0)
		return;
	if (os_groups_load(&groups, q->user, &err) < 0) {
		log_warning("groups of user %s: %s", q->user, err.message);
		return; /* in none, then */
	}
	for (size_t i = 0; i < q->n; i++)
		q->memberships[i].is_member = os_groups_have(&groups, q->memberships[i].group);
}

static int note_groups(struct question *q, const struct session *session, struct error *err)
{
	struct place place;
	const char *group;
	size_t at = 0;

	forget_groups(q);
	while (session && session->rights &&
	       (group = permissions_next_os_group(session->rights, &at, &place))) {
		struct membership *more =
			reallocarray(q->memberships, q->n + 1, sizeof(*q->memberships));

		if (!more)
			return error_oom(err);
		q->memberships = more;
		more[q->n] = (struct membership){.group = strdup(group)};
		if (!more[q->n].group)
			return error_oom(err);
		q->n++;
	}
	return 0;
}

/* Have the groups that the permissions speak of now all been looked up? */
static bool is_answered(const struct question *q, const struct session *session)
{
	struct place place;
	const char *group;
	size_t at = 0;

	while ((group = permissions_next_os_group(session->rights, &at, &place))) {
		if (!find(q, group))
			return false;
	}
	return true;
}

static uint32_t evaluate(struct question *q, const struct session *session)
{
	const struct permissions_user user = {
		.name = q->user,
		.is_owner = session_is_of(session, q->user),
		.is_in_os_group = is_in_group,
		.userdata = q,
	};
	struct rights rights = {0};
	struct error err;

	if (permissions_apply(session->rights, &user, &rights, &err) == 0)
		return rights_features(&rights);
	log_error("session %s: permissions of user %s: %s", q->session_id, q->user, err.message);
	return 0;
}

static int ask(struct question *q, struct error *err);

static void on_looked(void *userdata)
{
	struct question *q = userdata;
	const struct session *session;
	uint32_t features = 0;
	struct error err;

	if (q->loop->is_stopping) {
		question_free(q);
		return;
	}
	session = session_list_find(q->sessions, q->session_id);
	if (session && session->rights) {
		if (!is_answered(q, session) && ask(q, &err) == 0)
			return; /* others have come meanwhile */
		features = evaluate(q, session);
	}
	q->fn(features, q->userdata);
	question_free(q);
}

static int ask(struct question *q, struct error *err)
{
	if (note_groups(q, session_list_find(q->sessions, q->session_id), err) < 0)
		return -1;
	return loop_work(q->loop, look, on_looked, q, err);
}

int access_ask(struct loop *loop, const struct session_list *sessions, const char *session_id,
	       const char *user, access_fn fn, void *userdata, struct error *err)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return error_oom(err);
	q->loop = loop;
	q->sessions = sessions;
	q->fn = fn;
	q->userdata = userdata;
	q->session_id = strdup(session_id);
	q->user = strdup(user);
	if (q->session_id && q->user && ask(q, err) == 0)
		return 0;
	if (!q->session_id || !q->user)
		(void)error_oom(err);
	question_free(q);
	return -1;
}
