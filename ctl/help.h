/** The help texts, made from the tables of options and operations. */
#ifndef CTL_HELP_H
#define CTL_HELP_H

#include "common/buf.h"
#include "common/error.h"
#include "ctl/command.h"
#include "ctl/option.h"

int help_program(enum program program, struct buf *out, struct error *err);
int help_command(const struct command *command, enum program program, struct buf *out,
		 struct error *err);

#endif
