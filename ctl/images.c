#include "ctl/images.h"

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"
#include "ctl/visible.h"

#define FORMAT_MAX 8

static bool is_format(const char *text)
{
	size_t n = 0;

	while (islower((unsigned char)text[n]) || isdigit((unsigned char)text[n]))
		n++;
	return n > 0 && n <= FORMAT_MAX && text[n] == '\0';
}

/* A leading dot would hide the file. */
static bool is_plain(const char *p, const char *start)
{
	unsigned char c = (unsigned char)*p;

	return c < 0x80 && (isalnum(c) || c == '-' || c == '_' || (c == '.' && p != start));
}

int images_name(const char *id, size_t number, const char *format, struct buf *ret,
		struct error *err)
{
	if (!is_format(format))
		return error_set(err, ERR_INVALID, "'%s' is no image format", format);
	for (const char *p = id; *p; p++) {
		if ((is_plain(p, id) ? buf_append(ret, p, 1, err)
				     : buf_printf(ret, err, "%%%02X", (unsigned char)*p)) < 0)
			return -1;
	}
	return buf_printf(ret, err, "-%zu.%s", number, format);
}

/* An interrupt waits until the file is in place. */
static int write_undisturbed(const char *path, const struct buf *bytes, struct error *err)
{
	sigset_t interrupt, before;
	int failed;

	(void)sigemptyset(&interrupt);
	(void)sigaddset(&interrupt, SIGINT);
	(void)sigaddset(&interrupt, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &interrupt, &before);
	failed = file_write_atomic(path, bytes->data ? bytes->data : "", bytes->len, 0600, err);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return failed;
}

static int write_image(const char *folder, const char *id, size_t number, const json_t *image,
		       struct buf *report, struct error *err)
{
	const char *format = json_get_text(image, "Format"), *data = json_get_text(image, "Data");
	AUTO(buf_done) struct buf path = {0}, bytes = {0};

	if (!id || !format || !data)
		return error_set(err, ERR_INVALID, "the answer has an image without id or data");
	if (buf_printf(&path, err, "%s/", folder) < 0 ||
	    images_name(id, number, format, &path, err) < 0 || base64_decode(data, &bytes, err) < 0)
		return error_prefix(err, "image %zu of session %s", number, id);
	if (write_undisturbed(path.data, &bytes, err) < 0 ||
	    visible_append(report, path.data, NULL, err) < 0)
		return -1;
	return buf_append_text(report, "\n", err);
}

static int write_session(const char *folder, const json_t *screenshot, struct buf *report,
			 struct error *err)
{
	const char *id = json_get_text(screenshot, "SessionId");
	json_t *image;
	size_t i;

	json_array_foreach(json_object_get(screenshot, "Images"), i, image)
	{
		if (write_image(folder, id, i + 1, image, report, err) < 0)
			return -1;
	}
	return 0;
}

int images_write(const char *folder, const json_t *answer, struct buf *ret_report,
		 struct error *err)
{
	json_t *success;
	size_t i;

	if (file_make_folder(folder, 0777, err) < 0)
		return -1;
	json_array_foreach(json_object_get(answer, "SuccessfulList"), i, success)
	{
		if (write_session(folder, json_object_get(success, "SessionScreenshot"), ret_report,
				  err) < 0)
			return -1;
	}
	return 0;
}
