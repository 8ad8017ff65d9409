/** How a simulated agent behaves: the "Behaviour" of the file and of the control socket. */
#ifndef FLEET_BEHAVIOUR_H
#define FLEET_BEHAVIOUR_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

#define BEHAVIOUR_FAIL_ALWAYS (-1)

struct behaviour {
	unsigned long long create_ms; /* from the order to READY, or to the failure */
	long long fail_creates;       /* how many more fail, or BEHAVIOUR_FAIL_ALWAYS */
	json_t *fail_reason;          /* string, shared */
	bool is_hanging;              /* reads and reports, and carries out and answers nothing */
	unsigned long long silent_after_ms; /* with the link up; 0: never */
	json_t *picture;                    /* {"Format","Data"}, shared */
};

/** As a server without a "Behaviour" behaves. */
int behaviour_init(struct behaviour *behaviour, struct error *err);
void behaviour_copy(struct behaviour *ret, const struct behaviour *behaviour);
void behaviour_done(struct behaviour *behaviour);

/**
 * Change what @object has: create_ms, fail_creates (a count, true, false), fail_reason, hang,
 * silent_after_s (null: never), screenshot (a file; null: the one made here). All of it or, with
 * ERR_INVALID and the name of the key, nothing.
 */
int behaviour_set(struct behaviour *behaviour, const json_t *object, struct error *err);

#endif
