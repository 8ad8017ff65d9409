/** Directory streams with AUTO(). */
#ifndef AGENT_KEEPER_DIRECTORY_H
#define AGENT_KEEPER_DIRECTORY_H

#include <dirent.h>

static inline void closedir_p(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

#endif
