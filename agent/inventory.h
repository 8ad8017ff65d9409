/**
 * What this host is: the parts of the API's Host object, its names and its address.
 *
 * Everything comes from system calls and files below @root, which is "" on a real host and a made
 * tree in tests. A source that fails leaves its part out, never the report.
 * Source: the API reference, "Host"; proc(5), os-release(5).
 */
#ifndef AGENT_INVENTORY_H
#define AGENT_INVENTORY_H

#include <jansson.h>
#include <stddef.h>

/** A new "Host" object. NULL without memory. */
json_t *inventory_host(const char *root);

/** One-minute load average; negative if unknown. */
double inventory_load(const char *root);

/** Host name as the kernel has it, without domain. */
void inventory_hostname(char *ret, size_t size);

/** Fully qualified name, else the host name. Asks the resolver, so call it before the loop runs. */
void inventory_dns_name(char *ret, size_t size);

/**
 * The address others reach this host by: that of @preferred_interface (may be NULL), else of the
 * first interface that is up and no loopback, IPv4 before IPv6, else 127.0.0.1.
 */
void inventory_address(const char *preferred_interface, char *ret, size_t size);

#endif
