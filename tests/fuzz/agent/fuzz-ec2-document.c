/* Whatever answers at the metadata address: what is taken for a document has all members, as text. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/ec2.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const members[] = {"Region", "EC2InstanceType", "EC2InstanceId",
					      "EC2ImageId"};
	struct error err = {0};
	json_auto_t *aws = ec2_read_document((const char *)data, size, &err);

	if (!aws && err.code == ERR_NONE)
		abort();
	for (size_t i = 0; aws && i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = json_get_text(aws, members[i]);

		if (!text || !text[0])
			abort();
	}
	return 0;
}
