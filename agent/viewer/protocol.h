/**
 * What the agent and the viewer say to each other: packets as in agent/keeper/protocol.h, over a Unix
 * socket that the agent listens on. It talks to the viewer's user, its own and root alone.
 *
 * The viewer knows nothing of users and permissions: it shows the agent the token of somebody at its door,
 * and gets a socket to the session's X server, or a status. One viewer at a time; the latest counts.
 *
 * From the viewer, OPERATION= one of
 *    hello    PORT WEB_URL_PATH [CERTIFICATE]   it listens there; first message. CERTIFICATE, of any
 *                                  value: it wants one of the broker's authority
 *    certify  REQUEST              a certificate is asked for: common/certificate-request.h
 *    check    TAG TOKEN ADDRESS    would this token admit anybody now? For the page; nothing begins
 *    connect  TAG TOKEN SESSION_ID ADDRESS
 *    holds    TAG SESSION_ID USER ADDRESS   after hello: was admitted by an agent before this one
 *    files    TAG                  somebody who is inside wants to reach the session's files
 *    gone     TAG                  whoever was admitted has left, or does not want to be any more
 *
 * From the agent, EVENT= one of
 *    checked   TAG STATUS          200, or as refused
 *    connected TAG USER FEATURES IS_OWNER IS_CONSOLE HAS_FILES  with the socket. FEATURES: their bits,
 *                                  decimal. The others (HAS_FILES: the session has a storage folder):
 *                                  0 or 1
 *    files     TAG                 with a socket to the program that serves the session's files
 *                                  (agent/files/protocol.h), or without: there is none now
 *    refused   TAG STATUS          of HTTP: 401 the token is not good, 403 it is and they may not,
 *                                  429 there is no more room, 501 the host lacks what shows such a
 *                                  session, 503 not now. Why is in the agent's log.
 *    features  TAG FEATURES        are theirs from now on
 *    end       TAG REASON          put them out; REASON is one of enum viewer_end, decimal
 *
 * and, to one that wants a certificate, without TAG,
 *    host      NAMES AUTHORITY     the host's names (common/subject-names.h), and the SHA-256 of the
 *                                  authority that the broker signs with now, in hex; when that is news
 *    host      NAMES REASON        why there is none now
 *    certified   CERTIFICATE       PEM: what was asked for, and the authority that has signed it
 *    uncertified REASON
 *
 * TAG names somebody at the door or inside: a number that the viewer never uses twice.
 */
#ifndef AGENT_VIEWER_PROTOCOL_H
#define AGENT_VIEWER_PROTOCOL_H

/** Beside the agent's socket for the API. */
#define VIEWER_SOCKET_NAME "viewer.sock"
#define VIEWER_SOCKET "/run/dcv-session-manager-agent/" VIEWER_SOCKET_NAME

#define VIEWER_TOKEN_MAX_BYTES 8192

enum viewer_end {
	VIEWER_END_SESSION,     /* it is being deleted, or has ended */
	VIEWER_END_PERMISSION,  /* the permissions do not give the display any more */
	VIEWER_END_SUPERVISION, /* the owner has left */
	VIEWER_END_REPLACED,    /* they came again, and there is room for one */
	VIEWER_N_ENDS
};

#endif
