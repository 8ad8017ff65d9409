/** The bytes of a file, or of a part of it. */
#ifndef AGENT_FILES_DOWNLOAD_H
#define AGENT_FILES_DOWNLOAD_H

#include "agent/files/file-request.h"
#include "agent/files/storage-root.h"

/**
 * Answer "get". -1: it is not answered, and @err tells why. A file that becomes shorter meanwhile ends
 * the stream before its time.
 */
int download_serve(const struct storage_root *root, const struct file_request *request, int stream,
		   struct error *err);

#endif
