/* Files as administrators make them: with the tools of OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "common/key-store.h"

static char folder[] = "/tmp/test-key-store-XXXXXX";

static const char script[] =
	"{ set -e; cd %s\n"
	"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out "
	"ca.pem -days 2 -subj /CN=authority\n"
	"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out "
	"csr.pem "
	"-subj /CN=localhost\n"
	"openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem "
	"-days 2\n"
	"cat ca.pem key.pem cert.pem > all.pem\n"
	"openssl ec -in key.pem -aes256 -passout pass:open -out locked.key\n"
	"openssl pkcs8 -topk8 -in key.pem -passout pass:open -out locked.p8\n"
	"cat cert.pem ca.pem locked.p8 > locked.pem\n"
	"cat ca.pem cert.pem > certs.pem\n"
	"openssl pkcs12 -export -in certs.pem -inkey key.pem -passout pass:open -out store.p12\n"
	"openssl pkcs12 -export -in certs.pem -inkey key.pem -passout pass: -out open.p12\n"
	"openssl pkcs12 -export -in cert.pem -inkey key.pem -passout pass:open -out alone.p12\n"
	"openssl pkcs12 -export -legacy -in certs.pem -inkey key.pem -passout pass:open -out "
	"old.p12\n"
	"openssl pkcs12 -export -nokeys -in ca.pem -passout pass:open -out trust.p12\n"
	"openssl ecparam -name prime256v1 -out params.pem; cat params.pem key.pem > params.key\n"
	"cp key.pem cut.pem; head -n 3 cert.pem >> cut.pem\n"
	"printf '\\376\\355\\376\\355\\000\\000\\000\\002' > java.jks\n"
	"printf '\\316\\316\\316\\316\\000\\000\\000\\002' > java.jceks\n"
	"echo hello > text; : > empty; } > %s/output 2>&1";

static int set_up(void **state)
{
	char command[4096];

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(command, sizeof(command), script, folder, folder);
	assert_int_equal(system(command), 0);
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static const char *in_folder(const char *name, const char *second)
{
	static char text[160];

	(void)snprintf(text, sizeof(text), "%s/%s%s%s%s%s", folder, name, second ? ", " : "",
		       second ? folder : "", second ? "/" : "", second ? second : "");
	return text;
}

static void assert_good(const char *name, const char *second, const char *pass, int n_chain)
{
	struct tls_identity identity = {0};
	struct error err = {0};
	char subject[64];

	if (key_store_load(in_folder(name, second), pass, &identity, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(X509_check_private_key(identity.certificate, identity.key), 1);
	(void)X509_NAME_oneline(X509_get_subject_name(identity.certificate), subject,
				sizeof(subject));
	assert_string_equal(subject, "/CN=localhost");
	assert_int_equal(sk_X509_num(identity.chain), n_chain);
	tls_identity_done(&identity);
}

static void assert_bad(const char *name, const char *second, const char *pass, const char *why)
{
	struct tls_identity identity = {0};
	struct error err = {0};

	assert_int_equal(key_store_load(in_folder(name, second), pass, &identity, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, name));
	if (!strstr(err.message, why))
		fail_msg("'%s' does not tell '%s'", err.message, why);
	if (pass && *pass)
		assert_null(strstr(err.message, pass));
	assert_null(identity.certificate);
}

static void pem_is_read_from_one_file_or_two_in_any_order(void **state)
{
	(void)state;
	assert_good("all.pem", NULL, NULL, 1);
	assert_good("all.pem", NULL, "a pass phrase that nothing needs", 1);
	assert_good("cert.pem", "key.pem", NULL, 0);
	assert_good("key.pem", "certs.pem", NULL, 1);
	assert_good("cert.pem", "locked.key", "open", 0);
	assert_good("cert.pem", "params.key", NULL, 0);
	assert_good("locked.pem", NULL, "open", 1);
}

static void pkcs12_is_read_of_today_and_of_old(void **state)
{
	(void)state;
	assert_good("store.p12", NULL, "open", 1);
	assert_good("alone.p12", NULL, "open", 0);
	assert_good("open.p12", NULL, NULL, 1);
	assert_good("open.p12", NULL, "", 1);
	assert_good("old.p12", NULL, "open", 1);
}

static void a_pass_phrase_that_is_wrong_or_missing_is_told_apart(void **state)
{
	(void)state;
	assert_bad("locked.pem", NULL, "xyzzy", "the pass phrase does not open the key");
	assert_bad("locked.pem", NULL, NULL, "needs a pass phrase, and none is set");
	assert_bad("store.p12", NULL, "xyzzy", "the pass phrase does not open it");
	assert_bad("store.p12", NULL, NULL, "needs a pass phrase, and none is set");
	assert_bad("old.p12", NULL, "xyzzy", "the pass phrase does not open it");
}

static void what_does_not_belong_together_is_refused(void **state)
{
	(void)state;
	assert_bad("cert.pem", "ca.key", NULL,
		   "the private key belongs to none of the certificates");
	assert_bad("cert.pem", NULL, NULL, "there is no private key");
	assert_bad("key.pem", NULL, NULL, "there is no certificate");
	assert_bad("cut.pem", NULL, NULL, "a certificate cannot be read");
	assert_bad("key.pem", "key.pem", NULL, "more than one key");
}

static void java_key_stores_are_refused_with_advice(void **state)
{
	(void)state;
	assert_bad("java.jks", NULL, "xyzzy", "-deststoretype pkcs12");
	assert_bad("java.jceks", NULL, "xyzzy", "keytool -importkeystore -srcstoretype jceks");
}

static void other_files_are_named(void **state)
{
	struct tls_identity identity = {0};
	struct error err = {0};

	(void)state;
	assert_bad("text", NULL, NULL, "this is neither PEM nor PKCS#12");
	assert_bad("empty", NULL, NULL, "is empty");
	assert_int_equal(key_store_load(in_folder("missing", NULL), NULL, &identity, &err), -1);
	assert_non_null(strstr(err.message, "missing"));
}

static void authorities_are_read_from_either_form(void **state)
{
	X509_STORE *store = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(key_store_load_authorities(in_folder("ca.pem", NULL), NULL, &store, &err),
			 0);
	X509_STORE_free(store);
	if (key_store_load_authorities(in_folder("trust.p12", NULL), "open", &store, &err) < 0)
		fail_msg("%s", err.message);
	X509_STORE_free(store);
	assert_int_equal(key_store_load_authorities(in_folder("key.pem", NULL), NULL, &store, &err),
			 -1);
	assert_non_null(strstr(err.message, "there is no certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pem_is_read_from_one_file_or_two_in_any_order),
		cmocka_unit_test(pkcs12_is_read_of_today_and_of_old),
		cmocka_unit_test(a_pass_phrase_that_is_wrong_or_missing_is_told_apart),
		cmocka_unit_test(what_does_not_belong_together_is_refused),
		cmocka_unit_test(java_key_stores_are_refused_with_advice),
		cmocka_unit_test(other_files_are_named),
		cmocka_unit_test(authorities_are_read_from_either_form),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
