/**
 * Files in which a host tells about itself, below @root: "" on a real host, a made tree in tests.
 */
#ifndef AGENT_HOST_FILE_H
#define AGENT_HOST_FILE_H

#include <stdbool.h>
#include <stdio.h>

/** Open for reading; NULL if it cannot be. @path begins with '/'. */
FILE *host_file_open(const char *root, const char *path);

/** The first line without blanks around it. False, and "", where there is no file or no text. */
__attribute__((format(printf, 4, 5))) bool host_file_line(const char *root, char *ret, size_t size,
							  const char *path_format, ...);

/** Cut blanks, line ends and quotes around a value, in place. */
char *host_file_trim(char *text);

#endif
