/**
 * Who changed what: audit.log, one JSON object a line, in the folder of broker.log and rotated like
 * it.
 *
 *     {"time":"2026-03-02T08:00:11.042Z","what":"DeleteSessions","who":{"kind":"client","id":"…",
 *      "name":"portal","address":"192.0.2.7"},"outcome":"done","session":"…","server":"…",
 *      "request":"…"}
 *
 * what      the operation (CreateSessions, DeleteSessions, UpdateSessionPermissions, OpenServers,
 *           CloseServers), the command (register-api-client ...), RegisterAgent, SignCertificate, or what
 *           became of a session: SessionReady, SessionEnded
 * who       kind "client" (of the API; without id if authorization is off), "command" (with uid, and
 *           name for root), "agent" (with id and name of its client), or "broker"
 * object    what else it is about: the id of a client or statement, a URL, a file, names
 * outcome   "done" or "failed", then with reason
 *
 * One line for each change that was asked for by somebody who may, whether it was done or not; what is
 * refused to others is in broker.log. Nothing secret is in any line. Lines are collected, and written
 * together before the broker waits for more to do: an answer may arrive a moment before its line, and a
 * crash loses the lines of that moment. What cannot be written is counted and dropped, and the first
 * line that can be written again tells how many were lost.
 */
#ifndef BROKER_AUDIT_H
#define BROKER_AUDIT_H

#include <sys/types.h>

#include "broker-lite/client-list.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/log-file.h"

struct audit {
	struct log_file file;
	struct buf held; /* lines to be written */
	unsigned long n_held;
};

enum audit_who { AUDIT_BROKER, AUDIT_CLIENT, AUDIT_COMMAND, AUDIT_AGENT };

/** Borrowed; what is NULL or "" is left out. */
struct audit_entry {
	const char *what;
	enum audit_who who;
	const struct client *client; /* of AUDIT_CLIENT and AUDIT_AGENT */
	const char *address;         /* of the caller */
	uid_t uid;                   /* of AUDIT_COMMAND */
	const char *session, *server, *object;
	const char *request_id;
	const char *reason; /* of the failure, or of the end of a session */
	bool has_failed;
};

void audit_init(struct audit *audit);

/** Begin to write; until then, and if this fails, lines are counted as dropped. */
int audit_open(struct audit *audit, const char *directory, const struct log_rotation *rotation,
	       struct error *err);

/** Its file was moved away. */
void audit_reopen(struct audit *audit);
void audit_close(struct audit *audit);

void audit_add(struct audit *audit, const struct audit_entry *entry);

/** Write what was added. Cheap if there is nothing. */
void audit_flush(struct audit *audit);

unsigned long audit_n_dropped(const struct audit *audit);

#endif
