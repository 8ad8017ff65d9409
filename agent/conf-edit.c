#include "agent/conf-edit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/config-file.h"
#include "common/file.h"

enum { BROKER_HOST, BROKER_PORT, CA_FILE, N_KEYS };

static const char *const keys[N_KEYS] = {"broker_host", "broker_port", "ca_file"};

struct reading {
	const char *path;
	const char *wanted[N_KEYS]; /* as text */
	bool is_there[N_KEYS];
	bool has_agent; /* anything of [agent] */
};

/* As settings.c compares them; tables have one spelling only. */
static bool is_same_key(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (strncasecmp(&x, &y, 1) != 0)
			return false;
	}
	return *a == *b;
}

static int on_entry(const struct config_entry *entry, void *userdata, struct error *err)
{
	struct reading *r = userdata;

	if (strcmp(entry->table, "agent") != 0)
		return 0;
	r->has_agent = true;
	for (size_t i = 0; i < N_KEYS; i++) {
		if (!is_same_key(entry->key, keys[i]))
			continue;
		if ((i == CA_FILE ? strcmp : strcasecmp)(entry->value, r->wanted[i]) != 0)
			return error_set(
				err, ERR_CONFLICT,
				"%s, line %u: %s is '%s'. Make it '%s', or remove the line, "
				"and join again",
				r->path, entry->line, keys[i], entry->value, r->wanted[i]);
		r->is_there[i] = true;
	}
	return 0;
}

static int append_missing(const struct reading *r, const char *prefix, struct buf *ret,
			  struct error *err)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		const char *quote = i == BROKER_PORT ? "" : "'";

		if (!r->is_there[i] && buf_printf(ret, err, "%s%s = %s%s%s\n", prefix, keys[i],
						  quote, r->wanted[i], quote) < 0)
			return -1;
	}
	return 0;
}

/* The end of the line "[agent]", from where on keys are in that table; NULL: there is no such line. */
static const char *find_header(const char *text)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *at = line + (*line == '\n');
		const char *end = strchr(at, '\n');

		line = at;
		at += strspn(at, " \t");
		if (*at++ != '[')
			continue;
		at += strspn(at, " \t");
		if (strncmp(at, "agent", 5) != 0)
			continue;
		at += 5 + strspn(at + 5, " \t");
		if (*at == ']')
			return end ? end + 1 : at + strlen(at);
	}
	return NULL;
}

static int append_all(const struct reading *r, const char *text, struct buf *ret, struct error *err)
{
	const char *after = find_header(text);

	if (after) {
		if (buf_append(ret, text, (size_t)(after - text), err) < 0 ||
		    (after[-1] != '\n' && buf_append_text(ret, "\n", err) < 0) ||
		    append_missing(r, "", ret, err) < 0)
			return -1;
		return buf_append_text(ret, after, err);
	}
	/* Keys with a dot stand before every table. */
	if (r->has_agent)
		return append_missing(r, "agent.", ret, err) < 0 ? -1
								 : buf_append_text(ret, text, err);
	if (buf_append_text(ret, *text ? text : "version = '0.1'\n", err) < 0 ||
	    (ret->data[ret->len - 1] != '\n' && buf_append_text(ret, "\n", err) < 0) ||
	    buf_append_text(ret, "\n[agent]\n", err) < 0)
		return -1;
	return append_missing(r, "", ret, err);
}

int conf_edit(const char *path, const struct conf_wish *wish, struct buf *ret, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	char port[8];
	struct reading r = {.path = path, .wanted = {wish->broker_host, port, wish->ca_file}};

	(void)snprintf(port, sizeof(port), "%d", wish->broker_port);
	if (file_read(path, CONFIG_FILE_MAX_BYTES, &text, err) < 0 && err->code != ERR_NOT_FOUND)
		return -1;
	if (text.len > 0 && config_parse(text.data, text.len, CONFIG_TOML, on_entry, &r, err) < 0)
		return err->code == ERR_CONFLICT ? -1 : error_prefix(err, "%s", path);
	return append_all(&r, text.data ? text.data : "", ret, err);
}
