#include "agent/inventory.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "agent/cpu.h"
#include "agent/gpu.h"
#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/json.h"

#define LINE_MAX_BYTES 1024

static json_t *os(const char *root)
{
	AUTO(fclose_p) FILE *file = host_file_open(root, "/etc/os-release");
	json_t *object = json_pack("{s:s}", "Family", "linux");
	char line[LINE_MAX_BYTES];
	struct utsname names;

	while (file && object && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "NAME=", 5) == 0)
			json_set_text(object, "Name", host_file_trim(line + 5));
		else if (strncmp(line, "VERSION_ID=", 11) == 0)
			json_set_text(object, "Version", host_file_trim(line + 11));
	}
	if (object && uname(&names) == 0)
		json_set_text(object, "KernelVersion", names.release);
	return object;
}

struct meminfo {
	long long total, available, swap_total, swap_free; /* KiB; -1: not told */
};

static struct meminfo read_meminfo(const char *root)
{
	AUTO(fclose_p) FILE *file = host_file_open(root, "/proc/meminfo");
	struct meminfo m = {-1, -1, -1, -1};
	char line[LINE_MAX_BYTES];

	while (file && fgets(line, sizeof(line), file)) {
		(void)(sscanf(line, "MemTotal: %lld", &m.total) == 1 ||
		       sscanf(line, "MemAvailable: %lld", &m.available) == 1 ||
		       sscanf(line, "SwapTotal: %lld", &m.swap_total) == 1 ||
		       sscanf(line, "SwapFree: %lld", &m.swap_free) == 1);
	}
	return m;
}

#define KIB_MAX (1LL << 50)

/* Free memory can be more than the total for a moment; a part is never negative. */
static void set_memory(json_t *host, const char *key, long long total_kib, long long free_kib)
{
	if (free_kib > total_kib)
		free_kib = total_kib;
	if (free_kib >= 0 && total_kib <= KIB_MAX)
		(void)json_object_set_new(host, key,
					  json_pack("{s:I,s:I}", "TotalBytes",
						    (json_int_t)total_kib * 1024, "UsedBytes",
						    (json_int_t)(total_kib - free_kib) * 1024));
}

static bool read_load(const char *root, double load[3])
{
	AUTO(fclose_p) FILE *file = host_file_open(root, "/proc/loadavg");

	return file && fscanf(file, "%lf %lf %lf", &load[0], &load[1], &load[2]) == 3;
}

int inventory_init(struct inventory *inventory, const char *root, struct error *err)
{
	*inventory = (struct inventory){.root = root,
					.cpus = cpu_info(root),
					.gpus = gpu_list(root),
					.users = json_array()};
	return inventory->gpus && inventory->users ? 0 : error_oom(err);
}

void inventory_done(struct inventory *inventory)
{
	json_decref(inventory->cpus);
	json_decref(inventory->gpus);
	json_decref(inventory->users);
	json_decref(inventory->aws);
	*inventory = (struct inventory){0};
}

void inventory_set_aws(struct inventory *inventory, json_t *aws)
{
	json_decref(inventory->aws);
	inventory->aws = aws;
}

void inventory_set_users(struct inventory *inventory, json_t *users)
{
	json_decref(inventory->users);
	inventory->users = users;
}

json_t *inventory_host(const struct inventory *inventory)
{
	json_t *host = json_pack("{s:o,s:O,s:O}", "Os", os(inventory->root), "Gpus",
				 inventory->gpus, "LoggedInUsers", inventory->users);
	struct meminfo memory = read_meminfo(inventory->root);
	double load[3];

	if (!host)
		return NULL;
	set_memory(host, "Memory", memory.total, memory.available);
	set_memory(host, "Swap", memory.swap_total, memory.swap_free);
	if (inventory->cpus)
		(void)json_object_set(host, "CpuInfo", inventory->cpus);
	if (inventory->aws)
		(void)json_object_set(host, "Aws", inventory->aws);
	if (read_load(inventory->root, load))
		(void)json_object_set_new(host, "CpuLoadAverage",
					  json_pack("{s:f,s:f,s:f}", "OneMinute", load[0],
						    "FiveMinutes", load[1], "FifteenMinutes",
						    load[2]));
	return host;
}

void inventory_hostname(char *ret, size_t size)
{
	if (gethostname(ret, size) < 0)
		(void)snprintf(ret, size, "localhost");
	ret[size - 1] = '\0';
	ret[strcspn(ret, ".")] = '\0';
}

void inventory_dns_name(char *ret, size_t size)
{
	const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	inventory_hostname(ret, size);
	if (getaddrinfo(ret, NULL, &hints, &found) == 0 && found && found->ai_canonname)
		(void)snprintf(ret, size, "%s", found->ai_canonname);
	if (found)
		freeaddrinfo(found);
}

/* Smaller is better: the preferred interface, then any; IPv4 before IPv6; no link-local addresses.
 */
static int rank(const struct ifaddrs *entry, const char *preferred)
{
	int family = entry->ifa_addr ? entry->ifa_addr->sa_family : AF_UNSPEC;
	int r = preferred && strcmp(entry->ifa_name, preferred) == 0 ? 0 : 2;

	if ((family != AF_INET && family != AF_INET6) || !(entry->ifa_flags & IFF_UP))
		return -1;
	if (r > 0 && (entry->ifa_flags & IFF_LOOPBACK))
		return -1;
	if (family == AF_INET)
		return r;
	return IN6_IS_ADDR_LINKLOCAL(
		       &((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr)
		       ? -1
		       : r + 1;
}

void inventory_address(const char *preferred_interface, char *ret, size_t size)
{
	struct ifaddrs *entries = NULL, *best = NULL;
	int best_rank = -1;

	(void)snprintf(ret, size, "127.0.0.1");
	if (getifaddrs(&entries) < 0)
		return;
	for (struct ifaddrs *entry = entries; entry; entry = entry->ifa_next) {
		int r = rank(entry, preferred_interface);

		if (r >= 0 && (!best || r < best_rank)) {
			best = entry;
			best_rank = r;
		}
	}
	if (best)
		(void)getnameinfo(best->ifa_addr,
				  best->ifa_addr->sa_family == AF_INET
					  ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6),
				  ret, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
	freeifaddrs(entries);
}
