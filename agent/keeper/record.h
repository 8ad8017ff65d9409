/**
 * What is written down of a session, in RUN_DIR/NUMBER/state: enough for another keeper to clean up
 * after one that was killed. Only root reads and writes it (an ordinary user's keeper: that user).
 */
#ifndef AGENT_KEEPER_RECORD_H
#define AGENT_KEEPER_RECORD_H

#include <sys/types.h>

#include "common/error.h"

struct record {
	char *session_id;
	char *owner;
	char *cgroup; /* folder; NULL: none */
	long long uid;
	long long pid;                     /* of the keeper */
	long long display;                 /* -1: not known */
	long long x_dev, x_ino, x_born_ns; /* of the X socket (xsocket.h); 0: not known */
};

#define RECORD_NONE ((struct record){.display = -1})

/** Replace the record at @path. */
int record_write(const struct record *record, const char *path, struct error *err);

/** Read one. ERR_NOT_FOUND if there is none. End with record_done(). */
int record_read(struct record *ret, const char *path, struct error *err);
void record_done(struct record *record);

#endif
