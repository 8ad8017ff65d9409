#include "agent/cpu.h"

#include <sys/utsname.h>

#include "common/json.h"
#include "tests/unit/agent/fixture.h"

static int set_up(void **state)
{
	static struct folder f;

	folder_make(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	folder_remove(*state);
	return 0;
}

/* One processor of /proc/cpuinfo, as x86 has it. */
#define CPU(n, socket, core)                                                                       \
	"processor\t: " n "\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\n"          \
	"physical id\t: " socket "\ncore id\t\t: " core "\ncpu cores\t: 2\n\n"

/* The same of sysfs: the lists of its core and of its socket. */
static void put_cpu(const struct folder *f, int n, const char *core, const char *socket)
{
	char name[96];

	(void)snprintf(name, sizeof(name),
		       "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", n);
	(void)put(f, name, core);
	(void)snprintf(name, sizeof(name),
		       "sys/devices/system/cpu/cpu%d/topology/core_siblings_list", n);
	(void)put(f, name, socket);
}

static void assert_counts(const struct folder *f, int n_cpus, int n_cores_per_socket)
{
	json_auto_t *info = cpu_info(f->path);

	assert_int_equal(json_integer_value(json_object_get(info, "NumberOfCpus")), n_cpus);
	assert_int_equal(json_integer_value(json_object_get(info, "PhysicalCoresPerCpu")),
			 n_cores_per_socket);
}

static void sockets_cores_and_threads_are_told_apart(void **state)
{
	const struct folder *f = *state;

	/* two sockets of two cores of two threads */
	(void)put(f, "sys/devices/system/cpu/online", "0-7\n");
	for (int i = 0; i < 8; i++) {
		static const char *const cores[] = {"0,4\n", "1,5\n", "2,6\n", "3,7\n"};

		put_cpu(f, i, cores[i % 4], i % 4 < 2 ? "0-1,4-5\n" : "2-3,6-7\n");
	}
	assert_counts(f, 8, 2);
	/* one of them taken out of use, with what its lists are then */
	(void)put(f, "sys/devices/system/cpu/online", "0-3,5-7\n");
	put_cpu(f, 0, "0\n", "0-1,5\n");
	assert_counts(f, 7, 2);
}

static void a_hybrid_processor_has_cores_of_one_and_of_two_threads(void **state)
{
	const struct folder *f = *state;

	(void)put(f, "sys/devices/system/cpu/online", "0-5\n");
	for (int i = 0; i < 6; i++) {
		static const char *const cores[] = {"0-1\n", "0-1\n", "2-3\n",
						    "2-3\n", "4\n",   "5\n"};

		put_cpu(f, i, cores[i], "0-5\n");
	}
	assert_counts(f, 6, 4);
}

static void many_sockets_of_one_core_are_as_many_sockets(void **state)
{
	const struct folder *f = *state;

	/* as virtual machines often have it */
	(void)put(f, "sys/devices/system/cpu/online", "0-3");
	for (int i = 0; i < 4; i++) {
		char list[16];

		(void)snprintf(list, sizeof(list), "%d\n", i);
		put_cpu(f, i, list, list);
	}
	assert_counts(f, 4, 1);
}

static void a_container_has_the_processors_that_it_sees(void **state)
{
	const struct folder *f = *state;

	/* the sysfs of the host, and a /proc/cpuinfo of two */
	(void)put(f, "sys/devices/system/cpu/online", "0-3\n");
	for (int i = 0; i < 4; i++)
		put_cpu(f, i, i < 2 ? "0-1\n" : "2-3\n", "0-3\n");
	(void)put(f, "proc/cpuinfo", CPU("0", "0", "0") CPU("1", "0", "0"));
	assert_counts(f, 2, 1);
	/* and with nothing else to see */
	(void)put(f, "proc/cpuinfo", "");
	assert_counts(f, 4, 2);
}

static void a_container_has_the_processors_that_it_may_use(void **state)
{
	const struct folder *f = *state;

	/* two sockets of two cores of two threads, of which it has one core and a half */
	(void)put(f, "sys/devices/system/cpu/online", "0-7\n");
	for (int i = 0; i < 8; i++) {
		static const char *const cores[] = {"0,4\n", "1,5\n", "2,6\n", "3,7\n"};

		put_cpu(f, i, cores[i % 4], i % 4 < 2 ? "0-1,4-5\n" : "2-3,6-7\n");
	}
	(void)put(f, "proc/1/status",
		  "Name:\tinit\nCpus_allowed:\t31\nCpus_allowed_list:\t0,4-5\n"
		  "Mems_allowed:\t1\n");
	assert_counts(f, 3, 2);
	/* a list of others, which is about another view */
	(void)put(f, "proc/1/status", "Cpus_allowed_list:\t64-65\n");
	(void)put(f, "proc/cpuinfo", CPU("0", "0", "0") CPU("1", "0", "0"));
	assert_counts(f, 2, 1);
	(void)put(f, "proc/1/status", "Cpus_allowed_list:\n");
	(void)put(f, "proc/cpuinfo", "");
	assert_counts(f, 8, 2);
}

static void without_sysfs_cpuinfo_is_believed(void **state)
{
	static const struct {
		const char *cpuinfo;
		int n_cpus, n_cores;
	} hosts[] = {
		/* two sockets of two cores of two threads; core ids repeat and have gaps */
		{CPU("0", "0", "0") CPU("1", "0", "4") CPU("2", "1", "0") CPU("3", "1", "4") CPU(
			 "4", "0", "0") CPU("5", "0", "4") CPU("6", "1", "0") CPU("7", "1", "4"),
		 8, 2},
		/* hybrid: two cores with two threads, two without */
		{CPU("0", "0", "0") CPU("1", "0", "0") CPU("2", "0", "4") CPU("3", "0", "4")
			 CPU("4", "0", "8") CPU("5", "0", "9"),
		 6, 4},
		/* no topology at all, as on ARM or in some containers */
		{"processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\nBogoMIPS\t: 50.00\n", 2, 2},
		/* the place of one only is no topology */
		{CPU("0", "0", "0") "processor\t: 1\n", 2, 2},
	};
	const struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		(void)put(f, "proc/cpuinfo", hosts[i].cpuinfo);
		assert_counts(f, hosts[i].n_cpus, hosts[i].n_cores);
	}
	/* sysfs that does not tell the place of all has no say either */
	(void)put(f, "sys/devices/system/cpu/online", "0-5\n");
	put_cpu(f, 0, "0-1\n", "0-5\n");
	(void)put(f, "proc/cpuinfo", hosts[1].cpuinfo);
	assert_counts(f, 6, 4);
}

static void names_are_those_of_cpuinfo(void **state)
{
	static const struct {
		const char *cpuinfo, *vendor, *model;
	} hosts[] = {
		{CPU("0", "0", "0"), "GenuineIntel", "Intel(R) Xeon(R)"},
		{"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "ARM",
		 "Neoverse-N1"},
		{"processor\t: 0\nCPU implementer\t: 0xc0\nCPU part\t: 0xfff\n", "Ampere", NULL},
		{"processor\t: 0\nCPU implementer\t: 0x99\nCPU part\t: 0xd0c\n", NULL, NULL},
	};
	const struct folder *f = *state;
	struct utsname names;

	assert_int_equal(uname(&names), 0);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		json_auto_t *info = NULL;
		const char *vendor, *model;

		(void)put(f, "proc/cpuinfo", hosts[i].cpuinfo);
		info = cpu_info(f->path);
		vendor = json_get_text(info, "Vendor");
		model = json_get_text(info, "ModelName");
		assert_string_equal(vendor ? vendor : "", hosts[i].vendor ? hosts[i].vendor : "");
		assert_string_equal(model ? model : "", hosts[i].model ? hosts[i].model : "");
		assert_int_equal(!json_object_get(info, "Vendor"), !hosts[i].vendor);
		assert_string_equal(json_get_text(info, "Architecture"), names.machine);
	}
}

static void lines_longer_than_ours_do_no_harm(void **state)
{
	const struct folder *f = *state;
	static char cpuinfo[20000];

	(void)snprintf(cpuinfo, sizeof(cpuinfo), CPU("0", "0", "0") "flags\t: ");
	memset(cpuinfo + strlen(cpuinfo), 'x', 9000);
	(void)snprintf(cpuinfo + strlen(cpuinfo), 1000, "\n" CPU("1", "0", "1"));
	(void)put(f, "proc/cpuinfo", cpuinfo);
	assert_counts(f, 2, 2);
}

static void nonsense_is_no_processor(void **state)
{
	static const char *const lists[] = {
		"", "x", "-", "-5", "0-", "0-x", ",", "99999999999999999999", "9000-9001", "3-1"};
	const struct folder *f = *state;

	assert_null(cpu_info(f->path));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		json_auto_t *info = NULL;

		(void)put(f, "sys/devices/system/cpu/online", lists[i]);
		info = cpu_info(f->path);
		assert_null(info);
	}
	(void)put(f, "sys/devices/system/cpu/online", "0-4000000000\n");
	assert_counts(f, 8192, 8192);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sockets_cores_and_threads_are_told_apart),
		TEST(a_hybrid_processor_has_cores_of_one_and_of_two_threads),
		TEST(many_sockets_of_one_core_are_as_many_sockets),
		TEST(a_container_has_the_processors_that_it_sees),
		TEST(a_container_has_the_processors_that_it_may_use),
		TEST(without_sysfs_cpuinfo_is_believed),
		TEST(names_are_those_of_cpuinfo),
		TEST(lines_longer_than_ours_do_no_harm),
		TEST(nonsense_is_no_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
