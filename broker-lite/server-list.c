#include "broker-lite/server-list.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/shape.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/number.h"

static int compare_id(const void *item, const void *key)
{
	const struct server *server = item;

	return strcmp(server->id, key);
}

void server_list_init(struct server_list *list, struct store *store)
{
	*list = (struct server_list){.by_id.compare = compare_id, .store = store};
	attributes_init(&list->attributes);
}

static void server_free(struct server *server)
{
	list_remove(&server->changed);
	timer_free(server->timer);
	json_decref(server->report);
	buf_done(&server->text);
	buf_done(&server->session_text);
	free(server->id);
	free(server);
}

void server_list_done(struct server_list *list)
{
	for (size_t i = 0; i < list->by_id.n; i++)
		server_free(list->by_id.items[i]);
	sorted_done(&list->by_id);
	attributes_done(&list->attributes);
}

struct server *server_list_find(const struct server_list *list, const char *id)
{
	return sorted_find(&list->by_id, id);
}

struct server *server_list_obtain(struct server_list *list, const char *id, struct error *err)
{
	struct server *server = server_list_find(list, id);

	if (server)
		return server;
	server = calloc(1, sizeof(*server));
	if (!server) {
		(void)error_oom(err);
		return NULL;
	}
	list_init(&server->sessions);
	list_init(&server->changed);
	server->row = ATTRIBUTES_NO_ROW;
	server->max_virtual = server->max_per_user = -1;
	server->id = strdup(id);
	if (!server->id || sorted_insert(&list->by_id, id, server, err) < 0) {
		server_free(server);
		(void)error_oom(err);
		return NULL;
	}
	return server;
}

void server_list_remove(struct server_list *list, struct server *server)
{
	attributes_clear(&list->attributes, &server->row);
	sorted_remove(&list->by_id, server->id, server);
	server_free(server);
}

static int load_mark(const char *id, const char *text, void *userdata, struct error *err)
{
	struct server *server = server_list_obtain(userdata, id, err);

	(void)text; /* the record is the mark */
	if (!server)
		return -1;
	server->is_closed = true;
	return 0;
}

int server_list_load(struct server_list *list, struct error *err)
{
	return store_load(list->store, STORE_SERVER, load_mark, list, err);
}

int server_list_set_closed(struct server_list *list, struct server *server, bool is_closed,
			   store_done_fn done, void *userdata, struct error *err)
{
	struct buf text = {0};

	if (!is_closed) {
		if (store_remove(list->store, STORE_SERVER, server->id, done, userdata, err) < 0)
			return -1;
	} else if (buf_append_text(&text, "{\"closed\":true}", err) < 0 ||
		   store_put(list->store, STORE_SERVER, server->id, &text, done, userdata, err) <
			   0) {
		return -1;
	}
	server->is_closed = is_closed;
	server_touch(server);
	return 0;
}

/* --- reports -----------------------------------------------------------------------------------
 */

struct tag {
	const char *key;
	size_t at;
	json_t *object;
};

static int compare_tags(const void *a, const void *b)
{
	const struct tag *left = a, *right = b;
	int order = strcmp(left->key, right->key);

	return order ? order : left->at < right->at ? -1 : 1;
}

/* Sorted by key; of two with one key the last one stays. Tags without key or value go. */
static json_t *sort_tags(json_t *tags)
{
	size_t n = 0;
	json_t *sorted = json_array();
	AUTO(free_p) struct tag *items = calloc(json_array_size(tags) + 1, sizeof(*items));

	for (size_t i = 0; items && i < json_array_size(tags); i++) {
		json_t *tag = json_array_get(tags, i);
		const char *key = json_get_text(tag, "Key");

		if (key && json_get_text(tag, "Value"))
			items[n++] = (struct tag){key, i, tag};
	}
	if (items)
		qsort(items, n, sizeof(*items), compare_tags);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 == n || strcmp(items[i].key, items[i + 1].key) != 0)
			(void)json_array_append(sorted, items[i].object);
	}
	return sorted;
}

static long long tag_number(const struct server *server, const char *key)
{
	const char *text = server_tag(server, key);
	long long value = -1;

	if (text)
		(void)number_parse(text, -1, 1000000, &value);
	return value;
}

static enum os_family read_family(const json_t *report)
{
	const json_t *os = json_object_get(json_object_get(report, "Host"), "Os");
	const char *family = json_get_text(os, "Family");

	if (!family || strcmp(family, "linux") == 0)
		return OS_LINUX;
	return strcmp(family, "windows") == 0 ? OS_WINDOWS : OS_OTHER;
}

/* Clients know these words and no others. */
static const char *known_reason(const char *reason)
{
	static const char *const known[] = {"SERVER_FULL", "SERVER_CLOSED", "UNHEALTHY_DCV_SERVER",
					    "EXISTING_LOGGED_IN_USER", NULL};

	for (size_t i = 0; reason && known[i]; i++) {
		if (strcmp(known[i], reason) == 0)
			return known[i];
	}
	return "UNKNOWN";
}

static void set_report(struct server *server, json_t *report)
{
	const char *availability = json_get_text(report, "Availability");

	json_decref(server->report);
	server->report = report;
	server->is_available = availability && strcmp(availability, "AVAILABLE") == 0;
	server->reason = server->is_available
				 ? NULL
				 : known_reason(json_get_text(report, "UnavailabilityReason"));
	server->family = read_family(report);
	server->load = json_number_value(json_object_get(
		json_object_get(json_object_get(report, "Host"), "CpuLoadAverage"), "OneMinute"));
	server->max_virtual = tag_number(server, "dcv:max-virtual-sessions");
	server->max_per_user = tag_number(server, "dcv:max-concurrent-sessions-per-user");
	server->has_refused = false;
	server_touch(server);
	buf_done(&server->session_text);
}

int server_list_set_report(struct server_list *list, struct server *server, json_t *report,
			   struct error *err)
{
	json_auto_t *shaped = shape_copy(&shape_server, report);

	if (!shaped ||
	    json_object_set_new(shaped, "Tags", sort_tags(json_object_get(shaped, "Tags"))) < 0)
		return error_oom(err);
	if (attributes_set(&list->attributes, &server->row, shaped, err) < 0) {
		server_list_unlist(list, server); /* not listed with half of its attributes */
		return -1;
	}
	set_report(server, TAKE(shaped));
	return 0;
}

void server_list_unlist(struct server_list *list, struct server *server)
{
	attributes_clear(&list->attributes, &server->row);
	json_decref(TAKE(server->report));
	server->reason = NULL;
	server->is_available = false;
	server_touch(server);
}

const char *server_tag(const struct server *server, const char *key)
{
	const json_t *tags = json_object_get(server->report, "Tags");

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);

		if (strcmp(json_get_text(tag, "Key"), key) == 0)
			return json_get_text(tag, "Value");
	}
	return NULL;
}

void server_touch(struct server *server)
{
	buf_done(&server->text);
}

/* Where several reasons apply, the first of the API's list is told. */
const char *server_unavailability(const struct server *server)
{
	const char *host = server->is_available ? "" : server->reason;

	/* At once, even while its sessions are given the grace to stay what they are: who asks now
	 * for a session cannot have one here. */
	if (!server->agent || !server->report)
		return "UNREACHABLE_AGENT";
	if (strcmp(host, "UNHEALTHY_DCV_SERVER") == 0)
		return host;
	if (server->is_closed || strcmp(host, "SERVER_CLOSED") == 0)
		return "SERVER_CLOSED";
	if (strcmp(host, "EXISTING_LOGGED_IN_USER") == 0)
		return host;
	if (server->n_console > 0 ||
	    (server->max_virtual >= 0 && server->n_managed >= server->max_virtual &&
	     server->family == OS_LINUX))
		return "SERVER_FULL";
	return *host ? host : NULL;
}

/* --- texts -------------------------------------------------------------------------------------
 */

static json_t *describe(const struct server *server)
{
	const char *reason = server_unavailability(server);
	json_t *object = json_copy(server->report);

	if (!object)
		return NULL;
	(void)json_object_set_new(object, "Availability",
				  json_string(reason ? "UNAVAILABLE" : "AVAILABLE"));
	if (reason)
		json_set_text(object, "UnavailabilityReason", reason);
	else
		(void)json_object_del(object, "UnavailabilityReason");
	(void)json_object_set_new(object, "ConsoleSessionCount", json_integer(server->n_console));
	(void)json_object_set_new(object, "VirtualSessionCount", json_integer(server->n_virtual));
	return object;
}

static const struct buf *render(struct buf *text, json_t *object)
{
	struct error err;

	if (!object || json_append(text, object, &err) < 0)
		buf_done(text);
	json_decref(object);
	return text->len > 0 ? text : NULL;
}

const struct buf *server_text(struct server *server)
{
	return server->text.len > 0 ? &server->text : render(&server->text, describe(server));
}

const struct buf *server_session_text(struct server *server)
{
	if (server->session_text.len > 0)
		return &server->session_text;
	return render(&server->session_text, shape_copy(&shape_server_of_session, server->report));
}
