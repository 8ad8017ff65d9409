/* What was read is shown, and what is shown can be read and is the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/dns-mappings.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct dns_mappings *mappings, struct buf *ret)
{
	json_auto_t *array = dns_mappings_to_json(mappings);
	struct error err;

	if (json_append(ret, array, &err) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(dns_mappings_done) struct dns_mappings first, second;
	AUTO(buf_done) struct buf shown = {0};
	AUTO(buf_done) struct buf again = {0};
	AUTO(free_p) char *text = malloc(size + 1);
	struct error err;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	dns_mappings_init(&first, NULL);
	dns_mappings_init(&second, NULL);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (dns_mappings_read(&first, text, size, &n, &err) < 0)
		return 0;
	show(&first, &shown);
	if (dns_mappings_read(&second, shown.data, shown.len, &n, &err) < 0 ||
	    n != first.by_server.n)
		abort();
	show(&second, &again);
	if (strcmp(shown.data, again.data) != 0)
		abort();
	return 0;
}
