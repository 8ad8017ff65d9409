#include "common/boot-id.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"

#define ID_PATH "/proc/sys/kernel/random/boot_id"
#define MOST_BYTES 4096

void boot_read_id(char ret[UUID_SIZE])
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	ret[0] = '\0';
	if (file_read(ID_PATH, MOST_BYTES, &text, &err) < 0 || text.len < UUID_SIZE - 1)
		return;
	memcpy(ret, text.data, UUID_SIZE - 1);
	ret[UUID_SIZE - 1] = '\0';
}
