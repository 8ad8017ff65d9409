#include "common/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

static const char *const names[N_FINDING_STATES] = {
	[FINDING_OK] = "OK",
	[FINDING_NOT_CHECKED] = "NOT_CHECKED",
	[FINDING_WARNING] = "WARNING",
	[FINDING_ERROR] = "ERROR",
};

const char *finding_state_name(enum finding_state state)
{
	return names[state];
}

enum finding_state finding_state(const json_t *finding)
{
	const char *name = json_get_text(finding, "State");

	for (size_t i = 0; name && i < N_FINDING_STATES; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum finding_state)i;
	}
	return FINDING_ERROR;
}

void finding_add(json_t *findings, const char *check, enum finding_state state, const char *advice,
		 const char *format, ...)
{
	json_t *finding = json_pack("{s:s,s:s}", "Check", check, "State", names[state]);
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_set_text(finding, "Text", text);
	json_set_text(finding, "Advice", advice);
	(void)json_array_append_new(findings, finding);
}

struct finding_counts finding_count(const json_t *findings)
{
	struct finding_counts counts = {.n = {0}};
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding) counts.n[finding_state(finding)]++;
	return counts;
}
