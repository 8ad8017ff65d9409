/* Whatever bytes arrive, a request is either refused with a sentence or whole. */
#include <stdint.h>
#include <string.h>

#include "agent/keeper/protocol.h"
#include "agent/keeper/request.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_inside(const struct request *r, const char *text, size_t size)
{
	return !text || (text >= r->packet && text < r->packet + size &&
			 memchr(text, '\0', size - (size_t)(text - r->packet)));
}

static void check_start(const struct request *r, size_t size)
{
	if (!r->session_id || !r->owner || !r->owner[0] || strchr(r->session_id, '/') ||
	    r->session_id[0] == '.' || strlen(r->session_id) > KEEPER_SESSION_ID_MAX_BYTES)
		__builtin_trap();
	if (!is_inside(r, r->session_id, size) || !is_inside(r, r->owner, size) ||
	    !is_inside(r, r->init_file, size) || !is_inside(r, r->autorun_file, size) ||
	    !is_inside(r, r->render_node, size))
		__builtin_trap();
	for (size_t i = 0; i < r->n_arguments; i++) {
		if (!r->arguments[i] || !is_inside(r, r->arguments[i], size))
			__builtin_trap();
	}
	if (r->arguments[r->n_arguments])
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(request_done) struct request r = {0};
	struct error err = {0};

	if (request_parse(&r, data, size, &err) < 0) {
		if (!err.message[0])
			__builtin_trap();
		return 0;
	}
	if (r.operation == OPERATION_START)
		check_start(&r, size);
	if ((r.operation == OPERATION_CLEAN) != (r.number > 0) ||
	    (r.operation == OPERATION_CAPTURE || r.operation == OPERATION_CONNECT ||
	     r.operation == OPERATION_FILES) != (r.tag != NULL))
		__builtin_trap();
	return 0;
}
