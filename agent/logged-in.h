/**
 * Who is logged in to this host: what logind knows, else what utmp has.
 *
 * Sessions of greeters, lock screens, service managers and cron jobs are nobody's, and so are those
 * that are closing.
 */
#ifndef AGENT_LOGGED_IN_H
#define AGENT_LOGGED_IN_H

#include <jansson.h>

/**
 * A new "LoggedInUsers" array, each user once, sorted; empty if unknown. NULL without memory. Asks
 * for names, which a directory may be slow to tell: not on the loop.
 */
json_t *logged_in_users(const char *root);

#endif
