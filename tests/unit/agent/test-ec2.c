#include "agent/ec2.h"

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

static void the_firmware_tells_instances_from_other_machines(void **state)
{
	static const struct {
		const char *file, *text;
		enum ec2_firmware expected;
	} hosts[] = {
		{"sys/class/dmi/id/sys_vendor", "Amazon EC2\n", EC2_IS},
		{"sys/class/dmi/id/bios_version", "4.11.amazon\n", EC2_IS},
		{"sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n", EC2_IS},
		{"sys/hypervisor/uuid", "EC2E1916-9099-7caf-fd21-012345abcdef\n", EC2_IS},
		{"sys/class/dmi/id/sys_vendor", "Dell Inc.\n", EC2_IS_NOT},
		{"sys/class/dmi/id/sys_vendor", "\n", EC2_UNKNOWN},
		{"sys/hypervisor/uuid", "00000000-0000-0000-0000-000000000000\n", EC2_UNKNOWN},
	};
	const struct folder *f = *state;

	assert_int_equal(ec2_look_at_firmware(f->path), EC2_UNKNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		const char *path = put(f, hosts[i].file, hosts[i].text);

		assert_int_equal(ec2_look_at_firmware(f->path), hosts[i].expected);
		(void)unlink(path);
	}
	/* Xen names itself as the vendor */
	(void)put(f, "sys/class/dmi/id/sys_vendor", "Xen\n");
	assert_int_equal(ec2_look_at_firmware(f->path), EC2_IS_NOT);
	(void)put(f, "sys/class/dmi/id/bios_version", "4.2.amazon\n");
	assert_int_equal(ec2_look_at_firmware(f->path), EC2_IS);
}

static void a_document_gives_the_four_members(void **state)
{
	static const char document[] =
		"{\"accountId\":\"123456789012\",\"architecture\":\"x86_64\","
		"\"availabilityZone\":\"eu-west-1b\",\"billingProducts\":null,"
		"\"imageId\":\"ami-0f0f\",\"instanceId\":\"i-0aa1\",\"instanceType\":\"g4dn."
		"xlarge\","
		"\"pendingTime\":\"2026-03-02T08:00:11Z\",\"region\":\"eu-west-1\"}";
	json_auto_t *aws = NULL, *expected = NULL;
	struct error err;

	(void)state;
	aws = ec2_read_document(document, sizeof(document) - 1, &err);
	expected = json_pack("{s:s,s:s,s:s,s:s}", "Region", "eu-west-1", "EC2InstanceType",
			     "g4dn.xlarge", "EC2InstanceId", "i-0aa1", "EC2ImageId", "ami-0f0f");
	assert_true(json_equal(aws, expected));
}

static void what_is_no_document_is_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"<html>Welcome</html>",
		"{'region':'r','instanceType':'t','instanceId':'i-1'}",
		"{'region':'r','instanceType':'t','instanceId':'vm-1','imageId':'a'}",
		"{'region':7,'instanceType':'t','instanceId':'i-1','imageId':'a'}",
		"{'region':'','instanceType':'t','instanceId':'i-1','imageId':'a'}",
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[128];
		size_t len = strlen(bad[i]);

		/* a quote is easier to read than an escaped one */
		for (size_t j = 0; j <= len; j++)
			text[j] = bad[i][j] == '\'' ? '"' : bad[i][j];
		assert_null(ec2_read_document(text, len, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_firmware_tells_instances_from_other_machines),
		TEST(a_document_gives_the_four_members),
		TEST(what_is_no_document_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
