#include "agent/inventory.h"

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

/* What the tree says. */
static json_t *host_of(const struct folder *f)
{
	struct inventory inventory;
	struct error err;
	json_t *host;

	assert_int_equal(inventory_init(&inventory, f->path, &err), 0);
	host = inventory_host(&inventory);
	inventory_done(&inventory);
	assert_non_null(host);
	return host;
}

static json_int_t number(const json_t *host, const char *part, const char *key)
{
	const json_t *value = json_object_get(json_object_get(host, part), key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static const char *text(const json_t *host, const char *part, const char *key)
{
	return json_get_text(json_object_get(host, part), key);
}

/* One processor of /proc/cpuinfo, as x86 has it. */
#define CPU(n, socket, core)                                                                       \
	"processor\t: " n "\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\n"          \
	"physical id\t: " socket "\ncore id\t\t: " core "\ncpu cores\t: 2\n\n"

static void a_host_is_told_in_all_its_parts(void **state)
{
	const struct folder *f = *state;
	json_auto_t *host = NULL;

	(void)put(f, "etc/os-release",
		  "PRETTY_NAME=\"Debian 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\n");
	(void)put(f, "proc/meminfo",
		  "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n"
		  "SwapTotal: 50 kB\nSwapFree: 20 kB\n");
	(void)put(f, "proc/loadavg", "0.05 0.20 0.18 1/100 4242\n");
	(void)put(f, "proc/cpuinfo", CPU("0", "0", "0"));
	host = host_of(f);
	assert_string_equal(text(host, "Os", "Family"), "linux");
	assert_string_equal(text(host, "Os", "Name"), "Debian GNU/Linux");
	assert_string_equal(text(host, "Os", "Version"), "12");
	assert_non_null(text(host, "Os", "KernelVersion"));
	assert_int_equal(number(host, "Memory", "TotalBytes"), 1024000);
	assert_int_equal(number(host, "Memory", "UsedBytes"), 409600);
	assert_int_equal(number(host, "Swap", "TotalBytes"), 51200);
	assert_int_equal(number(host, "Swap", "UsedBytes"), 30720);
	assert_int_equal(number(host, "CpuInfo", "NumberOfCpus"), 1);
	assert_string_equal(text(host, "CpuInfo", "Vendor"), "GenuineIntel");
	assert_string_equal(text(host, "CpuInfo", "ModelName"), "Intel(R) Xeon(R)");
	assert_non_null(text(host, "CpuInfo", "Architecture"));
	assert_true(json_real_value(json_object_get(json_object_get(host, "CpuLoadAverage"),
						    "FiveMinutes")) == 0.2);
	assert_int_equal(json_array_size(json_object_get(host, "Gpus")), 0);
	assert_int_equal(json_array_size(json_object_get(host, "LoggedInUsers")), 0);
}

static void what_is_not_there_is_left_out(void **state)
{
	const struct folder *f = *state;
	json_auto_t *host = host_of(f);

	assert_string_equal(text(host, "Os", "Family"), "linux");
	assert_null(text(host, "Os", "Name"));
	assert_null(json_object_get(host, "Memory"));
	assert_null(json_object_get(host, "Swap"));
	assert_null(json_object_get(host, "CpuInfo"));
	assert_null(json_object_get(host, "CpuLoadAverage"));
	assert_int_equal(json_array_size(json_object_get(host, "Gpus")), 0);
}

static void broken_files_leave_their_part_out(void **state)
{
	const struct folder *f = *state;
	json_auto_t *host = NULL;

	(void)put(f, "etc/os-release", "NAME=\"\xff\xfe\"\nVERSION_ID=\n");
	(void)put(f, "proc/meminfo",
		  "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n"
		  "SwapTotal: -5 kB\nSwapFree: x kB\n");
	(void)put(f, "proc/loadavg", "nan nan inf 1/1 1\n");
	(void)put(f, "proc/cpuinfo",
		  "processor : 0\nphysical id : -9223372036854775808\ncore id : -1\n"
		  "model name : \xff\n: : :\nprocessor");
	host = host_of(f);
	assert_null(text(host, "Os", "Name"));
	assert_null(json_object_get(host, "Memory"));
	assert_null(json_object_get(host, "Swap"));
	assert_null(json_object_get(host, "CpuLoadAverage"));
	assert_int_equal(number(host, "CpuInfo", "NumberOfCpus"), 1);
	assert_int_equal(number(host, "CpuInfo", "PhysicalCoresPerCpu"), 1);
	assert_null(text(host, "CpuInfo", "ModelName"));
}

static void used_memory_is_never_negative(void **state)
{
	const struct folder *f = *state;
	json_auto_t *host = NULL;

	(void)put(f, "proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 20 kB\n");
	host = host_of(f);
	assert_int_equal(number(host, "Memory", "UsedBytes"), 0);
}

static void what_is_found_elsewhere_is_told(void **state)
{
	const struct folder *f = *state;
	json_auto_t *host = NULL, *expected = NULL;
	struct inventory inventory;
	struct error err;

	assert_int_equal(inventory_init(&inventory, f->path, &err), 0);
	host = inventory_host(&inventory);
	assert_null(json_object_get(host, "Aws"));
	json_decref(host);
	inventory_set_aws(&inventory, json_pack("{s:s}", "Region", "eu-west-1"));
	inventory_set_users(&inventory, json_pack("[{s:s}]", "Username", "mira"));
	host = inventory_host(&inventory);
	inventory_done(&inventory);
	expected = json_pack("[{s:s}]", "Username", "mira");
	assert_true(json_equal(json_object_get(host, "LoggedInUsers"), expected));
	assert_string_equal(text(host, "Aws", "Region"), "eu-west-1");
}

static void names_and_addresses_of_this_host_are_not_empty(void **state)
{
	char name[256], tiny[2], dns[256], address[64], loopback[64];

	(void)state;
	inventory_hostname(name, sizeof(name));
	assert_int_not_equal(name[0], '\0');
	assert_null(strchr(name, '.'));
	inventory_hostname(tiny, sizeof(tiny));
	assert_int_equal(tiny[sizeof(tiny) - 1], '\0');
	inventory_dns_name(dns, sizeof(dns));
	assert_int_not_equal(dns[0], '\0');
	inventory_address(NULL, address, sizeof(address));
	assert_int_not_equal(address[0], '\0');
	/* the one that the administrator prefers may be any, and need not exist */
	inventory_address("lo", loopback, sizeof(loopback));
	assert_string_equal(loopback, "127.0.0.1");
	inventory_address("no-such-interface", loopback, sizeof(loopback));
	assert_string_equal(loopback, address);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_is_told_in_all_its_parts),
		TEST(what_is_not_there_is_left_out),
		TEST(broken_files_leave_their_part_out),
		TEST(used_memory_is_never_negative),
		TEST(what_is_found_elsewhere_is_told),
		cmocka_unit_test(names_and_addresses_of_this_host_are_not_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
