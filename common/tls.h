/** TLS of a server: its certificate and what it speaks. 1.2 and 1.3, HTTP/1.1 alone. */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <openssl/ssl.h>

#include "common/error.h"

/** SSL_CTX_free() it. NULL and an error that names the file. */
SSL_CTX *tls_server_new(const char *certificate_file, const char *key_file, struct error *err);

#endif
