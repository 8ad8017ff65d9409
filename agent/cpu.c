#include "agent/cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/json.h"

#define LINE_MAX_BYTES 1024
#define CPU_FOLDER "/sys/devices/system/cpu"

/* More than any kernel is built for; what is beyond is not counted. */
#define CPUS_MAX 8192

struct cpus {
	char vendor[64], model[128];
	unsigned implementer, part; /* what ARM has in place of names */
	size_t n_logical;
	size_t n_located;   /* of these, the ones whose place is known */
	long ids[CPUS_MAX]; /* their places: socket << 16 | core */
};

static void add_place(struct cpus *cpus, long socket, long core)
{
	if (cpus->n_located < CPUS_MAX)
		cpus->ids[cpus->n_located++] = (socket & 0xffff) << 16 | (core & 0xffff);
}

static int compare_ids(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* How many different values the first @n of @ids >> @shift have. */
static int count_distinct(long *ids, size_t n, int shift)
{
	int distinct = 0;

	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || ids[i] >> shift != ids[i - 1] >> shift;
	return distinct;
}

/* --- /proc/cpuinfo -----------------------------------------------------------------------------
 */

static void read_name(char *ret, size_t size, char *value)
{
	(void)snprintf(ret, size, "%s", host_file_trim(value));
}

static void read_cpuinfo(const char *root, struct cpus *cpus)
{
	AUTO(fclose_p) FILE *file = host_file_open(root, "/proc/cpuinfo");
	char line[LINE_MAX_BYTES];
	long socket = 0, core;

	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		if (strncmp(line, "processor", 9) == 0)
			cpus->n_logical++;
		else if (strncmp(line, "vendor_id", 9) == 0)
			read_name(cpus->vendor, sizeof(cpus->vendor), colon + 1);
		else if (strncmp(line, "model name", 10) == 0)
			read_name(cpus->model, sizeof(cpus->model), colon + 1);
		else if (strncmp(line, "CPU implementer", 15) == 0)
			cpus->implementer = (unsigned)strtoul(colon + 1, NULL, 0);
		else if (strncmp(line, "CPU part", 8) == 0)
			cpus->part = (unsigned)strtoul(colon + 1, NULL, 0);
		else if (sscanf(line, "physical id : %ld", &socket) != 1 &&
			 sscanf(line, "core id : %ld", &core) == 1)
			add_place(cpus, socket, core);
	}
}

/* The registers that ARM processors tell who made them, and what they are, as numbers. Source: the
 * manuals of MIDR_EL1. */
static const struct {
	unsigned implementer, part; /* part 0: the vendor's entry */
	const char *name;
} arm_names[] = {
	{0x41, 0, "ARM"},
	{0x41, 0xd03, "Cortex-A53"},
	{0x41, 0xd05, "Cortex-A55"},
	{0x41, 0xd07, "Cortex-A57"},
	{0x41, 0xd08, "Cortex-A72"},
	{0x41, 0xd0b, "Cortex-A76"},
	{0x41, 0xd0c, "Neoverse-N1"},
	{0x41, 0xd40, "Neoverse-V1"},
	{0x41, 0xd49, "Neoverse-N2"},
	{0x41, 0xd4f, "Neoverse-V2"},
	{0x41, 0xd83, "Neoverse-V3AE"},
	{0x41, 0xd84, "Neoverse-V3"},
	{0x41, 0xd8e, "Neoverse-N3"},
	{0x42, 0, "Broadcom"},
	{0x43, 0, "Cavium"},
	{0x43, 0x0af, "ThunderX2-99xx"},
	{0x46, 0, "FUJITSU"},
	{0x46, 0x001, "A64FX"},
	{0x48, 0, "HiSilicon"},
	{0x48, 0xd01, "TaiShan-v110"},
	{0x4e, 0, "NVIDIA"},
	{0x50, 0, "APM"},
	{0x51, 0, "Qualcomm"},
	{0x61, 0, "Apple"},
	{0xc0, 0, "Ampere"},
	{0xc0, 0xac3, "Ampere-1"},
	{0xc0, 0xac4, "Ampere-1a"},
};

static void name_arm(struct cpus *cpus)
{
	for (size_t i = 0; cpus->implementer && i < ARRAY_SIZE(arm_names); i++) {
		if (arm_names[i].implementer != cpus->implementer)
			continue;
		if (arm_names[i].part == 0 && !cpus->vendor[0])
			(void)snprintf(cpus->vendor, sizeof(cpus->vendor), "%s", arm_names[i].name);
		else if (arm_names[i].part && arm_names[i].part == cpus->part && !cpus->model[0])
			(void)snprintf(cpus->model, sizeof(cpus->model), "%s", arm_names[i].name);
	}
}

/* --- sysfs -------------------------------------------------------------------------------------
 */

/* The first number of a list such as "4-7,12"; -1 without one. It names what the list is about: all
 * threads of a core have the same list. */
static long first_of(const char *root, const char *list, long cpu)
{
	char text[64], *end;
	long first;

	if (!host_file_line(root, text, sizeof(text), CPU_FOLDER "/cpu%ld/topology/%s", cpu, list))
		return -1;
	first = strtol(text, &end, 10);
	return end == text ? -1 : first;
}

static void read_place(const char *root, struct cpus *cpus, long cpu)
{
	long core = first_of(root, "thread_siblings_list", cpu);
	long socket = first_of(root, "core_siblings_list", cpu);

	if (core >= 0 && socket >= 0)
		add_place(cpus, socket, core);
}

/* Call @fn for every number of a list such as "0-3,8". */
static void each_of(FILE *list, void (*fn)(long cpu, void *userdata), void *userdata)
{
	long first, last;
	int next = ',';

	while (next == ',' && fscanf(list, "%ld", &first) == 1) {
		last = first;
		next = fgetc(list);
		if (next == '-') {
			if (fscanf(list, "%ld", &last) != 1)
				return;
			next = fgetc(list);
		}
		for (long cpu = first; cpu >= 0 && cpu <= last && cpu < CPUS_MAX; cpu++)
			fn(cpu, userdata);
	}
}

struct topology {
	const char *root;
	struct cpus *cpus;
	bool is_allowed[CPUS_MAX];
	bool has_allowed;
};

static void allow(long cpu, void *userdata)
{
	struct topology *t = userdata;

	t->is_allowed[cpu] = t->has_allowed = true;
}

/* What the first process may use, its children may use, and a container is held to it. */
static void read_allowed(struct topology *t)
{
	AUTO(fclose_p) FILE *file = host_file_open(t->root, "/proc/1/status");
	char line[LINE_MAX_BYTES];
	long offset = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Cpus_allowed_list:", 18) == 0 &&
		    fseek(file, offset + 18, SEEK_SET) == 0) {
			each_of(file, allow, t);
			return;
		}
		offset = ftell(file);
	}
}

static void add_online(long cpu, void *userdata)
{
	struct topology *t = userdata;

	if (t->has_allowed && !t->is_allowed[cpu])
		return;
	t->cpus->n_logical++;
	read_place(t->root, t->cpus, cpu);
}

static void read_topology(const char *root, struct cpus *cpus)
{
	AUTO(fclose_p) FILE *file = host_file_open(root, CPU_FOLDER "/online");
	AUTO(free_p) struct topology *t = calloc(1, sizeof(*t));

	if (!file || !t)
		return;
	t->root = root;
	t->cpus = cpus;
	read_allowed(t);
	each_of(file, add_online, t);
}

/* --- both --------------------------------------------------------------------------------------
 */

static json_t *pack(struct cpus *counted, const struct cpus *named)
{
	int n_cores = (int)counted->n_logical, n_sockets = 1;
	struct utsname names;
	json_t *object;

	/* with a part of them only, nothing is known of the whole */
	if (counted->n_located == counted->n_logical) {
		n_cores = count_distinct(counted->ids, counted->n_located, 0);
		n_sockets = count_distinct(counted->ids, counted->n_located, 16);
	}
	object = json_pack("{s:i,s:i}", "NumberOfCpus", (int)counted->n_logical,
			   "PhysicalCoresPerCpu", n_cores / n_sockets);
	if (!object)
		return NULL;
	json_set_text(object, "Vendor", named->vendor[0] ? named->vendor : NULL);
	json_set_text(object, "ModelName", named->model[0] ? named->model : NULL);
	if (uname(&names) == 0)
		json_set_text(object, "Architecture", names.machine);
	return object;
}

/* Which of the two sources is to be believed. */
static struct cpus *choose(struct cpus *listed, struct cpus *online)
{
	bool is_located = online->n_located == online->n_logical;

	if (online->n_logical == 0 ||
	    (listed->n_logical > 0 && listed->n_logical < online->n_logical))
		return listed;
	return !is_located && listed->n_logical == online->n_logical ? listed : online;
}

json_t *cpu_info(const char *root)
{
	AUTO(free_p) struct cpus *found = calloc(2, sizeof(*found));
	struct cpus *chosen;

	if (!found)
		return NULL;
	read_cpuinfo(root, &found[0]);
	name_arm(&found[0]);
	read_topology(root, &found[1]);
	chosen = choose(&found[0], &found[1]);
	return chosen->n_logical > 0 ? pack(chosen, &found[0]) : NULL;
}
