/** Tells when the addresses of this host change. */
#ifndef BROKER_ADDRESS_WATCH_H
#define BROKER_ADDRESS_WATCH_H

#include "common/loop.h"

struct address_watch;

/** @fn is called a second after a change, once for all that came meanwhile. */
struct address_watch *address_watch_new(struct loop *loop, timer_fn fn, void *userdata,
					struct error *err);

/** When the loop is about to stop. Takes NULL. */
void address_watch_free(struct address_watch *watch);

#endif
