/**
 * Software statements: shared secrets that let an agent register itself. A statement is Base64 of
 * {"id", "active", "issuedAt", "brokerVersion"} and is recognised by its id alone.
 */
#ifndef BROKER_STATEMENT_LIST_H
#define BROKER_STATEMENT_LIST_H

#include <stdbool.h>

#include "broker-lite/sorted.h"
#include "broker-lite/store.h"
#include "common/text.h"

struct statement {
	char id[UUID_SIZE];
	bool is_active;
	long long issued_ms;
	char *text; /* as handed out */
};

struct statement_list {
	struct sorted by_id;
	struct store *store;
};

void statement_list_init(struct statement_list *list, struct store *store);
void statement_list_done(struct statement_list *list);
int statement_list_load(struct statement_list *list, struct error *err);

/**
 * The statement that @text stands for. ERR_INVALID it cannot be decoded, ERR_DENIED it is unknown
 * or no longer active.
 */
int statement_list_find(const struct statement_list *list, const char *text, struct statement **ret,
			struct error *err);

/** The active one that was made last; NULL: there is none. */
const struct statement *statement_list_newest(const struct statement_list *list);

/** Make one. It is in the list at once and in the store when @done says so. */
int statement_list_make(struct statement_list *list, store_done_fn done, void *userdata,
			struct statement **ret, struct error *err);

/** Let nobody register with it any more. */
int statement_deactivate(struct statement_list *list, struct statement *statement,
			 store_done_fn done, void *userdata, struct error *err);

#endif
