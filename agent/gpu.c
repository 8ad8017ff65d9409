#include "agent/gpu.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/json.h"

#define PCI_FOLDER "/sys/bus/pci/devices"
#define CLASS_DISPLAY                                                                              \
	0x03 /* the first byte of the class: VGA, XGA, 3D and other display controllers */
#define LINE_MAX_BYTES 512

/* Debian's, Red Hat's, SUSE's place. */
static const char *const names_files[] = {
	"/usr/share/misc/pci.ids",
	"/usr/share/hwdata/pci.ids",
	"/usr/share/pci.ids",
};

/* Is this line "NUMBER  NAME", with so many tabs before? Then that is its name. */
static char *match(char *line, size_t n_tabs, unsigned number)
{
	char *end;

	if (strspn(line, "\t") != n_tabs || strspn(line + n_tabs, "0123456789abcdefABCDEF") != 4 ||
	    strtoul(line + n_tabs, &end, 16) != number || *end != ' ')
		return NULL;
	return host_file_trim(end);
}

/* The file lists vendors, each with its devices below; other lists follow, whose lines begin with a
 * letter and a blank. */
static void look_up(FILE *file, unsigned vendor, unsigned device, char *ret_vendor,
		    char *ret_device, size_t size)
{
	char line[LINE_MAX_BYTES];
	bool is_vendor = false;
	char *name;

	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (line[0] != '\t' && is_vendor)
			return;
		if (!is_vendor && (name = match(line, 0, vendor))) {
			is_vendor = true;
			(void)snprintf(ret_vendor, size, "%s", name);
		} else if (is_vendor && (name = match(line, 1, device))) {
			(void)snprintf(ret_device, size, "%s", name);
			return;
		}
	}
}

static json_t *pack_gpu(const char *root, unsigned vendor, unsigned device)
{
	char vendor_name[128], device_name[128];
	AUTO(fclose_p) FILE *file = NULL;

	(void)snprintf(vendor_name, sizeof(vendor_name), "Vendor %04x", vendor);
	(void)snprintf(device_name, sizeof(device_name), "Device %04x", device);
	for (size_t i = 0; !file && i < ARRAY_SIZE(names_files); i++)
		file = host_file_open(root, names_files[i]);
	if (file)
		look_up(file, vendor, device, vendor_name, device_name, sizeof(vendor_name));
	return json_pack("{s:s,s:s}", "Vendor", vendor_name, "ModelName", device_name);
}

static bool read_number(const char *root, const char *name, const char *file, unsigned *ret)
{
	char text[32], *end;

	if (!host_file_line(root, text, sizeof(text), PCI_FOLDER "/%s/%s", name, file))
		return false;
	*ret = (unsigned)strtoul(text, &end, 16);
	return end != text && *end == '\0';
}

json_t *gpu_list(const char *root)
{
	AUTO(free_p) char *folder = NULL;
	struct dirent **entries = NULL;
	json_t *gpus = json_array();
	int n;

	if (asprintf(&folder, "%s" PCI_FOLDER, root) < 0) {
		folder = NULL;
		return gpus;
	}
	n = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		unsigned class, vendor, device;

		if (name[0] != '.' && read_number(root, name, "class", &class) &&
		    class >> 16 == CLASS_DISPLAY && read_number(root, name, "vendor", &vendor) &&
		    read_number(root, name, "device", &device))
			(void)json_array_append_new(gpus, pack_gpu(root, vendor, device));
		free(entries[i]);
	}
	free(entries);
	return gpus;
}
