/** How the program ends; scripts rely on these. Source: the CLI reference, "Exit codes". */
#ifndef CTL_EXIT_STATUS_H
#define CTL_EXIT_STATUS_H

enum exit_status {
	STATUS_SUCCESS = 0,
	STATUS_CONFIG_FILE = 1,   /* not found or damaged */
	STATUS_USAGE = 2,         /* the command line could not be parsed */
	STATUS_INTERRUPTED = 130, /* SIGINT */
	STATUS_VALUE = 252,       /* an option's value is wrong */
	STATUS_SETTINGS = 253,    /* credentials or settings are missing or wrong */
	STATUS_REFUSED = 254,     /* the service was asked and said no */
	STATUS_OTHER = 255        /* not reached, not understood, not written */
};

#endif
