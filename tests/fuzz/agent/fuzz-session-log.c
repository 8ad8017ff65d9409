/* What the programs of a session have made of its log: the answer is JSON all the same, and in it are
 * no lines without a time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/session-log.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char own[] = "2026-03-02T08:00:01.000Z api: a\n";
	static char path[] = "/tmp/fuzz-session-log-XXXXXX";
	static int fd = -1;
	AUTO(buf_done) struct buf answer = {0};
	json_auto_t *object = NULL;
	struct error err = {0};
	json_t *line;
	size_t i;

	if (fd < 0)
		fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (session_log_merge("s1", own, path, &answer, &err) < 0 ||
	    json_parse(answer.data, answer.len, &object, &err) < 0)
		abort();
	json_array_foreach(json_object_get(object, "Lines"), i, line)
	{
		long long ms;

		if (!time_parse(json_get_text(line, "Time"), &ms) ||
		    !json_get_text(line, "Source") || !json_get_text(line, "Text"))
			abort();
	}
	return 0;
}
