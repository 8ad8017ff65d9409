/* Both grammars over any bytes: every entry is a text without NUL, lines only grow and lie within
 * the file, an error is ERR_CONFIG and names a line. The first byte chooses the grammar. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/config-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned line, n_lines;
	enum config_grammar grammar;
};

static int check_entry(const struct config_entry *entry, void *userdata, struct error *err)
{
	struct seen *seen = userdata;

	(void)err;
	if (entry->line < seen->line || entry->line == 0 || entry->line > seen->n_lines)
		__builtin_trap();
	seen->line = entry->line;
	if ((entry->type == CONFIG_TEXT) != (seen->grammar == CONFIG_PROPERTIES))
		__builtin_trap();
	if (entry->type == CONFIG_LIST
		    ? entry->value_len > 0 && entry->value[entry->value_len - 1] != '\0'
		    : strlen(entry->value) != entry->value_len)
		__builtin_trap();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {.n_lines = 1};
	struct error err = {0};
	unsigned line;

	if (size == 0)
		return 0;
	seen.grammar = data[0] == 'p' ? CONFIG_PROPERTIES : CONFIG_TOML;
	for (size_t i = 1; i < size; i++)
		seen.n_lines += data[i] == '\n';
	if (config_parse((const char *)data + 1, size - 1, seen.grammar, check_entry, &seen,
			 &err) == 0)
		return 0;
	if (err.code != ERR_CONFIG || sscanf(err.message, "line %u: ", &line) != 1 || line == 0 ||
	    line > seen.n_lines)
		__builtin_trap();
	return 0;
}
