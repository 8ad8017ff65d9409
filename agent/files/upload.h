/**
 * A file that comes in pieces.
 *
 * What is there of it lies beside the place it is for, under a hidden name made of its own, its size and
 * its time: .NAME.HASH.part. So an upload that was interrupted goes on where it stopped, whoever goes on
 * with it, and another file of the same name is another upload. (A file without a name, O_TMPFILE, would
 * not outlive us.) One request at a time writes to it. When it is whole it is given its name, or one
 * beside it, "NAME (1)": nothing that is there already is ever written over.
 */
#ifndef AGENT_FILES_UPLOAD_H
#define AGENT_FILES_UPLOAD_H

#include "agent/files/file-request.h"
#include "agent/files/storage-root.h"

/** Answer "part", "put" or "drop". -1: it is not answered, and @err tells why. */
int upload_serve(const struct storage_root *root, const struct file_request *request, int stream,
		 struct error *err);

#endif
