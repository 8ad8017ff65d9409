#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "broker-lite/certificate.h"
#include "common/cleanup.h"
#include "common/file.h"

#define NAMES "DNS:cad01,DNS:localhost,IP:127.0.0.1"

static void read_file(const char *folder, const char *name, struct buf *ret)
{
	char path[128];
	struct error err;

	buf_done(ret);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(file_read(path, 65536, ret, &err), 0);
}

static void the_listener_is_made_anew_only_when_it_must(void **state)
{
	char folder[] = "/tmp/test-certificate-XXXXXX", command[64], path[128];
	AUTO(buf_done) struct buf authority = {0};
	AUTO(buf_done) struct buf first = {0};
	AUTO(buf_done) struct buf second = {0};
	struct error err = {0};

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(certificate_prepare(folder, NAMES, &err), 0);
	read_file(folder, CERTIFICATE_AUTHORITY_FILE, &authority);
	read_file(folder, CERTIFICATE_LISTENER_FILE, &first);
	assert_int_equal(certificate_prepare(folder, NAMES, &err), 0);
	read_file(folder, CERTIFICATE_LISTENER_FILE, &second);
	assert_string_equal(first.data, second.data);
	assert_int_equal(certificate_prepare(folder, NAMES ",DNS:new", &err), 0);
	read_file(folder, CERTIFICATE_LISTENER_FILE, &second);
	assert_string_not_equal(first.data, second.data);
	read_file(folder, CERTIFICATE_AUTHORITY_FILE, &second);
	assert_string_equal(authority.data, second.data);
	/* what agents trust is not replaced by guessing */
	(void)snprintf(path, sizeof(path), "%s/%s", folder, CERTIFICATE_AUTHORITY_KEY_FILE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(certificate_prepare(folder, NAMES, &err), -1);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

static void extra_names_are_added_and_oddities_left_out(void **state)
{
	AUTO(buf_done) struct buf names = {0};
	struct error err;

	(void)state;
	assert_int_equal(certificate_host_names("a.example, 10.1.2.3,,x y;z,DNS:q", &names, &err),
			 0);
	assert_non_null(strstr(names.data, ",DNS:a.example,IP:10.1.2.3"));
	assert_non_null(strstr(names.data, "DNS:localhost"));
	assert_non_null(strstr(names.data, "IP:127.0.0.1,IP:::1"));
	assert_null(strchr(names.data, ';'));
	assert_null(strstr(names.data, "DNS:DNS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listener_is_made_anew_only_when_it_must),
		cmocka_unit_test(extra_names_are_added_and_oddities_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
