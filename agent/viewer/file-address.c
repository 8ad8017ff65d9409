#include "agent/viewer/file-address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/viewer/share.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/http-form.h"
#include "common/message.h"
#include "common/text.h"

#define UPLOAD FEATURE_BIT(FEATURE_file_upload)
#define DOWNLOAD FEATURE_BIT(FEATURE_file_download)

static const struct kind {
	const char *method, *name, *operation;
	uint32_t needs;
} kinds[] = {
	{"GET", "/list/", "list", UPLOAD | DOWNLOAD},
	{"GET", "/content/", "get", DOWNLOAD},
	{"HEAD", "/content/", "get", DOWNLOAD},
	{"PUT", "/content/", "put", UPLOAD},
	{"GET", "/part/", "part", UPLOAD},
	{"DELETE", "/part/", "drop", UPLOAD},
};

int file_address_read(const struct http_request *request, const char *below,
		      struct file_address *ret, struct error *err)
{
	size_t len = strcspn(below, "/");
	bool is_known = false;

	if (len != SHARE_KEY_BYTES)
		return error_set(err, ERR_NOT_FOUND, "there is nothing here");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];
		const char *path = below + len;

		if (!text_skip(&path, kind->name))
			continue;
		is_known = true;
		if (strcmp(request->method, kind->method) != 0)
			continue;
		*ret = (struct file_address){
			.key = below,
			.operation = kind->operation,
			.path = path,
			.needs = kind->needs,
			.is_content = strcmp(kind->operation, "get") == 0,
			.is_upload = strcmp(kind->operation, "put") == 0,
		};
		if (request->content_length > (ret->is_upload ? FILE_PIECE_MAX_BYTES : 0))
			return error_set(err, ERR_TOO_LARGE, "the body is larger than %lu bytes",
					 ret->is_upload ? FILE_PIECE_MAX_BYTES : 0);
		return 0;
	}
	return is_known ? error_set(err, ERR_METHOD, "that cannot be done with it")
			: error_set(err, ERR_NOT_FOUND, "there is nothing here");
}

static int append_parameter(const struct http_request *request, const char *parameter,
			    const char *name, struct buf *packet, struct error *err)
{
	AUTO(free_p) char *value = http_form_value(request->query, parameter);

	return value ? message_add(packet, name, value, err) : 0;
}

int file_address_append(const struct file_address *address, const struct http_request *request,
			struct buf *packet, struct error *err)
{
	char length[24];
	/* Ranges are of GET alone: RFC 9110, 14.2. */
	bool has_range = address->is_content && strcmp(request->method, "GET") == 0;

	(void)snprintf(length, sizeof(length), "%llu", request->content_length);
	if (message_add(packet, "OPERATION", address->operation, err) < 0 ||
	    message_add(packet, "PATH", address->path, err) < 0 ||
	    append_parameter(request, "size", "SIZE", packet, err) < 0 ||
	    append_parameter(request, "time", "TIME", packet, err) < 0 ||
	    append_parameter(request, "offset", "OFFSET", packet, err) < 0 ||
	    (address->is_upload && message_add(packet, "LENGTH", length, err) < 0) ||
	    (has_range && request->range[0] &&
	     message_add(packet, "RANGE", request->range, err) < 0))
		return -1;
	return has_range && request->if_range[0]
		       ? message_add(packet, "IF_RANGE", request->if_range, err)
		       : 0;
}
