/** The lines of audit.log about what was asked of the broker, and about sessions that change. */
#ifndef BROKER_AUDIT_CHANGE_H
#define BROKER_AUDIT_CHANGE_H

#include <jansson.h>

#include "common/http-server.h"

struct fleet;
struct session;

/** For struct api: one element of a call has its answer; @userdata is the broker. */
void audit_element(const struct http_request *request, const void *fields, const struct buf *text,
		   const struct error *err, void *userdata);

/**
 * For the server of commands: a command was answered. All are told but describe-*, list-* and metrics.
 * What it was about is read from the options and the result, by a list of members that are no secret.
 */
void audit_command(const struct http_request *request, int status, const struct buf *body,
		   void *userdata);

/** For the server of agents: a registration was answered. */
void audit_registration(const struct http_request *request, int status, const struct buf *body,
			void *userdata);

/** Something became of a session by itself: "SessionReady", "SessionEnded". @reason may be NULL. */
void audit_session(struct fleet *fleet, const struct session *session, const char *what,
		   const char *reason);

#endif
