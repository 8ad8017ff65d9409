#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/permissions-parts.h"

const char *rule_name(enum rule rule)
{
	static const char *const names[] = {[RULE_NONE] = "",
					    [RULE_ALLOW] = "allow",
					    [RULE_DISALLOW] = "disallow",
					    [RULE_DENY] = "deny"};

	return names[rule];
}

bool permissions_same_user(const struct permissions *permissions, const char *a, const char *b)
{
	return (permissions->ignores_case ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

/* Does the term mean the user? @meant: whether those before it do. */
static bool means(const struct term *term, const struct permissions_user *user, const bool *meant)
{
	switch (term->kind) {
	case TERM_OWNER:
		return user->is_owner;
	case TERM_ANY:
		return true;
	case TERM_USER:
		return user->name && term_is_named(term, user->name);
	case TERM_OS_GROUP:
		return user->is_in_os_group && user->is_in_os_group(term->name, user->userdata);
	case TERM_GROUP:
		for (size_t i = 0; i < term->n_members; i++) {
			if (meant[term->members[i].to->index])
				return true;
		}
		return false;
	case TERM_ALIAS:
		break;
	}
	return false;
}

static void apply(const struct permission *entry, struct rights *rights)
{
	uint32_t features = entry->features->features;

	for (unsigned i = 0; i < N_FEATURES; i++) {
		/* what was denied stays so, and by the line that did it first */
		if ((features & FEATURE_BIT(i)) && !(rights->denied & FEATURE_BIT(i)))
			rights->grounds[i] = (struct ground){entry->rule, entry->place};
	}
	if (entry->rule == RULE_ALLOW)
		rights->granted |= features;
	else if (entry->rule == RULE_DISALLOW)
		rights->granted &= ~features;
	else
		rights->denied |= features;
}

int permissions_apply(const struct permissions *permissions, const struct permissions_user *user,
		      struct rights *rights, struct error *err)
{
	AUTO(free_p) bool *meant = calloc(permissions->n_terms + 1, sizeof(*meant));

	if (!meant)
		return error_oom(err);
	for (size_t i = 0; i < permissions->n_terms; i++)
		meant[i] = means(permissions->terms[i], user, meant);
	for (size_t i = 0; i < permissions->n_entries; i++) {
		const struct permission *entry = &permissions->entries[i];

		if (meant[entry->actor->index])
			apply(entry, rights);
	}
	return 0;
}

uint32_t rights_features(const struct rights *rights)
{
	return rights->granted & ~rights->denied;
}

const char *permissions_next_os_group(const struct permissions *permissions, size_t *at,
				      struct place *ret_place)
{
	while (*at < permissions->n_terms) {
		const struct term *term = permissions->terms[(*at)++];

		if (term->kind != TERM_OS_GROUP)
			continue;
		*ret_place = term->place;
		return term->name;
	}
	return NULL;
}
