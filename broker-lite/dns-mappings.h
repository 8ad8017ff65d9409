/**
 * Names under which Connection Gateways reach the servers, as the administrator has loaded them.
 *
 * All of them are one record in the store: a file is loaded as a whole or not at all. Source: the
 * administrator reference, "Server DNS mapping".
 */
#ifndef BROKER_DNS_MAPPINGS_H
#define BROKER_DNS_MAPPINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "broker-lite/sorted.h"
#include "broker-lite/store.h"

/** What a mapping knows a server by; if several fit one server, the first of these counts. */
enum dns_mapping_kind { MAPPING_ID, MAPPING_EC2_INSTANCE, MAPPING_IP, N_MAPPING_KINDS };

struct dns_mapping {
	enum dns_mapping_kind kind;
	char *server_id; /* the value of that kind; an address in its shortest form */
	char *internal;  /* the name that gateways use */
	char *external;  /* NULL: none; only shown */
};

struct dns_mappings {
	struct sorted by_server; /* by kind, then value */
	struct store *store;
};

void dns_mappings_init(struct dns_mappings *mappings, struct store *store);
void dns_mappings_done(struct dns_mappings *mappings);
int dns_mappings_load(struct dns_mappings *mappings, struct error *err);

/**
 * Add what the JSON array in @text says, over what is there for the same server, or, if
 * @is_replacing, instead of all that is there. *ret_n: how many servers it is for. ERR_INVALID
 * names the element, counted from 0, that is wrong; then nothing has changed. It counts at once
 * and is in the store when @done says so.
 */
int dns_mappings_put(struct dns_mappings *mappings, const char *text, size_t len, bool is_replacing,
		     size_t *ret_n, store_done_fn done, void *userdata, struct error *err);

/** Only the reading of that, into @mappings, which are empty; on failure some may be there. */
int dns_mappings_read(struct dns_mappings *mappings, const char *text, size_t len, size_t *ret_n,
		      struct error *err);

/** The name for a server of which DescribeServers tells @server; NULL: none was given. */
const char *dns_mappings_find(const struct dns_mappings *mappings, const json_t *server);

/** As describe-server-dns-mappings shows them; NULL without memory. */
json_t *dns_mappings_to_json(const struct dns_mappings *mappings);

#endif
