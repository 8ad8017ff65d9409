/**
 * RUN_DIR/NUMBER, the folder of a session: its lock, its record, the control socket, and the
 * owner's own folder in it. The number is the lowest that is free. Claims, take-overs and removals
 * happen one at a time on the host, so a session id is never taken twice, and no folder is taken
 * over or looked into while it is made or removed.
 */
#ifndef AGENT_KEEPER_FOLDER_H
#define AGENT_KEEPER_FOLDER_H

#include "agent/account.h"
#include "agent/keeper/record.h"
#include "common/error.h"

struct folder {
	int number;
	char *path;
	char *owner_path; /* path/owner: 0700, the owner's */
	int lock_fd;      /* locked as long as the keeper lives */
};

#define FOLDER_NONE ((struct folder){.lock_fd = -1})

/**
 * Claim a folder for a new session and write @record into it. @giver is the connection over which
 * the session was ordered: if nobody is at its other end any more when it is our turn, nothing is
 * claimed, for nobody would know of the session.
 *
 * Errors: ERR_CONFLICT when there is a session of that id already, ERR_UNREACHABLE.
 */
int folder_claim(struct folder *ret, const char *run_dir, const struct record *record, int giver,
		 struct error *err);

/** The number of the session of that id, be its keeper alive or killed; 0: there is none. */
int folder_find(const char *run_dir, const char *session_id);

/** Make the owner's folder. */
int folder_make_owner(struct folder *folder, const struct account *owner, struct error *err);

/**
 * Take over what a killed keeper left behind.
 *
 * Errors: ERR_CONFLICT when its keeper lives, ERR_NOT_FOUND when there is no such folder.
 */
int folder_take_over(struct folder *ret, const char *run_dir, int number, struct error *err);

/** Replace, or read, the record in it. */
int folder_write_record(const struct folder *folder, const struct record *record,
			struct error *err);
int folder_read_record(const struct folder *folder, struct record *ret, struct error *err);

/** A listening Unix socket (SOCK_SEQPACKET) at @path, for root and @group. */
int folder_listen(const char *path, gid_t group, int *ret_fd, struct error *err);

/** Remove the folder and what is in it. What cannot be removed is logged. */
void folder_remove(struct folder *folder, const char *run_dir);
void folder_done(struct folder *folder);

#endif
