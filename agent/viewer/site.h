/**
 * The files that the viewer serves, read once when it starts: our page and the parts of noVNC that it
 * uses. What is asked for later is looked up among their names, so no path leads anywhere else.
 */
#ifndef AGENT_VIEWER_SITE_H
#define AGENT_VIEWER_SITE_H

#include "common/buf.h"
#include "common/error.h"

struct site;

struct site_file {
	char *name; /* as in "novnc/core/rfb.js" */
	const char *type;
	struct buf bytes;
};

/** Read @page_folder, and of @novnc_folder what becomes novnc/core/ and novnc/vendor/pako/. */
struct site *site_load(const char *page_folder, const char *novnc_folder, struct error *err);

/** NULL: there is none of that name. */
const struct site_file *site_find(const struct site *site, const char *name);

/** Takes NULL. */
void site_free(struct site *site);

#endif
