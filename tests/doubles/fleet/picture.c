#include "tests/doubles/fleet/picture.h"

#include <png.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/text.h"

#define WIDTH 16
#define HEIGHT 10

static json_t *pack(const char *format, const void *bytes, size_t len, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_t *picture;

	if (base64_append(&text, bytes, len, err) < 0)
		return NULL;
	picture = json_pack("{s:s,s:s}", "Format", format, "Data", text.data);
	if (!picture)
		(void)error_oom(err);
	return picture;
}

json_t *picture_read(const char *path, struct error *err)
{
	AUTO(buf_done) struct buf bytes = {0};

	if (file_read(path, PICTURE_MAX_BYTES, &bytes, err) < 0)
		return NULL;
	if (bytes.len > 8 && memcmp(bytes.data, "\x89PNG\r\n\x1a\n", 8) == 0)
		return pack("png", bytes.data, bytes.len, err);
	if (bytes.len > 3 && memcmp(bytes.data, "\xff\xd8\xff", 3) == 0)
		return pack("jpeg", bytes.data, bytes.len, err);
	(void)error_set(err, ERR_INVALID, "%s is neither a PNG nor a JPEG file", path);
	return NULL;
}

json_t *picture_make(struct error *err)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			   .width = WIDTH,
			   .height = HEIGHT,
			   .format = PNG_FORMAT_GRAY};
	unsigned char shades[WIDTH * HEIGHT], png[1024];
	png_alloc_size_t len = sizeof(png);

	for (size_t i = 0; i < sizeof(shades); i++)
		shades[i] = (unsigned char)(i % WIDTH * 16);
	if (!png_image_write_to_memory(&image, png, &len, 0, shades, 0, NULL)) {
		(void)error_set(err, ERR_SYSTEM, "make a picture: %s", image.message);
		return NULL;
	}
	return pack("png", png, len, err);
}
