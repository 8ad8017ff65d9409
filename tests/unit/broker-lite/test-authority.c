/* Days are as long as a test wants them: what was made when they were short is old when they are long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "broker-lite/authority.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"

#define NAMES "DNS:cad01,DNS:localhost,IP:127.0.0.1"

struct fixture {
	char folder[40];
	struct certificate_terms terms;
	struct authority_state state;
	struct error err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LEVEL_ERROR);
	(void)strcpy(f->folder, "/tmp/test-authority-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->terms =
		(struct certificate_terms){.folder = f->folder, .names = NAMES, .day_ms = DAY_MS};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];

	authority_state_done(&f->state);
	(void)snprintf(command, sizeof(command), "rm -r %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void prepare(struct fixture *f)
{
	authority_state_done(&f->state);
	if (authority_prepare(&f->terms, &f->state, &f->err) < 0)
		fail_msg("%s", f->err.message);
}

static char *path(const struct fixture *f, const char *name)
{
	static char paths[2][80];
	static unsigned n;
	char *ret = paths[n++ % 2];

	(void)snprintf(ret, sizeof(paths[0]), "%s/%s", f->folder, name);
	return ret;
}

static void read_file(const struct fixture *f, const char *name, struct buf *ret)
{
	struct error err;

	buf_done(ret);
	assert_int_equal(file_read(path(f, name), 65536, ret, &err), 0);
}

/* The number of the authority that has signed what is shown. */
static int signer(const struct fixture *f)
{
	for (int i = 0; i < sk_X509_num(f->state.authorities); i++) {
		X509 *authority = sk_X509_value(f->state.authorities, i);

		if (X509_verify(f->state.listener.certificate, X509_get0_pubkey(authority)) == 1)
			return i;
	}
	return -1;
}

static void the_listener_is_made_anew_only_when_it_must(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf authority = {0};
	AUTO(buf_done) struct buf first = {0};
	AUTO(buf_done) struct buf second = {0};

	prepare(f);
	read_file(f, AUTHORITY_FILE, &authority);
	read_file(f, LISTENER_FILE, &first);
	prepare(f);
	read_file(f, LISTENER_FILE, &second);
	assert_string_equal(first.data, second.data);
	f->terms.names = NAMES ",DNS:new";
	prepare(f);
	read_file(f, LISTENER_FILE, &second);
	assert_string_not_equal(first.data, second.data);
	f->terms.is_rsa = true;
	prepare(f);
	assert_true(EVP_PKEY_is_a(f->state.listener.key, "RSA"));
	read_file(f, AUTHORITY_FILE, &second);
	assert_string_equal(authority.data, second.data);
	/* what agents trust is not replaced by guessing */
	assert_int_equal(unlink(path(f, AUTHORITY_KEY_FILE)), 0);
	authority_state_done(&f->state);
	assert_int_equal(authority_prepare(&f->terms, &f->state, &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFIG);
}

static void a_listener_is_renewed_when_a_third_of_its_life_is_left(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf first = {0};
	AUTO(buf_done) struct buf second = {0};

	prepare(f);
	read_file(f, LISTENER_FILE, &first);
	f->terms.day_ms = DAY_MS * 29 / 10; /* a third is just left */
	prepare(f);
	read_file(f, LISTENER_FILE, &second);
	assert_string_equal(first.data, second.data);
	f->terms.day_ms = DAY_MS * 31 / 10;
	prepare(f);
	read_file(f, LISTENER_FILE, &second);
	assert_string_not_equal(first.data, second.data);
}

static void the_next_authority_is_published_before_it_signs(void **state)
{
	struct fixture *f = *state;
	AUTO(x509_p) X509 *before = NULL;

	f->terms.day_ms = 1000;
	prepare(f);
	assert_int_equal(sk_X509_num(f->state.authorities), 1);
	f->terms.day_ms = DAY_MS; /* an hour is left */
	prepare(f);
	assert_int_equal(sk_X509_num(f->state.authorities), 2);
	assert_int_equal(access(path(f, AUTHORITY_NEXT_KEY_FILE), F_OK), 0);
	assert_int_equal(signer(f), 0);
	before = X509_dup(f->state.listener.certificate);
	prepare(f);
	assert_int_equal(X509_cmp(f->state.listener.certificate, before), 0);
	f->terms.day_ms = 1; /* thirty days are over */
	f->terms.names = NAMES ",DNS:new";
	prepare(f);
	assert_int_equal(sk_X509_num(f->state.authorities), 2);
	assert_int_equal(signer(f), 1);
}

static void an_expired_authority_is_dropped(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf key = {0};
	AUTO(buf_done) struct buf again = {0};

	f->terms.day_ms = 0;
	prepare(f);
	read_file(f, AUTHORITY_KEY_FILE, &key);
	f->terms.day_ms = DAY_MS;
	prepare(f);
	assert_int_equal(sk_X509_num(f->state.authorities), 1);
	assert_int_equal(signer(f), 0);
	assert_true(certificate_left_s(f->state.listener.certificate) > 396 * 86400L);
	assert_int_equal(access(path(f, AUTHORITY_NEXT_KEY_FILE), F_OK), -1);
	read_file(f, AUTHORITY_KEY_FILE, &again);
	assert_string_not_equal(key.data, again.data);
	/* a crash just before the key got its name */
	assert_int_equal(rename(path(f, AUTHORITY_KEY_FILE), path(f, AUTHORITY_NEXT_KEY_FILE)), 0);
	assert_int_equal(
		file_write_atomic(path(f, AUTHORITY_KEY_FILE), key.data, key.len, 0600, &f->err),
		0);
	prepare(f);
	read_file(f, AUTHORITY_KEY_FILE, &key);
	assert_string_equal(key.data, again.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_listener_is_made_anew_only_when_it_must, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_listener_is_renewed_when_a_third_of_its_life_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_authority_is_published_before_it_signs,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_expired_authority_is_dropped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
