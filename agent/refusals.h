/**
 * Refusals of strangers, as far as they are logged: who knocks at the door all day long fills no disk.
 *
 * Within a minute REFUSALS_TOLD of one source (source-address.h) for one reason are logged; at its end
 * one line tells how many more there were. What is remembered is bounded: sources and reasons beyond
 * REFUSALS_KINDS share one count.
 */
#ifndef AGENT_REFUSALS_H
#define AGENT_REFUSALS_H

#include <stdbool.h>

#include "common/loop.h"

#define REFUSALS_TOLD 5
#define REFUSALS_KINDS 64
#define REFUSALS_MINUTE_MS 60000

struct refusals;

struct refusals *refusals_new(struct loop *loop, struct error *err);

/** Somebody at @address is refused. Is it to be logged? @why: a sentence of ours. */
bool refusals_may_tell(struct refusals *refusals, const char *address, const char *why);

/** The minute is over. */
void refusals_end_minute(struct refusals *refusals);

/** When the loop stops: tells what was not told yet. And when it has stopped. Both take NULL. */
void refusals_stop(struct refusals *refusals);
void refusals_free(struct refusals *refusals);

#endif
