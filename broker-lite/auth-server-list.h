/**
 * The external authorization servers that are registered, each kept in the store under its URL.
 */
#ifndef BROKER_AUTH_SERVER_LIST_H
#define BROKER_AUTH_SERVER_LIST_H

#include "broker-lite/auth-server.h"
#include "broker-lite/sorted.h"
#include "broker-lite/store.h"
#include "common/list.h"

#define AUTH_SERVERS_MAX 64

struct auth_server_list {
	struct sorted by_url;
	struct list registering; /* not in the store yet */
	struct store *store;
	struct fetcher fetcher;
	/* What was verified under another number has to be verified again: a server was unregistered or
	 * has other keys. */
	unsigned generation;
	void (*on_fetched)(void *userdata); /* what had to wait can be tried again */
	void *userdata;
};

/** @authority_file: whose certificates are trusted beside those of the system's authorities. */
int auth_server_list_init(struct auth_server_list *list, struct loop *loop, struct store *store,
			  const char *authority_file, struct error *err);

/** Read what the store has, and begin to fetch their keys. */
int auth_server_list_load(struct auth_server_list *list, struct error *err);

/** Begin to stop. */
void auth_server_list_stop(struct auth_server_list *list);

/** After the loop has stopped; also of a list that was never initialised. */
void auth_server_list_done(struct auth_server_list *list);

/**
 * Register a server, or register it anew with other options. @done as for store_put(); the server counts
 * from then on.
 */
int auth_server_list_register(struct auth_server_list *list,
			      const struct auth_server_options *options, store_done_fn done,
			      void *userdata, struct error *err);

/** Forget a server, at once. ERR_NOT_FOUND there is none. @done as for store_remove(). */
int auth_server_list_unregister(struct auth_server_list *list, const char *url, store_done_fn done,
				void *userdata, struct error *err);

/**
 * Does any of them vouch for @token? Those of its issuer are asked first, then those that vouch for any
 * issuer. *@ret: which one does. Otherwise as auth_server_verify().
 */
enum auth_verdict auth_server_list_verify(const struct auth_server_list *list,
					  const struct token *token, struct auth_server **ret,
					  long long *ret_expires_s, struct error *err);

#endif
