/**
 * Who may ask for tokens: API clients, made by the administrator, and agents, which register
 * themselves. A client is never forgotten, only made inactive, so a pointer to one stays good. Clients of
 * external authorization servers are not in the list, and live as long as somebody holds them.
 */
#ifndef BROKER_CLIENT_LIST_H
#define BROKER_CLIENT_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "broker-lite/sorted.h"
#include "broker-lite/store.h"
#include "common/text.h"

#define CLIENT_NAME_MAX_BYTES 256
#define CLIENT_ADDRESSES 4

enum client_kind { CLIENT_API, CLIENT_AGENT, N_CLIENT_KINDS };

struct client {
	char id[UUID_SIZE];
	enum client_kind kind;
	char *name;
	char *password_hash;
	bool is_active;
	char *server_id;    /* an agent's: the server that it last reported; or NULL */
	bool is_remembered; /* it has shown its password since we started: */
	unsigned char remembered[32];
	uint64_t addresses[CLIENT_ADDRESSES]; /* hashed; where it did so last; 0: none */
	/* an agent's: what the certificate of its viewer names, and when that ends, in seconds since
	 * 1970; NULL: it has none */
	char *certificate_names;
	long long certificate_end_s;
	unsigned n_certifications; /* asked for in the hour that began then */
	unsigned long long certifications_since_ms;
	unsigned n_refs; /* of one that an external server vouches for; 0: it is in the list */
};

struct client_list {
	struct sorted by_id;
	struct store *store;
};

void client_list_init(struct client_list *list, struct store *store);
void client_list_done(struct client_list *list);

/** Read what the store has. */
int client_list_load(struct client_list *list, struct error *err);

/** Active or not; NULL if there is none of this kind. */
struct client *client_list_find(const struct client_list *list, enum client_kind kind,
				const char *id);

/** Is there an active client of this name? */
bool client_list_has_name(const struct client_list *list, enum client_kind kind, const char *name);

/** A client that is in no list yet. It takes a copy of both texts. */
struct client *client_new(enum client_kind kind, const char *id, const char *name,
			  const char *password_hash, struct error *err);
void client_free(struct client *client);

/**
 * A client of an external authorization server: a name for the log and nothing else, @name being what
 * the token says and of any length. It is in no list, and has one reference.
 */
struct client *client_new_external(const char *name, struct error *err);

/** References of external clients; the others, which stay, take no notice. Both take NULL. */
struct client *client_ref(struct client *client);
void client_unref(struct client *client);

/** Write @client as it is now; @done as for store_put(). */
int client_store(const struct client_list *list, const struct client *client, store_done_fn done,
		 void *userdata, struct error *err);

/** An agent's @client has reported @server_id; NULL: that one is not its own any more. Stored without
 * anybody waiting for it. */
int client_set_server(const struct client_list *list, struct client *client, const char *server_id,
		      struct error *err);

/** An agent's @client has a certificate for its viewer. Stored in the same way. */
int client_set_certificate(const struct client_list *list, struct client *client, const char *names,
			   long long end_s, struct error *err);

/** Does an active @client have a certificate that is still good? */
bool client_has_certificate(const struct client *client);

/** The list owns @client from now on. */
int client_list_add(struct client_list *list, struct client *client, struct error *err);

#endif
