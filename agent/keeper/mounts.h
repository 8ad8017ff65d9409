/** Why a folder may be missing that others than this host keep: what should be mounted there and is not. */
#ifndef AGENT_KEEPER_MOUNTS_H
#define AGENT_KEEPER_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * A sentence's end, such as "/home of fstab is not mounted", if @folder lies at or below a mount point
 * that @fstab_path names and @mounts_path has not, or below one of the automounter's. False, with
 * @ret as it was, if nothing is known to be missing. Source: fstab(5), proc(5).
 */
bool mounts_missing(const char *folder, const char *fstab_path, const char *mounts_path, char *ret,
		    size_t size);

#endif
