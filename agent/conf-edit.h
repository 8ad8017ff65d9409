/**
 * Settings put into agent.conf without touching what is there.
 */
#ifndef AGENT_CONF_EDIT_H
#define AGENT_CONF_EDIT_H

#include "common/buf.h"
#include "common/error.h"

/** What [agent] is to say. */
struct conf_wish {
	const char *broker_host;
	int broker_port;
	const char *ca_file;
};

/**
 * Append to @ret the text of @path ("" if there is no such file) with what it lacks of @wish. A
 * setting that is there and says something else is ERR_CONFLICT, naming its line and what to do.
 */
int conf_edit(const char *path, const struct conf_wish *wish, struct buf *ret, struct error *err);

#endif
