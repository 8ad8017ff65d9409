#include "broker-lite/host-names.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/subject-names.h"

static int add_host_name(struct buf *names, struct error *err)
{
	static const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	char name[256] = "";
	struct addrinfo *found = NULL;
	int result;

	if (gethostname(name, sizeof(name) - 1) < 0)
		return error_errno(err, "gethostname");
	result = subject_names_add(names, name, err);
	if (result == 0 && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname)
			result = subject_names_add(names, found->ai_canonname, err);
		freeaddrinfo(found);
	}
	name[strcspn(name, ".")] = '\0';
	return result < 0 ? -1 : subject_names_add(names, name, err);
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
		if (subject_names_add(names, texts[i], err) < 0)
			return -1;
	}
	return 0;
}

int host_names_append_list(const char *list, struct buf *ret, struct error *err)
{
	AUTO(free_p) char *copy = strdup(list ? list : "");
	char *rest = copy;

	if (!copy)
		return error_oom(err);
	for (char *name; (name = strsep(&rest, ", \t"));) {
		if (subject_names_add(ret, name, err) < 0)
			return -1;
	}
	return 0;
}

int host_names_append(const char *extra, struct buf *ret, struct error *err)
{
	if (add_host_name(ret, err) < 0 || subject_names_add(ret, "localhost", err) < 0 ||
	    add_addresses(ret, err) < 0 || subject_names_add(ret, "127.0.0.1", err) < 0 ||
	    subject_names_add(ret, "::1", err) < 0)
		return -1;
	return host_names_append_list(extra, ret, err);
}
