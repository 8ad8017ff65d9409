/** What the manual page and the shell's completion are made with, from the tables of dcvctl. */
#ifndef CTL_MANUAL_H
#define CTL_MANUAL_H

#include <stdbool.h>
#include <stdio.h>

/**
 * Print a part of them; false if there is no such part.
 *    options, commands   lists in the language of scdoc(5)
 *    completion          arms of a case statement of bash: the words that may follow a command, and
 *                        under '' those before it
 */
bool manual_print(const char *part, FILE *file);

#endif
