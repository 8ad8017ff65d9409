/**
 * The processors of this host.
 *
 * Topology comes from sysfs, where every kernel of every architecture has it, else from
 * /proc/cpuinfo; vendor and model from the latter. A container has the processors that it may use:
 * those that its first process is allowed, or fewer if its /proc/cpuinfo shows fewer.
 */
#ifndef AGENT_CPU_H
#define AGENT_CPU_H

#include <jansson.h>

/** A new "CpuInfo" object; NULL if nothing is known. @root: see host-file.h. */
json_t *cpu_info(const char *root);

#endif
