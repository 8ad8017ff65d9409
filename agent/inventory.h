/**
 * What this host is: the API's Host object, its name and its address.
 *
 * Everything comes from system calls and files below @root, which is "" on a real host and a made
 * tree in tests. A source that fails leaves its part out, never the report. What is soldered in,
 * processors and GPUs, is read once; what may take its time is found out elsewhere (watch.h,
 * ec2.h) and handed in; the rest is read anew for every answer.
 * Source: the API reference, "Host"; proc(5), os-release(5).
 */
#ifndef AGENT_INVENTORY_H
#define AGENT_INVENTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct inventory {
	const char *root;
	json_t *cpus; /* NULL: unknown */
	json_t *gpus;
	json_t *users;
	json_t *aws; /* NULL: no EC2 instance, or not known to be one yet */
};

/** @root is borrowed. End with inventory_done(), also on failure. */
int inventory_init(struct inventory *inventory, const char *root, struct error *err);
void inventory_done(struct inventory *inventory);

/** Take a part: "Aws", or "LoggedInUsers". */
void inventory_set_aws(struct inventory *inventory, json_t *aws);
void inventory_set_users(struct inventory *inventory, json_t *users);

/** A new "Host" object. NULL without memory. */
json_t *inventory_host(const struct inventory *inventory);

/** Host name as the kernel has it, without domain. */
void inventory_hostname(char *ret, size_t size);

/** Fully qualified name, else the host name. Asks the resolver: not on the loop. */
void inventory_dns_name(char *ret, size_t size);

/**
 * The address others reach this host by: that of @preferred_interface (may be NULL), else of the
 * first interface that is up and no loopback, IPv4 before IPv6, else 127.0.0.1.
 */
void inventory_address(const char *preferred_interface, char *ret, size_t size);

#endif
