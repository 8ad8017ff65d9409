#include "ctl/print-log.h"

#include "common/json.h"
#include "ctl/visible.h"

static int append(struct buf *out, const char *text, const char *end, struct error *err)
{
	if (visible_append(out, text ? text : "-", NULL, err) < 0)
		return -1;
	return buf_append_text(out, end, err);
}

int print_log(const json_t *answer, struct buf *out, struct error *err)
{
	const json_t *lines = json_object_get(answer, "Lines"), *line;
	size_t i;

	if (!json_is_array(lines))
		return error_set(err, ERR_INVALID, "the answer has no Lines");
	json_array_foreach(lines, i, line)
	{
		if (append(out, json_get_text(line, "Time"), " ", err) < 0 ||
		    append(out, json_get_text(line, "Source"), ": ", err) < 0 ||
		    append(out, json_get_text(line, "Text"), "\n", err) < 0)
			return -1;
	}
	return 0;
}
