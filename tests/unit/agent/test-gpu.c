#include "agent/gpu.h"

#include "common/json.h"
#include "tests/unit/agent/fixture.h"

#define PCI_IDS                                                                                    \
	"# a comment\n"                                                                            \
	"1002  Advanced Micro Devices, Inc. [AMD/ATI]\n"                                           \
	"\t1eb8  A device of another vendor\n"                                                     \
	"\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]\n"                                           \
	"\t\t10de 1eb8  No device but a board\n"                                                   \
	"10de  NVIDIA Corporation\n"                                                               \
	"\t1e30  TU102GL [Quadro RTX 6000/8000]\n"                                                 \
	"\t\t10de 1eb8  Neither is this\n"                                                         \
	"\t1eb8  TU104GL [Tesla T4]\n"                                                             \
	"8086  Intel Corporation\n"                                                                \
	"\t2335  Not what NVIDIA made\n"                                                           \
	"\n# classes\n"                                                                            \
	"C 03  Display controller\n"

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

static void put_device(const struct folder *f, const char *slot, const char *class,
		       const char *vendor, const char *device)
{
	static const char *const files[] = {"class", "vendor", "device"};
	const char *const values[] = {class, vendor, device};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char name[128];

		(void)snprintf(name, sizeof(name), "sys/bus/pci/devices/%s/%s", slot, files[i]);
		if (values[i])
			(void)put(f, name, values[i]);
	}
}

/* "vendor: model" of all, a line each. */
static const char *list(const struct folder *f)
{
	static char text[1024];
	json_auto_t *gpus = gpu_list(f->path);
	size_t i, len = 0;
	json_t *gpu;

	assert_true(json_is_array(gpus));
	text[0] = '\0';
	json_array_foreach(gpus, i, gpu)
	{
		assert_int_equal(json_object_size(gpu), 2);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s: %s\n",
					json_get_text(gpu, "Vendor"),
					json_get_text(gpu, "ModelName"));
	}
	return text;
}

static void display_controllers_are_named_in_the_order_of_the_bus(void **state)
{
	const struct folder *f = *state;

	(void)put(f, "usr/share/misc/pci.ids", PCI_IDS);
	put_device(f, "0000:41:00.0", "0x030000\n", "0x1002\n", "0x744c\n");
	put_device(f, "0000:00:1e.0", "0x030200\n", "0x10de\n", "0x1eb8\n");
	put_device(f, "0000:00:03.0", "0x020000\n", "0x10de\n", "0x1eb8\n");
	put_device(f, "0000:00:04.0", "0x120000\n", "0x10de\n", "0x1e30\n");
	assert_string_equal(list(f),
			    "NVIDIA Corporation: TU104GL [Tesla T4]\n"
			    "Advanced Micro Devices, Inc. [AMD/ATI]: Navi 31 [Radeon RX 7900 "
			    "XT/7900 XTX]\n");
}

static void what_the_names_do_not_know_is_told_by_number(void **state)
{
	const struct folder *f = *state;

	put_device(f, "0000:00:1e.0", "0x030200\n", "0x10de\n", "0x2335\n");
	put_device(f, "0000:00:1f.0", "0x038000\n", "0xabcd\n", "0x1eb8\n");
	assert_string_equal(list(f), "Vendor 10de: Device 2335\nVendor abcd: Device 1eb8\n");
	(void)put(f, "usr/share/hwdata/pci.ids", PCI_IDS);
	assert_string_equal(list(f), "NVIDIA Corporation: Device 2335\nVendor abcd: Device 1eb8\n");
}

static void every_gpu_of_several_alike_is_told(void **state)
{
	const struct folder *f = *state;

	(void)put(f, "usr/share/misc/pci.ids", PCI_IDS);
	put_device(f, "0000:01:00.0", "0x030000\n", "0x10de\n", "0x1e30\n");
	put_device(f, "0000:02:00.0", "0x030000\n", "0x10de\n", "0x1e30\n");
	assert_string_equal(list(f), "NVIDIA Corporation: TU102GL [Quadro RTX 6000/8000]\n"
				     "NVIDIA Corporation: TU102GL [Quadro RTX 6000/8000]\n");
}

static void what_cannot_be_read_is_left_out(void **state)
{
	const struct folder *f = *state;

	assert_string_equal(list(f), "");
	put_device(f, "0000:01:00.0", "0x030000\n", "0x10de\n", NULL);
	put_device(f, "0000:02:00.0", "0x030000\n", "", "0x1e30\n");
	put_device(f, "0000:03:00.0", "nonsense\n", "0x10de\n", "0x1e30\n");
	put_device(f, "0000:04:00.0", "0x030000 and more\n", "0x10de\n", "0x1e30\n");
	put_device(f, "0000:05:00.0", NULL, NULL, NULL);
	assert_string_equal(list(f), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(display_controllers_are_named_in_the_order_of_the_bus),
		TEST(what_the_names_do_not_know_is_told_by_number),
		TEST(every_gpu_of_several_alike_is_told),
		TEST(what_cannot_be_read_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
