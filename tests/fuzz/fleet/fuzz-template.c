/* The servers' file over any bytes: it is read or refused with a sentence, and what it reads makes
 * three servers of each template, each with an Id, a Hostname and an Ip of its own. */
#include <stdint.h>
#include <string.h>

#include "common/json.h"
#include "tests/doubles/fleet/template.h"

#define COPIES 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_own(const json_t *server, json_t *seen, const char *key)
{
	const char *text = json_get_text(server, key);

	if (!text || !text[0])
		__builtin_trap();
	if (strcmp(key, "Id") == 0 && json_object_get(seen, text))
		__builtin_trap();
	(void)json_object_set_new(seen, text, json_true());
}

static void make_servers(struct template_list *list)
{
	json_auto_t *seen = json_object();
	struct error err = {0};

	for (size_t i = 0; i < list->n_templates; i++) {
		for (unsigned number = 1; number <= COPIES; number++) {
			json_auto_t *server = template_make_server(list, &list->templates[i],
								   number, COPIES, &err);

			if (!server)
				__builtin_trap();
			check_own(server, seen, "Id");
			if (!json_get_text(server, "Hostname") || !json_get_text(server, "Ip"))
				__builtin_trap();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_list list = {0};
	struct error err = {0};

	/* No files by any name: a screenshot is looked for in the file system. */
	if (memmem(data, size, "screenshot", 10))
		return 0;
	if (template_list_parse(&list, (const char *)data, size, &err) < 0) {
		if (!err.message[0] || err.code == ERR_NONE)
			__builtin_trap();
		return 0;
	}
	make_servers(&list);
	template_list_done(&list);
	return 0;
}
