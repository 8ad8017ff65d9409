/* What is taken for a record is one again when it is written. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/session.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *record = NULL, *first = NULL, *second = NULL;
	struct session *session, *again;
	struct error err;

	if (json_parse((const char *)data, size, &record, &err) < 0)
		return 0;
	session = session_from_record(record, &err);
	if (!session)
		return 0;
	first = session_to_record(session);
	again = session_from_record(first, &err);
	if (!again)
		abort();
	second = session_to_record(again);
	if (!json_equal(first, second))
		abort();
	json_decref(session_to_json(session));
	session_free(session);
	session_free(again);
	return 0;
}
