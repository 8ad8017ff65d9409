/** Who is counted as one by where they come from. */
#ifndef COMMON_SOURCE_ADDRESS_H
#define COMMON_SOURCE_ADDRESS_H

#define SOURCE_ADDRESS_SIZE 64

/**
 * An address as text, without what its owner chooses: of IPv6 the first 64 bits, as in "2001:db8:0:1::/64".
 * What is no address stays as it is, cut short.
 */
void source_address(const char *address, char ret[SOURCE_ADDRESS_SIZE]);

#endif
