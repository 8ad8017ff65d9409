/**
 * Sentences of the API that clients compare with, or that two programs must say alike.
 * Source: the API reference, "Failure texts".
 */
#ifndef COMMON_FAILURES_H
#define COMMON_FAILURES_H

/* Exact: portals compare these for equality. */
#define FAILURE_NO_SUCH_SESSION "The requested dcvSession does not exist"
#define FAILURE_NO_SUCH_SESSION_SCREENSHOT "Dcv session not found."
#define FAILURE_NO_SUCH_SERVER "Dcv server not found."
#define FAILURE_NO_PLACE "no dcv server found for placement"
#define FAILURE_NO_AUTHORIZATION "No authorization header"

/* Ours. */
#define FAILURE_SERVER_HAS_SESSIONS "Dcv server has running sessions."
#define FAILURE_NOT_READY_SCREENSHOT "Dcv session is not ready."
#define FAILURE_NO_ANSWER "Dcv server did not answer."
#define FAILURE_UNREACHABLE_USE_FORCE "The dcv server of the session is unreachable, use Force"
#define FAILURE_BAD_PERMISSIONS "PermissionsFile is not valid base64"

#endif
