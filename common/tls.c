#include "common/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log-limit.h"
#include "common/log.h"

#define TICKET_KEY_LIFE_S (12 * 3600)

struct ticket_key {
	unsigned char name[16], cipher[32], mac[32];
	long long made_s; /* 0: there is none */
};

struct tls_server {
	SSL_CTX *tls; /* NULL: nothing to show yet */
	struct ticket_key key, previous_key;
	struct log_limit failures;
};

static long long now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + 1; /* never 0 */
}

void tls_identity_done(struct tls_identity *identity)
{
	X509_free(identity->certificate);
	EVP_PKEY_free(identity->key);
	sk_X509_pop_free(identity->chain, X509_free);
	*identity = (struct tls_identity){0};
}

/* --- tickets -----------------------------------------------------------------------------------
 */

/* Each encrypts tickets for its life and still reads them for another one. */
static int renew_ticket_key(struct tls_server *server)
{
	struct ticket_key key = {.made_s = now_s()};

	if (server->key.made_s && now_s() - server->key.made_s < TICKET_KEY_LIFE_S)
		return 0;
	if (RAND_bytes(key.name, sizeof(key.name)) != 1 ||
	    RAND_priv_bytes(key.cipher, sizeof(key.cipher)) != 1 ||
	    RAND_priv_bytes(key.mac, sizeof(key.mac)) != 1)
		return -1;
	server->previous_key = server->key;
	server->key = key;
	OPENSSL_cleanse(&key, sizeof(key));
	return 0;
}

static const struct ticket_key *find_ticket_key(const struct tls_server *server,
						const unsigned char *name)
{
	const struct ticket_key *keys[] = {&server->key, &server->previous_key};

	for (size_t i = 0; i < 2; i++) {
		if (keys[i]->made_s && now_s() - keys[i]->made_s < 2 * TICKET_KEY_LIFE_S &&
		    memcmp(keys[i]->name, name, sizeof(keys[i]->name)) == 0)
			return keys[i];
	}
	return NULL;
}

/* 1: use the key; 2: use it, and give the peer a new ticket; 0: the ticket is worth nothing. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
		     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct ticket_key *key = &server->key;
	OSSL_PARAM digest[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_END,
	};

	if (is_new) {
		if (renew_ticket_key(server) < 0 || RAND_bytes(iv, 16) != 1)
			return -1;
		memcpy(name, key->name, sizeof(key->name));
	} else {
		key = find_ticket_key(server, name);
		if (!key)
			return 0;
	}
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_new) != 1 ||
	    EVP_MAC_init(mac, key->mac, sizeof(key->mac), digest) != 1)
		return -1;
	return is_new || key == &server->key ? 1 : 2;
}

/* --- what is spoken ----------------------------------------------------------------------------
 */

static int select_http_1_1(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
			   const unsigned char *offered, unsigned offered_len, void *userdata)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *found = NULL;

	(void)ssl;
	(void)userdata;
	if (SSL_select_next_proto(&found, ret_len, ours, sizeof(ours) - 1, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*ret = found;
	return SSL_TLSEXT_ERR_OK;
}

/* A session is resumed only where it was begun: a handshake that began before tls_server_set() and
 * ends after it gets a ticket, too, and the peer has proven nothing to those who are trusted now. */
static int set_session_context(SSL_CTX *tls)
{
	unsigned char context[SSL_MAX_SID_CTX_LENGTH];

	return RAND_bytes(context, sizeof(context)) == 1 &&
			       SSL_CTX_set_session_id_context(tls, context, sizeof(context)) == 1
		       ? 0
		       : -1;
}

static void speak(SSL_CTX *tls)
{
	(void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE |
					       SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20");
	(void)SSL_CTX_set1_groups_list(tls, "X25519:P-256:P-384:X448:P-521");
	/* An idle connection keeps no buffers. */
	(void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	/* Who wants to resume has a ticket: we remember nothing. */
	(void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(tls, select_http_1_1, NULL);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(tls, on_ticket);
}

/* --- what is shown -----------------------------------------------------------------------------
 */

static int fail(struct error *err, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	(void)error_set(err, ERR_CONFIG, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return -1;
}

/* Peers are told whose certificates are wanted: who has several picks by that. */
static int demand_certificate(SSL_CTX *tls, X509_STORE *authorities, struct error *err)
{
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(authorities);
	bool ok = all && SSL_CTX_set1_verify_cert_store(tls, authorities) == 1;

	for (int i = 0; ok && i < sk_X509_num(all); i++)
		ok = SSL_CTX_add_client_CA(tls, sk_X509_value(all, i)) == 1;
	sk_X509_pop_free(all, X509_free);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ok ? 0 : fail(err, "cannot use the authorities of peers");
}

int tls_server_set(struct tls_server *server, const struct tls_identity *identity,
		   X509_STORE *authorities, struct error *err)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls)
		return error_oom(err);
	speak(tls);
	(void)SSL_CTX_set_app_data(tls, server);
	if (set_session_context(tls) < 0) {
		SSL_CTX_free(tls);
		return fail(err, "no random numbers");
	}
	if (SSL_CTX_use_cert_and_key(tls, identity->certificate, identity->key, identity->chain,
				     1) != 1) {
		SSL_CTX_free(tls);
		return fail(err, "cannot use the certificate");
	}
	if (authorities && demand_certificate(tls, authorities, err) < 0) {
		SSL_CTX_free(tls);
		return -1;
	}
	SSL_CTX_free(server->tls); /* connections have it, too */
	server->tls = tls;
	/* A ticket would let in again who may not come in any more. */
	OPENSSL_cleanse(&server->key, sizeof(server->key));
	OPENSSL_cleanse(&server->previous_key, sizeof(server->previous_key));
	return 0;
}

struct tls_server *tls_server_new(struct error *err)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (!server)
		(void)error_oom(err);
	return server;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->tls);
	OPENSSL_cleanse(server, sizeof(*server));
	free(server);
}

SSL *tls_server_accept(const struct tls_server *server)
{
	return server->tls ? SSL_new(server->tls) : NULL;
}

/* --- what goes wrong ---------------------------------------------------------------------------
 */

void tls_server_tell_failure(struct tls_server *server, const SSL *ssl, const char *peer,
			     const char *why)
{
	long verdict = SSL_get_verify_result(ssl);
	const char *reason = why ? why : ERR_reason_error_string(ERR_peek_error());

	if (!log_limit_passes(&server->failures, "TLS handshakes failed"))
		return;
	log_warning("TLS handshake failed (peer=%s): %s%s%s", peer, reason ? reason : "unknown",
		    verdict == X509_V_OK ? "" : ": ",
		    verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict));
}
