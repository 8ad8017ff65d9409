/* What is accepted can be evaluated, and means what a plain reading of it means. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/requirements.h"
#include "common/cleanup.h"
#include "tests/naive-requirements.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate(const struct requirements *requirements, const char *text)
{
	json_auto_t *server = json_pack("{s:s,s:[{s:s,s:s}],s:{s:{s:i},s:{s:f}}}", "Id", "x",
					"Tags", "Key", "a", "Value", "1e3", "Host", "CpuInfo",
					"NumberOfCpus", 4, "CpuLoadAverage", "OneMinute", 0.5);
	struct attributes attributes;
	size_t row = ATTRIBUTES_NO_ROW;
	struct buf reason = {0};
	struct error err;
	const uint64_t *bits;

	attributes_init(&attributes);
	if (attributes_set(&attributes, &row, server, &err) < 0 ||
	    requirements_match(requirements, &attributes, row, 1, &bits, &err) < 0 ||
	    requirements_bit(bits, row) != naive_requirements_hold(text, server) ||
	    requirements_explain(requirements, &attributes, row, &reason, &err) < 0)
		abort();
	buf_done(&reason);
	attributes_done(&attributes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	struct requirements *requirements = NULL;
	struct error err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (requirements_parse(text, &requirements, &err) == 0 && requirements) {
		evaluate(requirements, text);
		requirements_free(requirements);
	}
	return 0;
}
