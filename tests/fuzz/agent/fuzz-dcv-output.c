/* What the dcv command prints. Input: a letter for the reader, then the output. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engines/dcv-reader.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	if (text && (!text[0] || !is_utf8(text, strlen(text))))
		abort();
}

static void read_sessions(const char *text, size_t len)
{
	struct dcv_sessions sessions;
	struct error err;

	if (dcv_read_sessions(text, len, &sessions, &err) == 0) {
		list_for_each (s, &sessions.sessions, struct dcv_session, link) {
			if (!s->id || !s->owner || s->id[0] == '-' || s->n_connections < 0)
				abort();
			check_text(s->id);
			check_text(s->owner);
			check_text(s->name);
			check_text(s->storage_root);
		}
	}
	dcv_sessions_done(&sessions);
}

static void read_endpoints(const char *text, size_t len)
{
	json_t *endpoints = NULL;
	struct error err;

	if (dcv_read_endpoints(text, len, &endpoints, &err) < 0)
		return;
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		const json_t *endpoint = json_array_get(endpoints, i);

		if (json_integer_value(json_object_get(endpoint, "Port")) < 1 ||
		    !json_get_text(endpoint, "Protocol"))
			abort();
	}
	json_decref(endpoints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf picture = {0};
	AUTO(free_p) char *copy = NULL, *version = NULL;
	json_t *endpoints;
	const char *format;
	struct error err;

	log_set_level(LOG_LEVEL_ERROR);
	if (size < 1)
		return 0;
	copy = malloc(size); /* the output ends in a NUL, as in a buf */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = '\0';
	switch (data[0]) {
	case 's':
		read_sessions(copy, size - 1);
		break;
	case 'e':
		read_endpoints(copy, size - 1);
		break;
	case 'c':
		if (dcv_read_config_endpoints(copy, &endpoints, &err) == 0)
			json_decref(endpoints);
		break;
	case 'v':
		if (dcv_read_version(copy, size - 1, &version, &err) == 0)
			check_text(version);
		break;
	default:
		if (dcv_read_screenshot(copy, size - 1, &picture, &format, &err) == 0 &&
		    (picture.len < 4 ||
		     (strcmp(format, "png") != 0 && strcmp(format, "jpeg") != 0)))
			abort();
	}
	return 0;
}
