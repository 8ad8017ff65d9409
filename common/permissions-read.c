#include <string.h>

#include "common/permissions-parts.h"
#include "common/text.h"

#define BLANKS " \t"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define IMPORT "#import"

/* One line and all that it needs. */
struct reading {
	struct permissions_reader *reader;
	struct source *source;
};

/* Tell what is wrong with the line; reading goes on. */
#define wrong(r, ...) problems_add(&(r)->reader->report->errors, &(r)->source->place, __VA_ARGS__)
#define suspicious(r, ...)                                                                         \
	problems_add(&(r)->reader->report->warnings, &(r)->source->place, __VA_ARGS__)

/* --- texts -------------------------------------------------------------------------------------
 */

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return true;
	}
	return false;
}

/* The next word of *@at, which steps over it; NULL at the end. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, BLANKS);
	size_t len = strcspn(word, BLANKS);

	if (len == 0)
		return NULL;
	*at = word + len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

/* The next item of a list, with its outer blanks; *@at is NULL after the last one. */
static char *next_item(char **at)
{
	char *item = *at, *comma = item ? strchr(item, ',') : NULL;

	if (comma)
		*comma = '\0';
	*at = comma ? comma + 1 : NULL;
	return item;
}

/* --- who ---------------------------------------------------------------------------------------
 */

/* The user or group that @text means; *ret stays NULL if it means none, which was told then. */
static int read_party(const struct reading *r, char *text, const char *empty_text,
		      struct term **ret, struct error *err)
{
	static const struct {
		const char *prefix;
		enum term_kind kind;
	} prefixes[] = {{"user:", TERM_USER}, {"group:", TERM_GROUP}, {"osgroup:", TERM_OS_GROUP}};
	enum term_kind kind = TERM_USER;
	bool has_prefix = false;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && !has_prefix; i++) {
		size_t len = strlen(prefixes[i].prefix);

		has_prefix = strncmp(text, prefixes[i].prefix, len) == 0;
		if (has_prefix) {
			kind = prefixes[i].kind;
			text += len;
		}
	}
	text = trim(text);
	if (*text == '\0') {
		wrong(r, "%s", empty_text);
		return 0;
	}
	if (*text == '%' && !has_prefix)
		suspicious(r, "%s is taken for the name of a user", text);
	*ret = term_find(r->reader, kind, text, &r->source->place, err);
	return *ret ? 0 : -1;
}

static int read_actor(const struct reading *r, char *word, struct term **ret, struct error *err)
{
	bool is_owner = strcmp(word, "%owner%") == 0;

	if (!is_owner && strcmp(word, "%any%") != 0)
		return read_party(r, word, "missing name", ret, err);
	*ret = term_find(r->reader, is_owner ? TERM_OWNER : TERM_ANY, word, &r->source->place, err);
	return *ret ? 0 : -1;
}

/* --- what --------------------------------------------------------------------------------------
 */

/* A feature, or an alias, which may be defined further down. */
static int read_feature(const struct reading *r, const char *name, struct term *alias,
			struct error *err)
{
	uint32_t features = features_named(name);
	struct term *member;

	alias->features |= features;
	if (features)
		return 0;
	member = term_find(r->reader, TERM_ALIAS, name, &r->source->place, err);
	return member ? term_add_member(alias, member, &r->source->place, err) : -1;
}

/* --- definitions -------------------------------------------------------------------------------
 */

/* The name before '='; NULL if there is none that can be, which was told then. */
static char *read_name(const struct reading *r, char *line, char **ret_rest)
{
	char *equals = strchr(line, '='), *name;

	if (!equals) {
		wrong(r, "missing '='");
		return NULL;
	}
	*equals = '\0';
	*ret_rest = trim(equals + 1);
	name = trim(line);
	if (r->source->section == SECTION_GROUPS && strncmp(name, "group:", 6) == 0)
		name += 6;
	if (*name == '\0') {
		wrong(r, "missing name");
		return NULL;
	}
	if (name[strcspn(name, BLANKS ",[];#")]) {
		wrong(r, "invalid name %s", name);
		return NULL;
	}
	return name;
}

static int read_group(const struct reading *r, struct term *group, char *list, struct error *err)
{
	while (list) {
		struct term *member = NULL;

		if (read_party(r, trim(next_item(&list)), "empty member", &member, err) < 0)
			return -1;
		if (member && term_add_member(group, member, &r->source->place, err) < 0)
			return -1;
	}
	return 0;
}

static int read_alias(const struct reading *r, struct term *alias, char *list, struct error *err)
{
	while (list) {
		const char *name = trim(next_item(&list));

		if (*name == '\0')
			wrong(r, "empty member");
		else if (read_feature(r, name, alias, err) < 0)
			return -1;
	}
	return 0;
}

static int read_definition(const struct reading *r, char *line, struct error *err)
{
	bool is_alias = r->source->section == SECTION_ALIASES;
	char *list = NULL;
	const char *name = read_name(r, line, &list);
	struct term *term;

	if (!name)
		return 0;
	if (is_alias && features_named(name)) {
		wrong(r, "reserved alias name %s", name);
		return 0;
	}
	term = term_find(r->reader, is_alias ? TERM_ALIAS : TERM_GROUP, name, &r->source->place,
			 err);
	if (!term)
		return -1;
	term->is_defined = true;
	if (*list == '\0')
		return 0;
	return is_alias ? read_alias(r, term, list, err) : read_group(r, term, list, err);
}

/* --- permissions -------------------------------------------------------------------------------
 */

static enum rule find_rule(const char *name)
{
	for (enum rule rule = RULE_ALLOW; rule <= RULE_DENY; rule++) {
		if (strcmp(rule_name(rule), name) == 0)
			return rule;
	}
	return RULE_NONE;
}

static int add_entry(struct permissions *p, const struct permission *entry, struct error *err)
{
	if (permissions_grow(&p->entries, p->n_entries, &p->entries_capacity, sizeof(*p->entries),
			     err) < 0)
		return -1;
	p->entries[p->n_entries++] = *entry;
	return 0;
}

static int read_permission(const struct reading *r, char *line, struct error *err)
{
	char *actor = next_word(&line), *rule = next_word(&line), *name = next_word(&line);
	struct permission entry = {.place = r->source->place};

	if (!name) {
		wrong(r, "incomplete permission");
		return 0;
	}
	entry.rule = find_rule(rule);
	if (entry.rule == RULE_NONE)
		wrong(r, "unknown rule %s", rule);
	entry.features = term_find(r->reader, TERM_ALIAS, NULL, &entry.place, err);
	if (!entry.features || read_actor(r, actor, &entry.actor, err) < 0)
		return -1;
	for (; name; name = next_word(&line)) {
		if (read_feature(r, name, entry.features, err) < 0)
			return -1;
	}
	return entry.actor ? add_entry(r->reader->permissions, &entry, err) : 0;
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void read_header(const struct reading *r, char *line)
{
	static const char *const names[] = {[SECTION_GROUPS] = "groups",
					    [SECTION_ALIASES] = "aliases",
					    [SECTION_PERMISSIONS] = "permissions"};
	size_t len = strlen(line);
	char *name = line + 1;
	bool is_closed = line[len - 1] == ']';

	if (is_closed)
		line[len - 1] = '\0';
	name = trim(name);
	for (enum section s = SECTION_GROUPS; is_closed && s <= SECTION_PERMISSIONS; s++) {
		if (strcmp(names[s], name) == 0) {
			r->source->section = s;
			return;
		}
	}
	wrong(r, "unknown section %s", name);
	r->source->section = SECTION_UNKNOWN; /* what it holds, nobody can tell */
}

static int read_entry(const struct reading *r, char *line, struct error *err)
{
	switch (r->source->section) {
	case SECTION_NONE:
		wrong(r, "entry outside of a section");
		return 0;
	case SECTION_GROUPS:
	case SECTION_ALIASES:
		return read_definition(r, line, err);
	case SECTION_PERMISSIONS:
		return read_permission(r, line, err);
	case SECTION_UNKNOWN:
		break;
	}
	return 0;
}

static int read_text(const struct reading *r, char *text, struct error *err)
{
	char *line = text + strspn(text, BLANKS);
	size_t len = strlen(IMPORT);
	bool is_import = strncmp(line, IMPORT, len) == 0 && line[len] && strchr(BLANKS, line[len]);

	if (*line == '\0' || (!is_import && (*line == '#' || *line == ';')))
		return 0;
	if (has_control(line)) {
		wrong(r, "control character");
		return 0;
	}
	line = trim(line);
	if (is_import)
		return permissions_import(r->reader, r->source, trim(line + len), err);
	if (*line == '[') {
		read_header(r, line);
		return 0;
	}
	return read_entry(r, line, err);
}

/* @line ends in NUL and has @len bytes before it. */
static int read_line(const struct reading *r, char *line, size_t len, struct error *err)
{
	if (len > PERMISSIONS_LINE_MAX_BYTES)
		wrong(r, "line of more than %d bytes", PERMISSIONS_LINE_MAX_BYTES);
	else if (memchr(line, '\0', len))
		wrong(r, "NUL byte");
	else if (!is_utf8(line, len))
		wrong(r, "not UTF-8");
	else
		return read_text(r, line, err);
	return 0;
}

int permissions_read_lines(struct permissions_reader *reader, struct source *source, char *text,
			   size_t len, struct error *err)
{
	const struct reading r = {reader, source};
	char *end = text + len;

	if (len >= strlen(BYTE_ORDER_MARK) &&
	    memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		text += strlen(BYTE_ORDER_MARK);
	while (text < end) {
		char *line = text, *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!line_end)
			line_end = end;
		text = line_end + 1;
		if (line_end > line && line_end[-1] == '\r')
			line_end--;
		*line_end = '\0';
		source->place.line++;
		source->place.order = reader->n_lines++;
		if (read_line(&r, line, (size_t)(line_end - line), err) < 0)
			return -1;
	}
	return 0;
}
