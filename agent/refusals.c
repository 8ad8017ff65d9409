#include "agent/refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/source-address.h"

#define WHY_SIZE 96

struct kind {
	char source[SOURCE_ADDRESS_SIZE], why[WHY_SIZE];
	unsigned long n;
};

struct refusals {
	struct timer *timer; /* runs while there are any */
	struct kind kinds[REFUSALS_KINDS];
	size_t n_kinds;
	struct kind others;
};

static void end_minute(void *userdata)
{
	refusals_end_minute(userdata);
}

struct refusals *refusals_new(struct loop *loop, struct error *err)
{
	struct refusals *refusals = calloc(1, sizeof(*refusals));

	if (!refusals) {
		(void)error_oom(err);
		return NULL;
	}
	(void)strcpy(refusals->others.source, "other addresses");
	(void)strcpy(refusals->others.why, "various reasons");
	refusals->timer = timer_new(loop, end_minute, refusals);
	if (refusals->timer)
		return refusals;
	free(refusals);
	(void)error_oom(err);
	return NULL;
}

static struct kind *find(struct refusals *refusals, const char *source, const char *why)
{
	struct kind *kind;

	for (size_t i = 0; i < refusals->n_kinds; i++) {
		kind = &refusals->kinds[i];
		if (strcmp(kind->source, source) == 0 && strncmp(kind->why, why, WHY_SIZE - 1) == 0)
			return kind;
	}
	if (refusals->n_kinds == REFUSALS_KINDS)
		return &refusals->others;
	kind = &refusals->kinds[refusals->n_kinds++];
	(void)snprintf(kind->source, sizeof(kind->source), "%s", source);
	(void)snprintf(kind->why, sizeof(kind->why), "%s", why);
	kind->n = 0;
	return kind;
}

bool refusals_may_tell(struct refusals *refusals, const char *address, const char *why)
{
	char source[SOURCE_ADDRESS_SIZE];

	if (refusals->timer && !timer_is_active(refusals->timer))
		timer_start(refusals->timer, REFUSALS_MINUTE_MS, 0);
	source_address(address, source);
	return ++find(refusals, source, why)->n <= REFUSALS_TOLD;
}

static void tell(struct kind *kind)
{
	if (kind->n > REFUSALS_TOLD)
		log_warning("%lu further refusals from %s in the last minute: %s",
			    kind->n - REFUSALS_TOLD, kind->source, kind->why);
	kind->n = 0;
}

void refusals_end_minute(struct refusals *refusals)
{
	for (size_t i = 0; i < refusals->n_kinds; i++)
		tell(&refusals->kinds[i]);
	tell(&refusals->others);
	refusals->n_kinds = 0;
}

void refusals_stop(struct refusals *refusals)
{
	if (!refusals)
		return;
	refusals_end_minute(refusals);
	timer_free(TAKE(refusals->timer));
}

void refusals_free(struct refusals *refusals)
{
	if (!refusals)
		return;
	timer_free(refusals->timer);
	free(refusals);
}
