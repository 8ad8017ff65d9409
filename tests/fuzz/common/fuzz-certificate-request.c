/* A request that is accepted names hosts alone, in a form that a certificate can have. */
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate-request.h"
#include "common/cleanup.h"
#include "common/subject-names.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *names)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	char entry[SUBJECT_NAME_SIZE];
	unsigned n = 0;

	for (; subject_names_next(&names, entry); n++) {
		if (!subject_name_is_of_host(strchr(entry, ':') + 1))
			__builtin_trap();
	}
	if (!extension || *names || n == 0 || n > CERTIFICATE_REQUEST_MAX_NAMES)
		__builtin_trap();
	X509_EXTENSION_free(extension);
}

/* @data: DER, so that the fuzzer need not learn base64. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf text = {0};
	struct certificate_request request;
	struct error err;

	if (base64_append(&text, data, size, &err) < 0 || !text.data ||
	    certificate_request_read(text.data, &request, &err) < 0)
		return 0;
	check(request.names);
	certificate_request_done(&request);
	return 0;
}
