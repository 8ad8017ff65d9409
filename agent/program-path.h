/** Where the programs of the host are that sessions are made of. */
#ifndef AGENT_PROGRAM_PATH_H
#define AGENT_PROGRAM_PATH_H

#include "common/error.h"

/**
 * The path of a program of the host, for the caller to free: @name itself if it is absolute, or found
 * in the system's folders. ERR_CONFIG: it is not there.
 */
int program_find(const char *name, char **ret, struct error *err);

/** The same for TigerVNC's scraping server. ERR_UNSUPPORTED: this host has none. */
int program_find_scraper(char **ret, struct error *err);

#endif
