/**
 * The graphics processors of this host: what the PCI bus has of class 0x03, whatever driver it has.
 *
 * Names come from pci.ids (package pci.ids or hwdata). What it does not know, or all if it is not
 * there, is told by number, as lspci does: "Device 2335".
 */
#ifndef AGENT_GPU_H
#define AGENT_GPU_H

#include <jansson.h>

/** A new "Gpus" array, in the order of the bus; empty if there is none. NULL without memory. */
json_t *gpu_list(const char *root);

#endif
