#include "broker-lite/auth-server-list.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

static int compare_url(const void *item, const void *key)
{
	const struct auth_server *server = item;

	return strcmp(server->url, key);
}

int auth_server_list_init(struct auth_server_list *list, struct loop *loop, struct store *store,
			  const char *authority_file, struct error *err)
{
	*list = (struct auth_server_list){.by_url.compare = compare_url, .store = store};
	list_init(&list->registering);
	return fetcher_init(&list->fetcher, loop, authority_file, err);
}

void auth_server_list_stop(struct auth_server_list *list)
{
	fetcher_stop(&list->fetcher);
}

void auth_server_list_done(struct auth_server_list *list)
{
	fetcher_stop(&list->fetcher);
	for (size_t i = 0; i < list->by_url.n; i++)
		auth_server_free(list->by_url.items[i]);
	sorted_done(&list->by_url);
	fetcher_done(&list->fetcher);
}

static void on_fetched(bool has_changed, void *userdata)
{
	struct auth_server_list *list = userdata;

	list->generation += has_changed;
	if (list->on_fetched)
		list->on_fetched(list->userdata);
}

static void remove_server(struct auth_server_list *list, struct auth_server *server)
{
	sorted_remove(&list->by_url, server->url, server);
	auth_server_free(server);
	list->generation++;
}

/* Takes @server in every case. */
static int add_server(struct auth_server_list *list, struct auth_server *server, struct error *err)
{
	struct auth_server *before = sorted_find(&list->by_url, server->url);

	if (sorted_insert(&list->by_url, server->url, server, err) < 0) {
		auth_server_free(server);
		return -1;
	}
	if (before)
		remove_server(list, before);
	server->on_fetched = on_fetched;
	server->userdata = list;
	auth_server_fetch(server);
	return 0;
}

/* --- the store ---------------------------------------------------------------------------------
 */

static int load_server(const char *id, const char *text, void *userdata, struct error *err)
{
	struct auth_server_list *list = userdata;
	json_auto_t *record = NULL;
	struct auth_server *server;

	if (json_parse(text, strlen(text), &record, err) < 0)
		return error_prefix(err, "authorization server %s", id);
	server = auth_server_new(
		&(struct auth_server_options){
			.url = id,
			.algorithms = json_get_text(record, "algorithms"),
			.issuer = json_get_text(record, "issuer"),
			.audience = json_get_text(record, "audience"),
			.scope = json_get_text(record, "scope"),
		},
		&list->fetcher, err);
	if (!server)
		return error_prefix(err, "authorization server %s: the record is damaged", id);
	return add_server(list, server, err);
}

int auth_server_list_load(struct auth_server_list *list, struct error *err)
{
	return store_load(list->store, STORE_AUTH_SERVER, load_server, list, err);
}

static int write_record(const struct auth_server *server, struct buf *ret, struct error *err)
{
	json_auto_t *record = json_object();

	json_set_text(record, "algorithms", server->algorithms);
	json_set_text(record, "issuer", server->issuer);
	json_set_text(record, "audience", server->audience);
	json_set_text(record, "scope", server->scope);
	return json_append(ret, record, err);
}

/* --- registering -------------------------------------------------------------------------------
 */

struct registering {
	struct list link; /* auth_server_list::registering */
	struct auth_server_list *list;
	bool is_undone; /* by a command that came later and was carried out already */
	struct auth_server *server;
	store_done_fn done;
	void *userdata;
};

static void tell_registered(const struct auth_server *server)
{
	const char *issuer = auth_server_issuer(server);

	log_info("authorization server registered (url=%s, issuer=%s)", server->url,
		 issuer ? issuer : "any");
	if (!issuer)
		log_warning("authorization server %s: tokens of any issuer are accepted that its "
			    "keys have signed; --issuer restricts that",
			    server->url);
}

static void on_stored(const struct error *err, void *userdata)
{
	AUTO(free_p) struct registering *r = userdata;
	struct error own;

	list_remove(&r->link);
	if (err || r->is_undone) {
		auth_server_free(r->server);
	} else {
		tell_registered(r->server);
		if (add_server(r->list, r->server, &own) < 0)
			err = &own;
	}
	r->done(err, r->userdata);
}

int auth_server_list_register(struct auth_server_list *list,
			      const struct auth_server_options *options, store_done_fn done,
			      void *userdata, struct error *err)
{
	struct auth_server *server;
	struct registering *r;
	struct buf record = {0};

	if (list->by_url.n >= AUTH_SERVERS_MAX && !sorted_find(&list->by_url, options->url))
		return error_set(err, ERR_LIMIT, "%d authorization servers are registered already",
				 AUTH_SERVERS_MAX);
	server = auth_server_new(options, &list->fetcher, err);
	if (!server)
		return -1;
	r = malloc(sizeof(*r));
	if (!r) {
		auth_server_free(server);
		return error_oom(err);
	}
	*r = (struct registering){
		.list = list, .server = server, .done = done, .userdata = userdata};
	if (write_record(server, &record, err) == 0 &&
	    store_put(list->store, STORE_AUTH_SERVER, server->url, &record, on_stored, r, err) ==
		    0) {
		list_append(&list->registering, &r->link);
		return 0;
	}
	auth_server_free(server);
	free(r);
	return -1;
}

int auth_server_list_unregister(struct auth_server_list *list, const char *url, store_done_fn done,
				void *userdata, struct error *err)
{
	struct auth_server *server = sorted_find(&list->by_url, url);

	if (!server)
		return error_set(err, ERR_NOT_FOUND,
				 "no authorization server is registered with the URL '%.200s'",
				 url);
	log_info("authorization server unregistered (url=%s)", server->url);
	list_for_each (r, &list->registering, struct registering, link)
		r->is_undone = r->is_undone || strcmp(r->server->url, url) == 0;
	remove_server(list, server);
	return store_remove(list->store, STORE_AUTH_SERVER, url, done, userdata, err);
}

/* --- tokens ------------------------------------------------------------------------------------
 */

static bool is_asked(const struct auth_server *server, const char *issuer, bool about_any)
{
	const char *own = auth_server_issuer(server);

	return about_any ? !own : own && issuer && strcmp(own, issuer) == 0;
}

enum auth_verdict auth_server_list_verify(const struct auth_server_list *list,
					  const struct token *token, struct auth_server **ret,
					  long long *ret_expires_s, struct error *err)
{
	const char *issuer = json_get_text(token->claims, "iss");
	bool must_wait = false, is_denied = false;
	struct error refusal;

	(void)error_set(&refusal, ERR_UNAUTHORIZED, "no authorization server is registered for it");
	for (size_t i = 0; i < 2 * list->by_url.n; i++) {
		struct auth_server *server = list->by_url.items[i % list->by_url.n];
		struct error own;
		enum auth_verdict verdict;

		if (!is_asked(server, issuer, i >= list->by_url.n))
			continue;
		verdict = auth_server_verify(server, token, ret_expires_s, &own);
		if (verdict == AUTH_ACCEPTED) {
			*ret = server;
			return AUTH_ACCEPTED;
		}
		must_wait = must_wait || verdict == AUTH_LATER;
		if (!is_denied) /* what is genuine and not enough is told rather than the others */
			refusal = own;
		is_denied = is_denied || own.code == ERR_DENIED;
	}
	*err = refusal;
	return must_wait ? AUTH_LATER : AUTH_REFUSED;
}
