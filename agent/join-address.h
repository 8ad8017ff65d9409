/** What an administrator types to join: where the broker is, and the token. */
#ifndef AGENT_JOIN_ADDRESS_H
#define AGENT_JOIN_ADDRESS_H

#include "common/error.h"

#define JOIN_HOST_SIZE 256
#define JOIN_SECRET_SIZE 64 /* with the NUL */

struct join_address {
	char host[JOIN_HOST_SIZE]; /* name or address, without brackets */
	int port;
	unsigned char fingerprint[32]; /* SHA-256 of the authority's certificate */
	char secret[JOIN_SECRET_SIZE]; /* as it is sent */
};

/** ERR_USAGE tells what is wrong with which of them; the token is not repeated. */
int join_address_read(const char *url, const char *token, struct join_address *ret,
		      struct error *err);

#endif
