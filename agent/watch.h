/**
 * What changes on this host without telling: its address and name, who is logged in, whether its
 * engine can hold sessions. It is looked at every few seconds, what may take its time on another
 * thread; a change is reported at once.
 */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include "agent/agent.h"

#define WATCH_INTERVAL_MS 10000

struct watch;

/** Begin to look; the agent is borrowed, and its on_change() called. */
struct watch *watch_new(struct agent *agent, struct error *err);

/** When the loop stops, and when it has stopped. Both take NULL. */
void watch_stop(struct watch *watch);
void watch_free(struct watch *watch);

#endif
