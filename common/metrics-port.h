/**
 * A port where Prometheus gets a daemon's numbers: GET /metrics, in the clear and for everybody who can
 * reach it, which is why it listens on loopback unless an administrator says otherwise.
 */
#ifndef COMMON_METRICS_PORT_H
#define COMMON_METRICS_PORT_H

#include "common/exposition.h"
#include "common/http-server.h"

struct metrics_port {
	struct http_server *server; /* NULL: there is none */
	void (*append)(struct exposition *e, void *userdata);
	void *userdata;
};

/** What @append writes, as text for the caller to release. */
int metrics_text(void (*append)(struct exposition *e, void *userdata), void *userdata,
		 struct buf *ret, struct error *err);

/**
 * Listen at @host; port 0: do not. Each request has @append write all the numbers anew. Errors name
 * the address.
 */
int metrics_port_open(struct metrics_port *port, struct loop *loop, const char *host,
		      long long number, void (*append)(struct exposition *e, void *userdata),
		      void *userdata, struct error *err);

/** After the loop has stopped. Harmless on one that was never opened. */
void metrics_port_done(struct metrics_port *port);

#endif
