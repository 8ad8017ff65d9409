/* What is accepted can be evaluated, over a server and over nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/requirements.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	struct requirements *requirements = NULL;
	json_auto_t *server = json_pack("{s:s,s:[{s:s,s:s}],s:{s:{s:i}}}", "Id", "x", "Tags", "Key",
					"a", "Value", "1e3", "Host", "CpuInfo", "NumberOfCpus", 4);
	struct error err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (requirements_parse(text, &requirements, &err) == 0 && requirements) {
		(void)requirements_hold(requirements, server);
		(void)requirements_hold(requirements, NULL);
		requirements_free(requirements);
	}
	return 0;
}
