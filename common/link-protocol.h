/**
 * What an agent and a broker say to each other.
 *
 * Before the link, over HTTPS on the broker's agent port: the agent registers (RFC 7591, with its
 * software statement) at LINK_REGISTER_PATH and gets a client id and secret; with these it fetches
 * an access token (RFC 6749, client credentials) at LINK_TOKEN_PATH; with the token it opens a
 * WebSocket at LINK_PATH with the subprotocol LINK_PROTOCOL. Refusals: 401 a new token is needed,
 * and after that a new registration; 403 this client has been unregistered.
 *
 * A host that has nothing yet enrols itself with a join token of the administrator's, which is
 * JOIN_TOKEN_VERSION "." fingerprint "." secret, both in base64url: the SHA-256 of the certificate
 * of the authority (DER) that vouches for the agent port, and 32 random bytes. The agent fetches the
 * authorities as PEM at LINK_AUTHORITY_PATH (GET) without trusting who gives them; with the one that
 * the fingerprint names, and nothing else, as its authority it then POSTs {"secret":"…"} to
 * LINK_JOIN_PATH, and gets {"authority":"<PEM>","software_statement":"…"}. 403: the secret is not
 * known, was used, or has expired; 429 with Retry-After: too many wrong ones came from there.
 *
 * On the link every message is one JSON object, with these members in this order and no blanks
 * between them, so that a body can be cut out and passed on without being parsed:
 *
 *   broker to agent
 *     {"event":"hello","body":{"MessageMaxBytes":n,"Time":n,"Authority":"<64 hex digits>"}}
 *                       first message, and again when Authority is another
 *     {"event":"reportReceived","body":{"sessionsUpdateResponse":
 *         {"requestId":"<32 hex digits>","result":{"success":true}}}}
 *     {"event":"certificate","body":{"Certificate":"<PEM>"}}         to a certificateRequest
 *     {"event":"certificate","body":{"error":"…","code":"<error_wire_name()>"}}
 *     {"id":n,"operation":"<API name>","context":{…},"body":{…}}     one element of a request
 *   agent to broker
 *     {"event":"report","body":{"Server":{…},"Sessions":[…],"LeakedProcesses":n,"Sequence":n,"BootId":"…"}}
 *     {"event":"certificateRequest","body":{"Request":"<base64>"}}   common/certificate-request.h
 *     {"id":n,"status":200,"body":{…}}                  body: the entry of SuccessfulList
 *     {"id":n,"status":4xx or 5xx,"body":{"error":"…","code":"<error_wire_name()>"}}
 *
 * "Time" is the broker's, in milliseconds since 1970, for the agent to know by how much theirs
 * differ; a broker of another release may not tell it.
 *
 * "Authority" is the SHA-256 of the authority that signs certificates for hosts' web viewers now, "" if the
 * broker signs none for this agent. One that does not tell it knows no certificateRequest and must not be
 * sent one. What a certificate is signed for, and for whom: broker-lite/certification.h. "Certificate" is two
 * of them: what was asked for, and the authority.
 *
 * "id" is a number of the broker's choice, unique on the link. "body" of an operation is the
 * client's element as it came. "context" is what the broker adds: SessionId, CreationTime and
 * Attempt (of a session to create; attempts are counted from 1), RequestId, Deadline (milliseconds
 * that remain for the answer), and for screenshots MaxWidth, MaxHeight and Format to be used where
 * the body has none.
 *
 * Commands are idempotent by session id: a create for an id that the agent has creates nothing and
 * succeeds, unless that session has ended and this is a later attempt at it. A create is answered
 * when the session is known to the agent (state CREATING); what becomes of it is told by reports.
 * Relayed are: CreateSessions, DeleteSessions, UpdateSessionPermissions, GetSessionScreenshots and
 * OpenServers (clears the host's own mark).
 *
 * The answer to GetSessionScreenshots is passed on as bytes after it has been checked:
 * {"SessionScreenshot":{"SessionId":"…","Images":[{…},…]}} with the members in this order, the
 * session's own id, and at least one image.
 *
 * "Server" and "Sessions" of a report are those of DescribeServers and DescribeSessions, sessions
 * without their "Server" member. Sessions that ended lately are included as DELETED with their
 * StateReason, and if they were never READY with FailureCode, where it is known: the code of what
 * went wrong (error_wire_name()). If error_blames_request() it is not held against the host;
 * without FailureCode it is. Clients of the API are not told of it.
 * LeakedProcesses counts processes of sessions that are being deleted and do not end. Sequence grows by one with each
 * report of an agent process; a report is always the whole truth about the host.
 */
#ifndef COMMON_LINK_PROTOCOL_H
#define COMMON_LINK_PROTOCOL_H

#define LINK_REGISTER_PATH "/agent/register"
#define LINK_TOKEN_PATH "/oauth2/token"
#define LINK_AUTHORITY_PATH "/agent/authority"
#define LINK_JOIN_PATH "/agent/join"
#define LINK_PATH "/agent/ws"
#define LINK_PROTOCOL "dcv-session-manager-link.v1"

#define JOIN_TOKEN_VERSION "dcvsm1"
#define JOIN_SECRET_BYTES 32

#define LINK_MESSAGE_MAX_BYTES (64UL * 1024 * 1024)

#endif
