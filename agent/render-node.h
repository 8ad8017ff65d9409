/**
 * The render node of a session whose OpenGL a GPU is to draw: /dev/dri/renderD128 and so on, one for
 * each GPU of the host. The agent chooses it, the session's keeper has the owner try it and tells
 * the session's programs.
 *
 * Source: the kernel's DRM documentation, "Render nodes"; VirtualGL's user's guide, VGL_DISPLAY.
 */
#ifndef AGENT_RENDER_NODE_H
#define AGENT_RENDER_NODE_H

#include <stdbool.h>

#include "common/error.h"

/** How many sessions have this node now. */
typedef long long (*render_node_users_fn)(const char *path, void *userdata);

/**
 * The node with the fewest users, of equals the first, as a path that the caller owns.
 *
 * @patterns: of paths, as a setting's list has them: strings that each end in NUL, an empty one ends
 * all; only character devices count
 *
 * Errors: ERR_UNSUPPORTED there is none.
 */
int render_node_choose(const char *patterns, render_node_users_fn users, void *userdata, char **ret,
		       struct error *err);

/** Whether @path is one that the patterns name. A path with ".." is none. */
bool render_node_is_allowed(const char *patterns, const char *path);

/**
 * Open it for a moment, as whoever we are: @user, for the sentences.
 *
 * Errors: ERR_DENIED @user may not, with the group that may; ERR_SYSTEM it is gone, or no device.
 */
int render_node_try(const char *path, const char *user, struct error *err);

/**
 * What VGL_DISPLAY must be for VirtualGL to draw with this GPU. VirtualGL knows a GPU by its primary
 * node (/dev/dri/card0) only, and refuses render nodes; a GPU that shows no primary node here is
 * "egl", the first that EGL finds.
 *
 * @root: "" on a real host, for tests a folder with sys/ and dev/
 */
#define RENDER_NODE_DISPLAY_SIZE 64
void render_node_display(const char *root, const char *path, char ret[RENDER_NODE_DISPLAY_SIZE]);

#endif
