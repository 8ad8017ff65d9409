/** A file that a session may execute: named by a request, lying beneath a folder of the host. */
#ifndef AGENT_SESSION_FILE_H
#define AGENT_SESSION_FILE_H

#include "common/error.h"

/**
 * Find @name beneath @folder and say by which absolute path to execute it. Called by a process that
 * has become the owner already, so that it sees no more than the owner may.
 *
 * The file must be a regular one that the caller may execute. It and every folder on the way to it,
 * from the root of the file system on, must belong to root or to the caller, and must not be writable
 * by anybody else: not by others, and by a group only if that is root's. Symbolic links count as
 * what they lead to, and may not lead out of @folder. @what ("init file") begins every sentence.
 *
 * *ret is owned by the caller; links in it are resolved.
 */
int session_file_find(const char *what, const char *folder, const char *name, char **ret,
		      struct error *err);

#endif
