#include "tests/doubles/fleet/template.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"

/* --- checking ----------------------------------------------------------------------------------
 */

static const struct key {
	const char *name;
	json_type type;
	bool is_required;
} keys[] = {
	{"Id", JSON_STRING, true},
	{"Hostname", JSON_STRING, true},
	{"Ip", JSON_STRING, true},
	{"DefaultDnsName", JSON_STRING, false},
	{"Port", JSON_STRING, false},
	{"WebUrlPath", JSON_STRING, false},
	{"Version", JSON_STRING, false},
	{"SessionManagerAgentVersion", JSON_STRING, false},
	{"Availability", JSON_STRING, false},
	{"UnavailabilityReason", JSON_STRING, false},
	{"ConsoleSessionCount", JSON_INTEGER, false},
	{"VirtualSessionCount", JSON_INTEGER, false},
	{"Endpoints", JSON_ARRAY, false},
	{"Tags", JSON_ARRAY, false},
	{"Host", JSON_OBJECT, false},
	{"Behaviour", JSON_OBJECT, false},
};

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_ARRAY:
		return "an array";
	default:
		return "an object";
	}
}

static int check_keys(const json_t *server, struct error *err)
{
	size_t n_known = 0;
	const char *name;
	json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		value = json_object_get(server, keys[i].name);
		if (!value && keys[i].is_required)
			return error_set(err, ERR_INVALID, "%s is missing", keys[i].name);
		if (value && json_typeof(value) != keys[i].type)
			return error_set(err, ERR_INVALID, "%s must be %s", keys[i].name,
					 type_name(keys[i].type));
		if (value && keys[i].is_required && json_string_length(value) == 0)
			return error_set(err, ERR_INVALID, "%s is empty", keys[i].name);
		n_known += value != NULL;
	}
	if (n_known == json_object_size(server))
		return 0;
	json_object_foreach((json_t *)server, name, value)
	{
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			is_known = is_known || strcmp(keys[i].name, name) == 0;
		if (!is_known)
			return error_set(err, ERR_INVALID, "unknown key %.100s", name);
	}
	return 0;
}

static int check_tags(const json_t *tags, struct error *err)
{
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);

		if (!json_get_text(tag, "Key") || !json_get_text(tag, "Value"))
			return error_set(err, ERR_INVALID,
					 "Tags[%zu] must have Key and Value, both strings", i);
	}
	return 0;
}

static int check_endpoints(const json_t *endpoints, struct error *err)
{
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		const json_t *endpoint = json_array_get(endpoints, i);

		if (!json_is_object(endpoint))
			return error_set(err, ERR_INVALID, "Endpoints[%zu] must be an object", i);
	}
	return 0;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static int read_template(struct template *ret, const json_t *element, const struct behaviour *usual,
			 struct error *err)
{
	const json_t *behaviour = json_object_get(element, "Behaviour");

	behaviour_copy(&ret->behaviour, usual);
	if (!json_is_object(element))
		return error_set(err, ERR_INVALID, "must be an object");
	if (check_keys(element, err) < 0 || check_tags(json_object_get(element, "Tags"), err) < 0 ||
	    check_endpoints(json_object_get(element, "Endpoints"), err) < 0)
		return -1;
	if (behaviour && behaviour_set(&ret->behaviour, behaviour, err) < 0)
		return error_prefix(err, "Behaviour");
	ret->server = json_copy((json_t *)element);
	if (!ret->server)
		return error_oom(err);
	(void)json_object_del(ret->server, "Behaviour");
	return 0;
}

/* Two servers of one Id would be one to the broker, with two truths. */
static int check_id(const struct template_list *list, json_t *seen, struct error *err)
{
	const char *id = json_get_text(list->templates[list->n_templates - 1].server, "Id");
	const json_t *other = json_object_get(seen, id);

	if (other)
		return error_set(err, ERR_INVALID, "Id %.200s is that of element %lld too", id,
				 (long long)json_integer_value(other));
	if (json_object_set_new(seen, id, json_integer((json_int_t)list->n_templates - 1)) < 0)
		return error_oom(err);
	return 0;
}

static int read_templates(struct template_list *ret, const json_t *array, struct error *err)
{
	AUTO(behaviour_done) struct behaviour usual = {0};
	json_auto_t *seen = json_object();

	if (!json_is_array(array) || json_array_size(array) == 0)
		return error_set(err, ERR_INVALID, "must be an array with at least one server");
	ret->templates = calloc(json_array_size(array), sizeof(struct template));
	ret->taken = json_object();
	if (!ret->templates || !ret->taken || !seen)
		return error_oom(err);
	if (behaviour_init(&usual, err) < 0)
		return -1;
	while (ret->n_templates < json_array_size(array)) {
		size_t i = ret->n_templates++;

		if (read_template(&ret->templates[i], json_array_get(array, i), &usual, err) < 0 ||
		    check_id(ret, seen, err) < 0)
			return error_prefix(err, "element %zu", i);
		(void)json_object_set_new(ret->taken, json_get_text(ret->templates[i].server, "Ip"),
					  json_true());
	}
	return 0;
}

int template_list_parse(struct template_list *ret, const char *text, size_t len, struct error *err)
{
	struct template_list list = {0};
	json_auto_t *array = NULL;

	if (json_parse(text, len, &array, err) < 0)
		return -1;
	if (read_templates(&list, array, err) < 0) {
		template_list_done(&list);
		return -1;
	}
	*ret = list;
	return 0;
}

int template_list_read(struct template_list *ret, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (file_read(path, TEMPLATE_FILE_MAX_BYTES, &text, err) < 0)
		return -1;
	if (template_list_parse(ret, text.data ? text.data : "", text.len, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

void template_list_done(struct template_list *list)
{
	for (size_t i = 0; i < list->n_templates; i++) {
		json_decref(list->templates[i].server);
		behaviour_done(&list->templates[i].behaviour);
	}
	free(list->templates);
	json_decref(list->taken);
	*list = (struct template_list){0};
}

/* --- making servers ----------------------------------------------------------------------------
 */

/* The address after @address; false if that is none, a host name for instance. */
static bool next_address(char address[64])
{
	unsigned char bytes[16];
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	size_t n = family == AF_INET ? 4 : 16;

	if (inet_pton(family, address, bytes) != 1)
		return false;
	while (n-- > 0 && ++bytes[n] == 0)
		;
	return inet_ntop(family, bytes, address, 64) != NULL;
}

/* Leaves "" where the template has no address that could be counted up. */
static void take_address(struct template_list *list, struct template *template)
{
	do {
		if (!next_address(template->address)) {
			template->address[0] = '\0';
			return;
		}
	} while (json_object_get(list->taken, template->address));
	(void)json_object_set_new(list->taken, template->address, json_true());
}

static int number_text(json_t *server, const char *key, unsigned number, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (buf_printf(&text, err, "%s-%u", json_get_text(server, key), number) < 0)
		return -1;
	json_set_text(server, key, text.data);
	return 0;
}

/* "cad.lab.example" of host "cad" becomes "cad-7.lab.example". */
static int number_dns_name(json_t *server, const char *hostname, unsigned number, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	const char *name = json_get_text(server, "DefaultDnsName");
	size_t len = strlen(hostname);

	if (!name)
		return 0;
	if (strncmp(name, hostname, len) != 0)
		return number_text(server, "DefaultDnsName", number, err);
	if (buf_printf(&text, err, "%s-%u%s", hostname, number, name + len) < 0)
		return -1;
	json_set_text(server, "DefaultDnsName", text.data);
	return 0;
}

/* Endpoints at the template's address move along. */
static int move_endpoints(json_t *server, const char *from, const char *to, struct error *err)
{
	json_t *endpoints = json_deep_copy(json_object_get(server, "Endpoints"));

	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		json_t *endpoint = json_array_get(endpoints, i);
		const char *address = json_get_text(endpoint, "IpAddress");

		if (address && strcmp(address, from) == 0)
			json_set_text(endpoint, "IpAddress", to);
	}
	if (endpoints && json_object_set_new(server, "Endpoints", endpoints) < 0)
		return error_oom(err);
	return 0;
}

static int set_address(struct template_list *list, struct template *template, json_t *server,
		       unsigned number, struct error *err)
{
	const char *before = json_get_text(template->server, "Ip");

	if (number == 1) {
		(void)snprintf(template->address, sizeof(template->address), "%s", before);
		return 0;
	}
	take_address(list, template);
	if (!template->address[0])
		return number_text(server, "Ip", number, err);
	json_set_text(server, "Ip", template->address);
	return move_endpoints(server, before, template->address, err);
}

json_t *template_make_server(struct template_list *list, struct template *template, unsigned number,
			     unsigned count, struct error *err)
{
	json_auto_t *server = json_copy(template->server);

	if (!server) {
		(void)error_oom(err);
		return NULL;
	}
	if (count > 1 &&
	    (number_dns_name(server, json_get_text(server, "Hostname"), number, err) < 0 ||
	     number_text(server, "Id", number, err) < 0 ||
	     number_text(server, "Hostname", number, err) < 0 ||
	     set_address(list, template, server, number, err) < 0))
		return NULL;
	return json_incref(server);
}
