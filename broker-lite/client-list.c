#include "broker-lite/client-list.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"

static int compare_id(const void *item, const void *key)
{
	const struct client *client = item;

	return strcmp(client->id, key);
}

void client_list_init(struct client_list *list, struct store *store)
{
	*list = (struct client_list){.by_id.compare = compare_id, .store = store};
}

void client_list_done(struct client_list *list)
{
	for (size_t i = 0; i < list->by_id.n; i++)
		client_free(list->by_id.items[i]);
	sorted_done(&list->by_id);
}

void client_free(struct client *client)
{
	if (!client)
		return;
	free(client->name);
	free(client->password_hash);
	free(client->server_id);
	free(client->certificate_names);
	free(client);
}

struct client *client_new(enum client_kind kind, const char *id, const char *name,
			  const char *password_hash, struct error *err)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		(void)error_oom(err);
		return NULL;
	}
	memcpy(client->id, id, strnlen(id, UUID_SIZE - 1));
	client->kind = kind;
	client->is_active = true;
	client->name = strdup(name);
	client->password_hash = strdup(password_hash);
	if (!client->name || !client->password_hash) {
		client_free(client);
		(void)error_oom(err);
		return NULL;
	}
	return client;
}

static size_t name_length(const char *name)
{
	size_t len = 0, n;

	while ((n = utf8_length(name + len)) > 0 && len + n <= CLIENT_NAME_MAX_BYTES)
		len += n;
	return len;
}

struct client *client_new_external(const char *name, struct error *err)
{
	AUTO(free_p) char *shown = strndup(name, name_length(name));
	struct client *client;

	if (!shown) {
		(void)error_oom(err);
		return NULL;
	}
	client = client_new(CLIENT_API, "external", shown, "", err);
	if (client)
		client->n_refs = 1;
	return client;
}

struct client *client_ref(struct client *client)
{
	if (client && client->n_refs > 0)
		client->n_refs++;
	return client;
}

void client_unref(struct client *client)
{
	if (client && client->n_refs > 0 && --client->n_refs == 0)
		client_free(client);
}

int client_list_add(struct client_list *list, struct client *client, struct error *err)
{
	return sorted_insert(&list->by_id, client->id, client, err);
}

static int load_client(const char *id, const char *text, void *userdata, struct error *err)
{
	struct client_list *list = userdata;
	json_auto_t *record = NULL;
	const char *kind, *name, *hash, *server_id, *names;
	struct client *client;

	if (json_parse(text, strlen(text), &record, err) < 0)
		return error_prefix(err, "client %s", id);
	kind = json_get_text(record, "kind");
	name = json_get_text(record, "name");
	hash = json_get_text(record, "password");
	if (!kind || !name || !hash || !is_uuid(id))
		return error_set(err, ERR_INVALID, "client %s: the record is damaged", id);
	client = client_new(strcmp(kind, "api") == 0 ? CLIENT_API : CLIENT_AGENT, id, name, hash,
			    err);
	if (!client)
		return -1;
	client->is_active = json_is_true(json_object_get(record, "active"));
	server_id = json_get_text(record, "server");
	if (server_id)
		client->server_id = strdup(server_id);
	names = json_get_text(record, "certificate");
	if (names)
		client->certificate_names = strdup(names);
	client->certificate_end_s = json_integer_value(json_object_get(record, "certificateEnd"));
	if (client_list_add(list, client, err) == 0)
		return 0;
	client_free(client);
	return -1;
}

int client_list_load(struct client_list *list, struct error *err)
{
	return store_load(list->store, STORE_CLIENT, load_client, list, err);
}

struct client *client_list_find(const struct client_list *list, enum client_kind kind,
				const char *id)
{
	struct client *client = sorted_find(&list->by_id, id);

	return client && client->kind == kind ? client : NULL;
}

bool client_list_has_name(const struct client_list *list, enum client_kind kind, const char *name)
{
	for (size_t i = 0; i < list->by_id.n; i++) {
		const struct client *client = list->by_id.items[i];

		if (client->kind == kind && client->is_active && strcmp(client->name, name) == 0)
			return true;
	}
	return false;
}

int client_store(const struct client_list *list, const struct client *client, store_done_fn done,
		 void *userdata, struct error *err)
{
	struct buf text = {0};
	json_auto_t *record = json_pack(
		"{s:s,s:s,s:s,s:b}", "kind", client->kind == CLIENT_API ? "api" : "agent", "name",
		client->name, "password", client->password_hash, "active", client->is_active);

	if (!record)
		return error_set(err, ERR_INVALID, "the name is not UTF-8");
	json_set_text(record, "server", client->server_id);
	json_set_text(record, "certificate", client->certificate_names);
	if (client->certificate_names)
		(void)json_object_set_new(record, "certificateEnd",
					  json_integer(client->certificate_end_s));
	if (json_append(&text, record, err) < 0)
		return -1;
	return store_put(list->store, STORE_CLIENT, client->id, &text, done, userdata, err);
}

int client_set_server(const struct client_list *list, struct client *client, const char *server_id,
		      struct error *err)
{
	char *copy = server_id ? strdup(server_id) : NULL;

	if (server_id && !copy)
		return error_oom(err);
	free(client->server_id);
	client->server_id = copy;
	return client_store(list, client, NULL, NULL, err);
}

int client_set_certificate(const struct client_list *list, struct client *client, const char *names,
			   long long end_s, struct error *err)
{
	char *copy = strdup(names);

	if (!copy)
		return error_oom(err);
	free(client->certificate_names);
	client->certificate_names = copy;
	client->certificate_end_s = end_s;
	return client_store(list, client, NULL, NULL, err);
}

bool client_has_certificate(const struct client *client)
{
	return client->is_active && client->certificate_names &&
	       client->certificate_end_s > time_now_ms() / 1000;
}
