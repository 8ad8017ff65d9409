#include "common/subject-names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 253
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

bool subject_names_has(const char *names, const char *entry)
{
	size_t len = strlen(entry);

	for (const char *p = names; p && *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncasecmp(p, entry, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* As inet_ntop() writes it: one address is one text. False: it is none. */
static bool read_address(const char *name, char ret[INET6_ADDRSTRLEN])
{
	int family = strchr(name, ':') ? AF_INET6 : AF_INET;
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(family, name, address) == 1 &&
	       inet_ntop(family, address, ret, INET6_ADDRSTRLEN);
}

/* False: it is neither an address nor a host name. */
static bool make_entry(const char *name, char ret[SUBJECT_NAME_SIZE])
{
	char address[INET6_ADDRSTRLEN];
	bool is_ip = read_address(name, address);

	if (!is_ip && (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES ||
		       name[strspn(name, NAME_CHARACTERS "*")]))
		return false;
	(void)snprintf(ret, SUBJECT_NAME_SIZE, "%s:%s", is_ip ? "IP" : "DNS",
		       is_ip ? address : name);
	return true;
}

bool subject_name_is(const char *entry, const char *name)
{
	char made[SUBJECT_NAME_SIZE];

	return make_entry(name, made) && strcasecmp(made, entry) == 0;
}

int subject_names_add(struct buf *names, const char *name, struct error *err)
{
	char entry[SUBJECT_NAME_SIZE];

	if (!make_entry(name, entry) || subject_names_has(names->data, entry))
		return 0;
	return buf_printf(names, err, "%s%s", names->len > 0 ? "," : "", entry);
}

bool subject_names_next(const char **at, char ret[SUBJECT_NAME_SIZE])
{
	size_t len = *at ? strcspn(*at, ",") : 0;

	if (len == 0 || len >= SUBJECT_NAME_SIZE)
		return false;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at += len;
	*at += **at == ',';
	return true;
}

static bool is_ip4_of_host(const struct in_addr *address)
{
	unsigned long ip = ntohl(address->s_addr);

	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 0xe && ip >> 16 != 0xa9fe;
}

static bool is_ip6_of_host(const struct in6_addr *address)
{
	return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_LOOPBACK(address) &&
	       !IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_LINKLOCAL(address) &&
	       !IN6_IS_ADDR_V4MAPPED(address) && !IN6_IS_ADDR_V4COMPAT(address);
}

bool subject_name_is_of_host(const char *name)
{
	size_t len = strlen(name), local = strlen("localhost");
	struct in6_addr ip6;
	struct in_addr ip4;

	if (inet_pton(AF_INET, name, &ip4) == 1)
		return is_ip4_of_host(&ip4);
	if (inet_pton(AF_INET6, name, &ip6) == 1)
		return is_ip6_of_host(&ip6);
	if (len == 0 || len > NAME_MAX_BYTES || name[strspn(name, NAME_CHARACTERS)] ||
	    name[0] == '.' || name[len - 1] == '.')
		return false;
	/* anything below localhost is localhost: RFC 6761, 6.3; a number is a mistyped address */
	return (len < local || strcasecmp(name + len - local, "localhost") != 0 ||
		(len > local && name[len - local - 1] != '.')) &&
	       name[strspn(name, "0123456789.")];
}
