/* What is accepted can be walked, is found by name, and comes out the same when built again. */
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rebuild(struct buf *copy, const struct message *message)
{
	struct error err = {0};

	for (const char *entry = NULL; (entry = message_next(message, entry));) {
		AUTO(free_p) char *name = strdup(entry);

		if (!name)
			return;
		*strchr(name, '=') = '\0';
		if (!message_get(message, name) || !message_value(entry, name) ||
		    message_add(copy, name, message_value(entry, name), &err) < 0)
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"TAG", "FORMAT", "A", NULL};
	AUTO(buf_done) struct buf copy = {0};
	struct message message;
	struct error err = {0};

	if (message_parse(&message, data, size, &err) < 0)
		return 0;
	rebuild(&copy, &message);
	if (copy.len != size || memcmp(copy.data, data, size) != 0)
		__builtin_trap();
	(void)message_expect(&message, names, &err);
	return 0;
}
