/**
 * What a daemon tells the service manager that started it (Type=notify): when it is up, reads its files
 * again, and ends, and in between that its loop still turns. Harmless where there is none.
 *
 * The watchdog is told twice in the time that it allows (WatchdogSec=), from the loop alone: a loop that
 * hangs is noticed, and one that only waits is not. Source: sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include "common/loop.h"

struct service {
	struct timer *watchdog; /* NULL: nobody watches */
};

/** It is up: from now on requests are answered. */
void service_start(struct service *service, struct loop *loop);

/** SIGHUP has come; service_reloaded() follows. */
void service_reloading(void);
void service_reloaded(void);

/** It ends, but may still have things to do. */
void service_stopping(void);

/** The loop stops. */
void service_stop(struct service *service);

#endif
