/**
 * What the viewer and dcv-session-files say to each other about the files of a session.
 *
 * The program runs as the session's owner and has one end of a SOCK_SEQPACKET Unix socket; it ends when
 * the other is closed. Every packet is a request: a message (common/message.h), and with it one end of a
 * SOCK_STREAM socket that serves this request alone. Closing that breaks the request off.
 *
 * OPERATION= one of
 *    list  PATH                     what is in a folder
 *    get   PATH [RANGE] [IF_RANGE]  the bytes of a file. RANGE, IF_RANGE: as in HTTP
 *    part  PATH SIZE TIME           how much of an upload is there already
 *    put   PATH SIZE TIME OFFSET LENGTH   LENGTH bytes of it follow on the stream
 *    drop  PATH SIZE TIME           forget it
 *
 * PATH is any bytes, below the session's storage folder, "" for that itself. SIZE (bytes) and TIME tell
 * one upload of that name from another. On the stream comes, once for each request, a message after its
 * length in two bytes, high one first:
 *
 *    STATUS of HTTP, LENGTH [ETAG, FIRST, TOTAL]      the latter of the bytes of a file, with 200 or 206
 *
 * and then LENGTH bytes: those of the file, or JSON:
 *
 *    list        {"entries": [{"name", "folder": bool, "size", "time"}], "more": bool}
 *                "time" in ms; "more": not all are told
 *    part, drop  {"offset": number}      so many bytes are there
 *    put         {"offset": number}, or with 201 {"name"}, what it is called now that it is whole
 *    failed      {"error": sentence}, with 409 perhaps {"offset"} as well: go on there
 *
 * A name is percent-encoded, for JSON cannot carry any bytes.
 */
#ifndef AGENT_FILES_PROTOCOL_H
#define AGENT_FILES_PROTOCOL_H

#define FILES_PATH_MAX_BYTES 4095
#define FILES_REPLY_MAX_BYTES 1024 /* of its message */
#define FILES_REQUESTS_MAX 32      /* at a time */
#define FILES_ENTRIES_MAX 10000    /* of a folder that are told */

#endif
