/** Addresses of services. Source: the CLI reference, "URL rules". */
#ifndef CTL_URL_H
#define CTL_URL_H

#include <stdbool.h>

#include "common/error.h"

/**
 * Check the address of a broker or a token server: https, or http to this very host; no user
 * information, no fragment. ERR_INVALID otherwise, in a sentence that does not repeat the URL.
 */
int url_check(const char *url, bool may_have_query, struct error *err);

/** The URL of @path (with its '/') below @base, which may have a path of its own. */
int url_join(const char *base, const char *path, char **ret, struct error *err);

/**
 * The URL that tokens are asked at: @auth_url, or the broker's own endpoint if that is NULL, with
 * the grant type in its query.
 */
int url_of_token(const char *auth_url, const char *broker_url, char **ret, struct error *err);

#endif
