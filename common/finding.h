/**
 * Findings of a check of the host: what was looked at, how it is, and what to do about it. A list of
 * them is a JSON array of {"Check", "State", "Text"} and, where something is to be done, "Advice".
 */
#ifndef COMMON_FINDING_H
#define COMMON_FINDING_H

#include <jansson.h>

/** In the order of their weight. */
enum finding_state {
	FINDING_OK,
	FINDING_NOT_CHECKED, /* could not be, for this user for instance */
	FINDING_WARNING,     /* sessions work; something is missing or soon will be */
	FINDING_ERROR,       /* sessions do not work, or not all */
	N_FINDING_STATES
};

/** "OK", "NOT_CHECKED" and so on. */
const char *finding_state_name(enum finding_state state);

/** The state of a finding; what has none that we know is an error. */
enum finding_state finding_state(const json_t *finding);

/**
 * Append a finding. @check: a word for what was looked at; @advice: what to do, or NULL. Without
 * memory it is not there.
 */
void finding_add(json_t *findings, const char *check, enum finding_state state, const char *advice,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));

/** How many there are of each state. */
struct finding_counts {
	size_t n[N_FINDING_STATES];
};
struct finding_counts finding_count(const json_t *findings);

#endif
