/**
 * What the agent and a keeper say to each other.
 *
 * A SOCK_SEQPACKET Unix socket; every packet is one message: a list of NAME=value strings, each
 * ended by a NUL byte, at most KEEPER_MESSAGE_MAX_BYTES in all. Nothing is quoted or escaped; a
 * value is any bytes but NUL. Names that a receiver does not know are an error, so that both sides
 * notice when they are of different releases. Peers are accepted by their uid (SO_PEERCRED): the
 * agent's, root's, or our own.
 *
 * Two sockets speak it:
 *  - the listener (`dcv-session-keeper --listen PATH`, or a systemd socket with Accept=yes): the
 *    first message of a connection is "start", "clean" or "check". After "start" the process that answers is
 *    the session's keeper, and the connection goes on like one to the control socket.
 *  - RUN_DIR/NUMBER/control of every living session. On accept the keeper says "state".
 *
 * From the agent, OPERATION= one of
 *    start    SESSION_ID OWNER [TYPE=virtual|console] [INIT_FILE] [AUTORUN_FILE] [ARGUMENT ...]
 *             [RENDER_NODE]        begin a session; a console session has no files
 *    stop     [REASON]                                            end it; may be said repeatedly
 *    capture  TAG                  start the capture program as the owner, hand over a socket to it
 *    connect  TAG                  connect to the session's RFB server as the owner, hand over
 *                                that socket
 *    files    TAG FOLDER           start the program that serves the files below FOLDER to a viewer,
 *                                  as the owner, hand over a socket to it (agent/files/protocol.h)
 *    usage                         tell how much CPU time the session has used
 *    notify   TEXT                 show the owner a text, one line, in the session; not answered
 *    clean    NUMBER               (listener only) remove what a killed keeper left behind
 *    check                         (listener only) say that this works
 *
 * From the keeper, EVENT= one of
 *    state    NUMBER SESSION_ID OWNER TYPE=virtual|console
 *             STATE=waiting|starting|ready|ending [DISPLAY] [XAUTHORITY] [INIT] [AUTORUN]
 *             [REASON] [RENDER_NODE] [ACCOUNT, the owner's name in name services] [FILES=1]
 *             after accept on the control socket, and as first answer to "start". INIT, AUTORUN:
 *             the STATUS of what has "exited". FILES: it knows "files"; a keeper of an earlier
 *             release does not, and must not be asked
 *    starting                      the session's turn has come: its X server is started, or looked
 *                                  for (queue_timeout ends, create_timeout begins)
 *    ready    DISPLAY [XAUTHORITY]   the X server answers and the desktop has started (settling.h)
 *    exited   PROGRAM=init|autorun STATUS   the init file (or the desktop), or the autorun file has
 *                                  ended by itself, the session perhaps not. STATUS is "exit
 *                                  status N" or "killed by signal N"
 *    ending   REASON [LEFT]
 *    ended    REASON               last word: nothing of the session is left; the keeper exits
 *    failed   REASON CODE [NUMBER] answer to a "start" or "clean" that could not be done, last
 *                                  word; after a "state" it comes when all is removed, "ending"
 *                                  before it. CODE: the error_wire_name() of what went wrong, which
 *                                  tells whether the request is to blame (error_blames_request()).
 *                                  NUMBER: of the session that has the SESSION_ID already
 *    capture  TAG [REASON CODE]    with the descriptor as SCM_RIGHTS, or REASON why there is none
 *    connect  TAG [REASON]         the same
 *    files    TAG [REASON]         the same
 *    usage    [CPU_MS]             milliseconds of CPU time, of all processors; not of a console
 *    cleaned  NUMBER               last word
 *    checked                       last word
 *
 * "ending" is said again, with LEFT, the number of processes that do not end, when the end takes 10 s
 * longer than the grace period; the keeper goes on. REASON is valid UTF-8 without control characters, whatever programs
 * and requests contained. Empty INIT_FILE or AUTORUN_FILE is a file with an empty name, and
 * refused. A first message that does not come within 10 s, and one that cannot be read, is answered
 * by "failed". On a control socket a message that cannot be read costs its sender the connection. A
 * keeper has at most 16 peers, 4 capture programs, 4 programs for files and 4 connections under way; a peer that does not read is dropped when its
 * socket is full.
 *
 * Losing a connection is no event for the keeper: the session goes on. A connection that closes
 * without a last word means that the keeper was killed: "clean" its NUMBER.
 * But a "start" whose sender has gone before the session has its number is not carried out: nobody
 * would know of it.
 */
#ifndef AGENT_KEEPER_PROTOCOL_H
#define AGENT_KEEPER_PROTOCOL_H

#define KEEPER_MESSAGE_MAX_BYTES 65536

/** Session ids: 1 to this many of [A-Za-z0-9._-], not beginning with '.' or '-'. */
#define KEEPER_SESSION_ID_MAX_BYTES 128

/** Below RUN_DIR, and below each session's folder RUN_DIR/NUMBER. */
#define KEEPER_CONTROL_SOCKET "control"
#define KEEPER_LOCK_FILE "lock" /* flock()ed by a living keeper */

#define KEEPER_RUN_DIR "/run/dcv-session-keeper"
#define KEEPER_LOG_DIR "/var/log/dcv-session-keeper"
#define KEEPER_LISTEN_SOCKET KEEPER_RUN_DIR "/listen"

#endif
