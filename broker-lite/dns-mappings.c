#include "broker-lite/dns-mappings.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

#define RECORD_ID "all"
#define VALUE_MAX_BYTES 1024
#define NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

static const char *const kind_names[N_MAPPING_KINDS] = {
	[MAPPING_ID] = "Id",
	[MAPPING_EC2_INSTANCE] = "Host.Aws.Ec2InstanceId",
	[MAPPING_IP] = "Ip",
};

struct key {
	enum dns_mapping_kind kind;
	const char *server_id;
};

static int compare_server(const void *item, const void *wanted)
{
	const struct dns_mapping *mapping = item;
	const struct key *key = wanted;

	if (mapping->kind != key->kind)
		return mapping->kind < key->kind ? -1 : 1;
	return strcmp(mapping->server_id, key->server_id);
}

static void mapping_free(struct dns_mapping *mapping)
{
	if (!mapping)
		return;
	free(mapping->server_id);
	free(mapping->internal);
	free(mapping->external);
	free(mapping);
}

static void mapping_p(struct dns_mapping **mapping)
{
	mapping_free(*mapping);
}

void dns_mappings_init(struct dns_mappings *mappings, struct store *store)
{
	*mappings = (struct dns_mappings){.by_server.compare = compare_server, .store = store};
}

void dns_mappings_done(struct dns_mappings *mappings)
{
	for (size_t i = 0; i < mappings->by_server.n; i++)
		mapping_free(mappings->by_server.items[i]);
	sorted_done(&mappings->by_server);
}

/* --- one element -------------------------------------------------------------------------------
 */

/* "ServerId" and "serverId", "DnsNames" and "DnsName": guides and output do not agree. */
static bool is_key(const char *key, const char *singular)
{
	size_t len = strlen(singular);

	return strncasecmp(key, singular, len) == 0 &&
	       (key[len] == '\0' || strcasecmp(key + len, "s") == 0);
}

/* The values of the fields, in their order; each at most once and no others. */
static int pick(const json_t *object, const char *const *fields, const json_t **ret, size_t n,
		struct error *err)
{
	const char *key;
	json_t *value;
	size_t i;

	for (i = 0; i < n; i++)
		ret[i] = NULL;
	if (!json_is_object(object))
		return error_set(err, ERR_INVALID, "it must be an object");
	json_object_foreach((json_t *)object, key, value)
	{
		for (i = 0; i < n && !is_key(key, fields[i]); i++)
			;
		if (i == n)
			return error_set(err, ERR_INVALID, "what is \"%.40s\"?", key);
		if (ret[i])
			return error_set(err, ERR_INVALID, "%s is there twice", fields[i]);
		ret[i] = value;
	}
	return 0;
}

static int read_text(const json_t *value, const char *field, const char **ret, struct error *err)
{
	*ret = json_string_value(value);
	if (!value)
		return error_set(err, ERR_INVALID, "%s is missing", field);
	if (!*ret || !**ret || strlen(*ret) > VALUE_MAX_BYTES)
		return error_set(err, ERR_INVALID, "%s must be a string of 1 to %d bytes", field,
				 VALUE_MAX_BYTES);
	return 0;
}

static bool is_dns_name(const char *name)
{
	size_t label = 0, len = strlen(name);

	if (len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_last = name[i + 1] == '.' || name[i + 1] == '\0';

		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
			    name[i]) ||
		    ++label > LABEL_MAX_BYTES || (name[i] == '-' && (label == 1 || is_last)))
			return false;
	}
	return true;
}

static int read_name(const json_t *value, const char *field, char **ret, struct error *err)
{
	const char *name;

	if (read_text(value, field, &name, err) < 0)
		return -1;
	if (!is_dns_name(name))
		return error_set(err, ERR_INVALID, "%s: '%.80s' is not a DNS name", field, name);
	*ret = strdup(name);
	return *ret ? 0 : error_oom(err);
}

static int read_names(const json_t *names, struct dns_mapping *ret, struct error *err)
{
	static const char *const fields[] = {"InternalDnsName", "ExternalDnsName"};
	const json_t *values[ARRAY_SIZE(fields)];

	if (!names)
		return error_set(err, ERR_INVALID, "DnsNames is missing");
	if (pick(names, fields, values, ARRAY_SIZE(fields), err) < 0)
		return error_prefix(err, "DnsNames");
	if (read_name(values[0], fields[0], &ret->internal, err) < 0)
		return -1;
	return values[1] && !json_is_null(values[1])
		       ? read_name(values[1], fields[1], &ret->external, err)
		       : 0;
}

/* One address may be written in several ways. */
static char *normalize_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];
	char shortest[INET6_ADDRSTRLEN];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, address) != 1 ||
	    !inet_ntop(family, address, shortest, sizeof(shortest)))
		return NULL;
	return strdup(shortest);
}

static int read_server(const json_t *kind, const json_t *id, struct dns_mapping *ret,
		       struct error *err)
{
	const char *name, *text;
	size_t i;

	if (read_text(kind, "ServerIdType", &name, err) < 0 ||
	    read_text(id, "ServerId", &text, err) < 0)
		return -1;
	for (i = 0; i < N_MAPPING_KINDS && strcasecmp(kind_names[i], name) != 0; i++)
		;
	if (i == N_MAPPING_KINDS)
		return error_set(err, ERR_INVALID,
				 "ServerIdType must be Ip, Id or "
				 "Host.Aws.Ec2InstanceId, not '%.40s'",
				 name);
	ret->kind = (enum dns_mapping_kind)i;
	ret->server_id = ret->kind == MAPPING_IP ? normalize_address(text) : strdup(text);
	if (ret->server_id)
		return 0;
	return ret->kind == MAPPING_IP
		       ? error_set(err, ERR_INVALID, "ServerId: '%.60s' is not an address", text)
		       : error_oom(err);
}

/* Takes @mapping, in place of the one there is. */
static int insert(struct dns_mappings *mappings, struct dns_mapping *mapping, struct error *err)
{
	const struct key key = {mapping->kind, mapping->server_id};
	struct dns_mapping *before = sorted_find(&mappings->by_server, &key);

	if (before)
		sorted_remove(&mappings->by_server, &key, before);
	if (sorted_insert(&mappings->by_server, &key, mapping, err) < 0) {
		mapping_free(before);
		mapping_free(mapping);
		return -1;
	}
	mapping_free(before);
	return 0;
}

static int read_element(struct dns_mappings *mappings, const json_t *element, struct error *err)
{
	static const char *const fields[] = {"ServerIdType", "ServerId", "DnsName"};
	const json_t *values[ARRAY_SIZE(fields)];
	AUTO(mapping_p) struct dns_mapping *mapping = calloc(1, sizeof(*mapping));

	if (!mapping)
		return error_oom(err);
	if (pick(element, fields, values, ARRAY_SIZE(fields), err) < 0 ||
	    read_server(values[0], values[1], mapping, err) < 0 ||
	    read_names(values[2], mapping, err) < 0)
		return -1;
	return insert(mappings, TAKE(mapping), err);
}

/* --- all of them -------------------------------------------------------------------------------
 */

int dns_mappings_read(struct dns_mappings *mappings, const char *text, size_t len, size_t *ret_n,
		      struct error *err)
{
	json_auto_t *array = NULL;
	json_t *element;
	size_t i, before = mappings->by_server.n;

	if (json_parse(text, len, &array, err) < 0)
		return -1;
	if (!json_is_array(array))
		return error_set(err, ERR_INVALID, "it must be a JSON array of mappings");
	json_array_foreach(array, i, element)
	{
		if (read_element(mappings, element, err) < 0)
			return error_prefix(err, "element %zu", i);
	}
	*ret_n = mappings->by_server.n - before;
	if (*ret_n < i)
		log_warning(
			"DNS mappings: %zu of %zu are left out, because one for the same server "
			"comes later",
			i - *ret_n, i);
	return 0;
}

static int copy_all(const struct dns_mappings *from, struct dns_mappings *ret, struct error *err)
{
	for (size_t i = 0; i < from->by_server.n; i++) {
		const struct dns_mapping *mapping = from->by_server.items[i];
		struct dns_mapping *copy = calloc(1, sizeof(*copy));

		if (!copy)
			return error_oom(err);
		copy->kind = mapping->kind;
		copy->server_id = strdup(mapping->server_id);
		copy->internal = strdup(mapping->internal);
		copy->external = mapping->external ? strdup(mapping->external) : NULL;
		if (!copy->server_id || !copy->internal || (mapping->external && !copy->external)) {
			mapping_free(copy);
			return error_oom(err);
		}
		if (insert(ret, copy, err) < 0)
			return -1;
	}
	return 0;
}

static int store_all(const struct dns_mappings *mappings, store_done_fn done, void *userdata,
		     struct error *err)
{
	json_auto_t *array = dns_mappings_to_json(mappings);
	struct buf text = {0};

	if (json_append(&text, array, err) < 0) {
		buf_done(&text);
		return -1;
	}
	return store_put(mappings->store, STORE_DNS_MAPPINGS, RECORD_ID, &text, done, userdata,
			 err);
}

int dns_mappings_put(struct dns_mappings *mappings, const char *text, size_t len, bool is_replacing,
		     size_t *ret_n, store_done_fn done, void *userdata, struct error *err)
{
	AUTO(dns_mappings_done) struct dns_mappings given, all;
	size_t n = 0;

	dns_mappings_init(&given, mappings->store);
	dns_mappings_init(&all, mappings->store);
	if (dns_mappings_read(&given, text, len, &n, err) < 0 ||
	    (!is_replacing && copy_all(mappings, &all, err) < 0) ||
	    copy_all(&given, &all, err) < 0 || store_all(&all, done, userdata, err) < 0)
		return -1;
	dns_mappings_done(mappings);
	*mappings = all;
	all.by_server = (struct sorted){0};
	*ret_n = n;
	return 0;
}

static int load_record(const char *id, const char *text, void *userdata, struct error *err)
{
	size_t n;

	(void)id;
	if (dns_mappings_read(userdata, text, strlen(text), &n, err) < 0)
		return error_prefix(err, "DNS mappings");
	return 0;
}

int dns_mappings_load(struct dns_mappings *mappings, struct error *err)
{
	return store_load(mappings->store, STORE_DNS_MAPPINGS, load_record, mappings, err);
}

/* --- asked for ---------------------------------------------------------------------------------
 */

static const char *find(const struct dns_mappings *mappings, enum dns_mapping_kind kind,
			const char *server_id)
{
	const struct key key = {kind, server_id};
	const struct dns_mapping *mapping = server_id ? sorted_find(&mappings->by_server, &key)
						      : NULL;

	return mapping ? mapping->internal : NULL;
}

const char *dns_mappings_find(const struct dns_mappings *mappings, const json_t *server)
{
	const json_t *aws = json_object_get(json_object_get(server, "Host"), "Aws");
	const char *ip = json_get_text(server, "Ip");
	AUTO(free_p) char *address = ip ? normalize_address(ip) : NULL;
	const char *name = find(mappings, MAPPING_ID, json_get_text(server, "Id"));

	if (!name)
		name = find(mappings, MAPPING_EC2_INSTANCE, json_get_text(aws, "EC2InstanceId"));
	return name ? name : find(mappings, MAPPING_IP, address);
}

json_t *dns_mappings_to_json(const struct dns_mappings *mappings)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < mappings->by_server.n; i++) {
		const struct dns_mapping *mapping = mappings->by_server.items[i];
		json_t *element = json_pack(
			"{s:s,s:s,s:{s:s}}", "serverIdType", kind_names[mapping->kind], "serverId",
			mapping->server_id, "dnsNames", "internalDnsName", mapping->internal);

		json_set_text(json_object_get(element, "dnsNames"), "externalDnsName",
			      mapping->external);
		if (json_array_append_new(array, element) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}
