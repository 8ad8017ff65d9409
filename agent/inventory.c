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

#include "common/cleanup.h"
#include "common/json.h"

#define LINE_MAX_BYTES 1024

static FILE *open_below(const char *root, const char *path)
{
	AUTO(free_p) char *full = NULL;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return NULL;
	}
	return fopen(full, "re");
}

/* Cut the line end and the quotes around a value, in place. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\"'");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n\"'", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static json_t *os(const char *root)
{
	AUTO(fclose_p) FILE *file = open_below(root, "/etc/os-release");
	json_t *object = json_pack("{s:s}", "Family", "linux");
	char line[LINE_MAX_BYTES];
	struct utsname names;

	while (file && object && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "NAME=", 5) == 0)
			json_set_text(object, "Name", trim(line + 5));
		else if (strncmp(line, "VERSION_ID=", 11) == 0)
			json_set_text(object, "Version", trim(line + 11));
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
	AUTO(fclose_p) FILE *file = open_below(root, "/proc/meminfo");
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

struct cpus {
	char vendor[64], model[128];
	int n_logical;
	int n_sockets, n_cores; /* distinct physical ids; distinct (physical id, core id) */
};

#define CPUS_MAX 4096

static int compare_ids(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* How many different values of @ids >> @shift there are. */
static int count_distinct(long *ids, size_t n, int shift)
{
	int distinct = 0;

	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || ids[i] >> shift != ids[i - 1] >> shift;
	return distinct;
}

static struct cpus read_cpus(const char *root)
{
	AUTO(fclose_p) FILE *file = open_below(root, "/proc/cpuinfo");
	static long ids[CPUS_MAX];
	struct cpus cpus = {0};
	char line[LINE_MAX_BYTES];
	long physical = 0, core;
	size_t n = 0;

	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		if (strncmp(line, "processor", 9) == 0)
			cpus.n_logical++;
		else if (strncmp(line, "vendor_id", 9) == 0)
			(void)snprintf(cpus.vendor, sizeof(cpus.vendor), "%s", trim(colon + 1));
		else if (strncmp(line, "model name", 10) == 0)
			(void)snprintf(cpus.model, sizeof(cpus.model), "%s", trim(colon + 1));
		else if (sscanf(line, "physical id : %ld", &physical) == 1)
			physical &= 0xffff;
		else if (sscanf(line, "core id : %ld", &core) == 1 && n < CPUS_MAX)
			ids[n++] = physical << 16 | (core & 0xffff);
	}
	cpus.n_cores = count_distinct(ids, n, 0);
	cpus.n_sockets = count_distinct(ids, n, 16);
	return cpus;
}

static json_t *cpu_info(const char *root)
{
	struct cpus cpus = read_cpus(root);
	struct utsname names;
	json_t *object;

	if (cpus.n_logical == 0)
		return NULL;
	object = json_pack("{s:i,s:i}", "NumberOfCpus", cpus.n_logical, "PhysicalCoresPerCpu",
			   cpus.n_sockets > 0 ? cpus.n_cores / cpus.n_sockets : cpus.n_logical);
	if (!object)
		return NULL;
	json_set_text(object, "Vendor", cpus.vendor[0] ? cpus.vendor : NULL);
	json_set_text(object, "ModelName", cpus.model[0] ? cpus.model : NULL);
	if (uname(&names) == 0)
		json_set_text(object, "Architecture", names.machine);
	return object;
}

static bool read_load(const char *root, double load[3])
{
	AUTO(fclose_p) FILE *file = open_below(root, "/proc/loadavg");

	return file && fscanf(file, "%lf %lf %lf", &load[0], &load[1], &load[2]) == 3;
}

double inventory_load(const char *root)
{
	double load[3];

	return read_load(root, load) ? load[0] : -1;
}

json_t *inventory_host(const char *root)
{
	json_t *host = json_pack("{s:o,s:[],s:[]}", "Os", os(root), "Gpus", "LoggedInUsers");
	struct meminfo memory = read_meminfo(root);
	json_t *cpus = cpu_info(root);
	double load[3];

	if (!host) {
		json_decref(cpus);
		return NULL;
	}
	set_memory(host, "Memory", memory.total, memory.available);
	set_memory(host, "Swap", memory.swap_total, memory.swap_free);
	if (cpus)
		(void)json_object_set_new(host, "CpuInfo", cpus);
	if (read_load(root, load))
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
