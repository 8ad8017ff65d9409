/**
 * The API's description, dcv-session-manager-api.yaml as it was when the program was built. Clients
 * are generated from it, so the two must not differ.
 */
#ifndef BROKER_API_FILE_H
#define BROKER_API_FILE_H

/** Not ended by a NUL. */
extern const char api_file[], api_file_end[];

#endif
