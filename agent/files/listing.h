/** What is in a folder: regular files and folders, and links that lead to one below the root. */
#ifndef AGENT_FILES_LISTING_H
#define AGENT_FILES_LISTING_H

#include "agent/files/file-request.h"
#include "agent/files/storage-root.h"

/** Answer "list". -1: it is not answered, and @err tells why. */
int listing_serve(const struct storage_root *root, const struct file_request *request, int stream,
		  struct error *err);

#endif
