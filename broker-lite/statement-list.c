#include "broker-lite/statement-list.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"

static int compare_id(const void *item, const void *key)
{
	const struct statement *statement = item;

	return strcmp(statement->id, key);
}

static void statement_free(struct statement *statement)
{
	if (!statement)
		return;
	free(statement->text);
	free(statement);
}

static void statement_p(struct statement **statement)
{
	statement_free(*statement);
}

void statement_list_init(struct statement_list *list, struct store *store)
{
	*list = (struct statement_list){.by_id.compare = compare_id, .store = store};
}

void statement_list_done(struct statement_list *list)
{
	for (size_t i = 0; i < list->by_id.n; i++)
		statement_free(list->by_id.items[i]);
	sorted_done(&list->by_id);
}

static int load_statement(const char *id, const char *text, void *userdata, struct error *err)
{
	struct statement_list *list = userdata;
	json_auto_t *record = NULL;
	AUTO(statement_p) struct statement *statement = calloc(1, sizeof(*statement));
	const char *handed_out;

	if (!statement)
		return error_oom(err);
	if (json_parse(text, strlen(text), &record, err) < 0)
		return error_prefix(err, "software statement %s", id);
	handed_out = json_get_text(record, "text");
	if (!handed_out || !is_uuid(id))
		return error_set(err, ERR_INVALID, "software statement %s: the record is damaged",
				 id);
	memcpy(statement->id, id, UUID_SIZE);
	statement->is_active = json_is_true(json_object_get(record, "active"));
	statement->issued_ms = json_integer_value(json_object_get(record, "issued"));
	statement->text = strdup(handed_out);
	if (!statement->text)
		return error_oom(err);
	if (sorted_insert(&list->by_id, statement->id, statement, err) < 0)
		return -1;
	(void)TAKE(statement);
	return 0;
}

int statement_list_load(struct statement_list *list, struct error *err)
{
	return store_load(list->store, STORE_STATEMENT, load_statement, list, err);
}

int statement_list_find(const struct statement_list *list, const char *text, struct statement **ret,
			struct error *err)
{
	AUTO(buf_done) struct buf decoded = {0};
	json_auto_t *content = NULL;
	const char *id = NULL;
	struct statement *statement;

	if (base64_decode(text, &decoded, err) == 0 &&
	    json_parse(decoded.data ? decoded.data : "", decoded.len, &content, err) == 0)
		id = json_get_text(content, "id");
	/* It is a secret, of which a message about its form would quote a part. */
	if (!id)
		return error_set(
			err, ERR_INVALID,
			"the software statement is not Base64 of a JSON object with an id");
	statement = sorted_find(&list->by_id, id);
	if (!statement || !statement->is_active)
		return error_set(err, ERR_DENIED,
				 "the software statement is not known or not active");
	*ret = statement;
	return 0;
}

const struct statement *statement_list_newest(const struct statement_list *list)
{
	const struct statement *newest = NULL;

	for (size_t i = 0; i < list->by_id.n; i++) {
		const struct statement *statement = list->by_id.items[i];

		if (statement->is_active && (!newest || statement->issued_ms > newest->issued_ms))
			newest = statement;
	}
	return newest;
}

static int store_statement(const struct statement_list *list, const struct statement *statement,
			   store_done_fn done, void *userdata, struct error *err)
{
	struct buf text = {0};
	json_auto_t *record = json_pack("{s:s,s:b,s:I}", "text", statement->text, "active",
					statement->is_active, "issued",
					(json_int_t)statement->issued_ms);

	if (!record)
		return error_oom(err);
	if (json_append(&text, record, err) < 0)
		return -1;
	return store_put(list->store, STORE_STATEMENT, statement->id, &text, done, userdata, err);
}

/* "issuedAt" is in seconds with a fraction, as agents of other make know it. */
static char *statement_text(const struct statement *statement, struct error *err)
{
	AUTO(buf_done) struct buf json = {0};
	struct buf text = {0};

	if (buf_printf(&json, err,
		       "{\"id\":\"%s\",\"active\":true,\"issuedAt\":%lld.%03lld,"
		       "\"brokerVersion\":\"%s\"}",
		       statement->id, statement->issued_ms / 1000, statement->issued_ms % 1000,
		       VERSION) < 0 ||
	    base64_append(&text, json.data, json.len, err) < 0)
		return NULL;
	return buf_steal(&text);
}

int statement_list_make(struct statement_list *list, store_done_fn done, void *userdata,
			struct statement **ret, struct error *err)
{
	AUTO(statement_p) struct statement *statement = calloc(1, sizeof(*statement));

	if (!statement)
		return error_oom(err);
	uuid_make(statement->id);
	statement->is_active = true;
	statement->issued_ms = time_now_ms();
	statement->text = statement_text(statement, err);
	if (!statement->text || sorted_insert(&list->by_id, statement->id, statement, err) < 0)
		return -1;
	if (store_statement(list, statement, done, userdata, err) < 0) {
		sorted_remove(&list->by_id, statement->id, statement);
		return -1;
	}
	*ret = TAKE(statement);
	return 0;
}

int statement_deactivate(struct statement_list *list, struct statement *statement,
			 store_done_fn done, void *userdata, struct error *err)
{
	statement->is_active = false;
	return store_statement(list, statement, done, userdata, err);
}
