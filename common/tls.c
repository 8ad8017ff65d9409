#include "common/tls.h"

#include <openssl/err.h>

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

static int load(SSL_CTX *tls, const char *certificate_file, const char *key_file, struct error *err)
{
	if (SSL_CTX_use_certificate_chain_file(tls, certificate_file) != 1)
		return error_set(err, ERR_CONFIG, "cannot use the certificate %s",
				 certificate_file);
	if (SSL_CTX_use_PrivateKey_file(tls, key_file, SSL_FILETYPE_PEM) != 1)
		return error_set(err, ERR_CONFIG, "cannot use the key %s of the certificate %s",
				 key_file, certificate_file);
	return 0;
}

SSL_CTX *tls_server_new(const char *certificate_file, const char *key_file, struct error *err)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls) {
		(void)error_oom(err);
		return NULL;
	}
	(void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE |
					       SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20");
	/* An idle connection keeps no buffers. */
	(void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(tls, select_http_1_1, NULL);
	if (load(tls, certificate_file, key_file, err) == 0)
		return tls;
	ERR_clear_error();
	SSL_CTX_free(tls);
	return NULL;
}
