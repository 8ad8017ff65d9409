/**
 * The program that serves the files of a session (agent/files/protocol.h), as the clients of a room share
 * it: the agent is asked for it when the first of them wants a file, and it ends with the room. If it ends
 * before, the next request has it started anew.
 */
#ifndef AGENT_VIEWER_STORAGE_H
#define AGENT_VIEWER_STORAGE_H

#include "agent/packet-socket.h"
#include "agent/viewer/vouch.h"
#include "common/list.h"

struct storage {
	struct loop *loop;
	struct packet_socket *program; /* NULL: there is none */
	const struct visitor *asked;   /* in whose name the agent was; NULL: it was not */
	struct list waiting;           /* struct storage_request::link */
};

/** In place, in whatever wants something. */
struct storage_request {
	struct list link;  /* storage::waiting, until it has been sent */
	struct buf packet; /* as it is sent */
	int stream;        /* its end of the stream, -1 when it has been sent */
	/** It cannot be sent. Called later, or from storage_send(); then nothing of it is left there. */
	void (*failed)(struct storage_request *request);
};

void storage_init(struct storage *storage, struct loop *loop);

/** The last has left the room. */
void storage_done(struct storage *storage);

/** Send now, or when the program is there: the agent is asked in the name of @visitor. */
void storage_send(struct storage *storage, struct storage_request *request,
		  struct visitor *visitor);

/** It is not to be sent any more. Harmless when it has been. */
void storage_request_done(struct storage_request *request);

/** What the agent has answered, as of vouch_events::files. */
void storage_connected(struct storage *storage, int fd);

/** They leave, and with them goes the question to the agent that was in their name. */
void storage_forget(struct storage *storage, const struct visitor *visitor);

#endif
