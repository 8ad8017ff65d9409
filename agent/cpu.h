/**
 * The processors of this host.
 *
 * Topology comes from sysfs, where every kernel of every architecture has it, else from
 * /proc/cpuinfo; vendor and model from the latter. In a container whose /proc/cpuinfo shows fewer
 * processors than the host has, these are all there are.
 */
#ifndef AGENT_CPU_H
#define AGENT_CPU_H

#include <jansson.h>

/** A new "CpuInfo" object; NULL if nothing is known. @root: see host-file.h. */
json_t *cpu_info(const char *root);

#endif
