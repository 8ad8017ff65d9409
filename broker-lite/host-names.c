#include "broker-lite/host-names.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

static bool has_name(const struct buf *names, const char *entry)
{
	size_t len = strlen(entry);

	for (const char *p = names->data; p && *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, entry, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* What is neither an address nor a plain host name is left out, so that no name can bring a comma
 * or another kind of name with it. */
static int add_name(struct buf *names, const char *name, struct error *err)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool is_address = inet_pton(AF_INET, name, address) == 1 ||
			  inet_pton(AF_INET6, name, address) == 1;
	char entry[300];

	if (!is_address && (name[0] == '\0' || strlen(name) > 253 ||
			    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789.-_*")]))
		return 0;
	(void)snprintf(entry, sizeof(entry), "%s:%s", is_address ? "IP" : "DNS", name);
	if (has_name(names, entry))
		return 0;
	return buf_printf(names, err, "%s%s", names->len > 0 ? "," : "", entry);
}

static int add_host_name(struct buf *names, struct error *err)
{
	static const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	char name[256] = "";
	struct addrinfo *found = NULL;
	int result;

	if (gethostname(name, sizeof(name) - 1) < 0)
		return error_errno(err, "gethostname");
	result = add_name(names, name, err);
	if (result == 0 && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname)
			result = add_name(names, found->ai_canonname, err);
		freeaddrinfo(found);
	}
	name[strcspn(name, ".")] = '\0';
	return result < 0 ? -1 : add_name(names, name, err);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Sorted, because the order in which the kernel tells them is no difference. */
static int add_addresses(struct buf *names, struct error *err)
{
	enum { ADDRESSES_MAX = 64 };
	char texts[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	struct ifaddrs *all = NULL;
	size_t n = 0;

	if (getifaddrs(&all) < 0)
		return error_errno(err, "getifaddrs");
	for (const struct ifaddrs *a = all; a && n < ADDRESSES_MAX; a = a->ifa_next) {
		const void *address = NULL;
		int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;

		if (a->ifa_flags & IFF_LOOPBACK)
			continue;
		if (family == AF_INET)
			address = &((const struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr;
		if (family == AF_INET6)
			address = &((const struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr;
		/* of no use without the name of an interface, and containers come and go with them */
		if (family == AF_INET6 && address && IN6_IS_ADDR_LINKLOCAL(address))
			continue;
		if (address && inet_ntop(family, address, texts[n], INET6_ADDRSTRLEN))
			n++;
	}
	freeifaddrs(all);
	qsort(texts, n, sizeof(texts[0]), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (add_name(names, texts[i], err) < 0)
			return -1;
	}
	return 0;
}

int host_names_append(const char *extra, struct buf *ret, struct error *err)
{
	AUTO(free_p) char *list = strdup(extra ? extra : "");
	char *rest = list;

	if (!list)
		return error_oom(err);
	if (add_host_name(ret, err) < 0 || add_name(ret, "localhost", err) < 0 ||
	    add_addresses(ret, err) < 0 || add_name(ret, "127.0.0.1", err) < 0 ||
	    add_name(ret, "::1", err) < 0)
		return -1;
	for (char *name; (name = strsep(&rest, ", \t"));) {
		if (add_name(ret, name, err) < 0)
			return -1;
	}
	return 0;
}
