#include "common/source-address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void source_address(const char *address, char ret[SOURCE_ADDRESS_SIZE])
{
	struct in6_addr ip6;
	char text[INET6_ADDRSTRLEN];

	(void)snprintf(ret, SOURCE_ADDRESS_SIZE, "%s", address);
	if (inet_pton(AF_INET6, address, &ip6) != 1 || IN6_IS_ADDR_V4MAPPED(&ip6))
		return;
	memset(ip6.s6_addr + 8, 0, 8);
	if (inet_ntop(AF_INET6, &ip6, text, sizeof(text)))
		(void)snprintf(ret, SOURCE_ADDRESS_SIZE, "%s/64", text);
}
