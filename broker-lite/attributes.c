#include "broker-lite/attributes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/requirements.h"
#include "common/json.h"

#define ROWS_PER_WORD 64

#define TEXT(name, ...)                                                                            \
	{                                                                                          \
		name, NULL, PROPERTY_TEXT,                                                         \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define WHOLE(name, ...)                                                                           \
	{                                                                                          \
		name, NULL, PROPERTY_WHOLE,                                                        \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define REAL(name, ...)                                                                            \
	{                                                                                          \
		name, NULL, PROPERTY_REAL,                                                         \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
/* The language writes Ec2 where answers have EC2; both are understood. */
#define EC2(name)                                                                                  \
	{                                                                                          \
		"Host.Aws.Ec2" name, "Host.Aws.EC2" name, PROPERTY_TEXT,                           \
		{                                                                                  \
			"Host", "Aws", "EC2" name                                                  \
		}                                                                                  \
	}

const struct property properties[N_PROPERTIES] = {
	TEXT("Id", "Id"),
	TEXT("Hostname", "Hostname"),
	TEXT("Version", "Version"),
	TEXT("SessionManagerAgentVersion", "SessionManagerAgentVersion"),
	TEXT("Host.Os.BuildNumber", "Host", "Os", "BuildNumber"),
	TEXT("Host.Os.Family", "Host", "Os", "Family"),
	TEXT("Host.Os.KernelVersion", "Host", "Os", "KernelVersion"),
	TEXT("Host.Os.Name", "Host", "Os", "Name"),
	TEXT("Host.Os.Version", "Host", "Os", "Version"),
	WHOLE("Host.Memory.TotalBytes", "Host", "Memory", "TotalBytes"),
	WHOLE("Host.Memory.UsedBytes", "Host", "Memory", "UsedBytes"),
	WHOLE("Host.Swap.TotalBytes", "Host", "Swap", "TotalBytes"),
	WHOLE("Host.Swap.UsedBytes", "Host", "Swap", "UsedBytes"),
	REAL("Host.CpuLoadAverage.OneMinute", "Host", "CpuLoadAverage", "OneMinute"),
	REAL("Host.CpuLoadAverage.FiveMinutes", "Host", "CpuLoadAverage", "FiveMinutes"),
	REAL("Host.CpuLoadAverage.FifteenMinutes", "Host", "CpuLoadAverage", "FifteenMinutes"),
	EC2("InstanceId"),
	EC2("InstanceType"),
	EC2("ImageId"),
	TEXT("Host.Aws.Region", "Host", "Aws", "Region"),
	TEXT("Host.CpuInfo.Architecture", "Host", "CpuInfo", "Architecture"),
	TEXT("Host.CpuInfo.ModelName", "Host", "CpuInfo", "ModelName"),
	TEXT("Host.CpuInfo.Vendor", "Host", "CpuInfo", "Vendor"),
	WHOLE("Host.CpuInfo.NumberOfCpus", "Host", "CpuInfo", "NumberOfCpus"),
	WHOLE("Host.CpuInfo.PhysicalCoresPerCpu", "Host", "CpuInfo", "PhysicalCoresPerCpu"),
};

static bool is_name(const char *known, const char *name, size_t len)
{
	return known && strncmp(known, name, len) == 0 && known[len] == '\0';
}

int property_find(const char *name, size_t len)
{
	for (int i = 0; i < N_PROPERTIES; i++) {
		if (is_name(properties[i].name, name, len) ||
		    is_name(properties[i].alias, name, len))
			return i;
	}
	return -1;
}

void attributes_init(struct attributes *attributes)
{
	*attributes = (struct attributes){0};
	strings_init(&attributes->strings);
}

void attributes_done(struct attributes *attributes)
{
	for (size_t i = 0; i < attributes->n_rows; i++)
		free(attributes->rows[i].tags);
	free(attributes->rows);
	for (size_t i = 0; i < N_PROPERTIES; i++)
		free(attributes->columns[i].texts); /* whichever of the union it is */
	for (size_t i = 0; i < attributes->n_tag_columns; i++)
		free(attributes->tag_columns[i].values);
	free(attributes->scratch);
	free(attributes->verdicts);
	strings_done(&attributes->strings);
	attributes_init(attributes);
}

/* --- room --------------------------------------------------------------------------------------
 */

/* Make *@array @capacity items long; on failure it stays as it was. */
static int grow_array(void *array, size_t capacity, size_t item_size)
{
	void **at = array;
	void *grown = reallocarray(*at, capacity, item_size);

	if (!grown)
		return -1;
	*at = grown;
	return 0;
}

static int grow_column(union column *column, enum property_type type, size_t from, size_t to)
{
	size_t size = type == PROPERTY_TEXT ? sizeof(*column->texts) : sizeof(*column->wholes);

	if (grow_array(column, to, size) < 0)
		return -1;
	for (size_t i = from; i < to; i++) {
		if (type == PROPERTY_TEXT)
			column->texts[i] = STRINGS_NONE;
		else if (type == PROPERTY_WHOLE)
			column->wholes[i] = ATTRIBUTES_NO_WHOLE;
		else
			column->reals[i] = NAN;
	}
	return 0;
}

static int grow_rows(struct attributes *attributes)
{
	size_t from = attributes->capacity, to = from ? from * 2 : ROWS_PER_WORD;

	if (grow_array(&attributes->rows, to, sizeof(*attributes->rows)) < 0 ||
	    grow_array(&attributes->scratch, REQUIREMENTS_STACK_MAX * (to / ROWS_PER_WORD),
		       sizeof(*attributes->scratch)) < 0)
		return -1;
	for (size_t i = 0; i < N_PROPERTIES; i++) {
		if (grow_column(&attributes->columns[i], properties[i].type, from, to) < 0)
			return -1;
	}
	for (size_t i = 0; i < attributes->n_tag_columns; i++) {
		union column column = {.texts = attributes->tag_columns[i].values};

		if (grow_column(&column, PROPERTY_TEXT, from, to) < 0)
			return -1;
		attributes->tag_columns[i].values = column.texts;
	}
	memset(attributes->rows + from, 0, (to - from) * sizeof(*attributes->rows));
	attributes->capacity = to;
	return 0;
}

/* So that evaluation allocates nothing. */
static int grow_verdicts(struct attributes *attributes)
{
	uint32_t from = attributes->n_verdicts, to = attributes->strings.capacity;

	if (to <= from)
		return 0;
	if (grow_array(&attributes->verdicts, to, sizeof(*attributes->verdicts)) < 0)
		return -1;
	memset(attributes->verdicts + from, 0, (to - from) * sizeof(*attributes->verdicts));
	attributes->n_verdicts = to;
	return 0;
}

static int take_row(struct attributes *attributes, size_t *ret)
{
	size_t row = 0;

	while (row < attributes->n_rows && attributes->rows[row].is_used)
		row++;
	if (row == attributes->capacity && grow_rows(attributes) < 0)
		return -1;
	if (row == attributes->n_rows)
		attributes->n_rows++;
	attributes->rows[row].is_used = true;
	*ret = row;
	return 0;
}

/* --- tags --------------------------------------------------------------------------------------
 */

/* Of two tags with one key the last one counts. */
static uint32_t find_tag(const struct row *row, uint32_t key)
{
	for (size_t i = row->n_tags; i > 0; i--) {
		if (row->tags[i - 1].key == key)
			return row->tags[i - 1].value;
	}
	return STRINGS_NONE;
}

static void release_tags(struct attributes *attributes, struct tag_pair *tags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		strings_release(&attributes->strings, tags[i].key);
		strings_release(&attributes->strings, tags[i].value);
	}
	free(tags);
}

static int read_tags(struct attributes *attributes, const json_t *list, struct row *row)
{
	size_t n = json_array_size(list);
	struct tag_pair *tags = calloc(n + 1, sizeof(*tags));

	if (!tags)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const json_t *tag = json_array_get(list, i);

		tags[i].key = strings_obtain(&attributes->strings, json_get_text(tag, "Key"));
		tags[i].value = strings_obtain(&attributes->strings, json_get_text(tag, "Value"));
		if (tags[i].key == STRINGS_NONE || tags[i].value == STRINGS_NONE) {
			release_tags(attributes, tags, i + 1);
			return -1;
		}
	}
	row->tags = tags;
	row->n_tags = n;
	return 0;
}

static struct tag_column *find_tag_column(struct attributes *attributes, uint32_t key)
{
	for (size_t i = 0; i < attributes->n_tag_columns; i++) {
		if (attributes->tag_columns[i].key == key)
			return &attributes->tag_columns[i];
	}
	return NULL;
}

/* A new one, or the one that was not asked for longest. */
static struct tag_column *take_tag_column(struct attributes *attributes)
{
	struct tag_column *column = &attributes->tag_columns[attributes->n_tag_columns];

	if (attributes->n_tag_columns < ATTRIBUTES_TAG_COLUMNS) {
		column->values = calloc(attributes->capacity + 1, sizeof(*column->values));
		attributes->n_tag_columns += column->values != NULL;
		return column->values ? column : NULL;
	}
	column = attributes->tag_columns;
	for (size_t i = 1; i < ATTRIBUTES_TAG_COLUMNS; i++) {
		if (attributes->tag_columns[i].last_used < column->last_used)
			column = &attributes->tag_columns[i];
	}
	strings_release(&attributes->strings, column->key);
	return column;
}

const uint32_t *attributes_tag(struct attributes *attributes, const char *key)
{
	uint32_t number = strings_obtain(&attributes->strings, key);
	struct tag_column *column = NULL;

	if (number == STRINGS_NONE || grow_verdicts(attributes) < 0)
		return NULL;
	column = find_tag_column(attributes, number);
	if (column) {
		strings_release(&attributes->strings, number);
	} else {
		column = take_tag_column(attributes);
		if (!column) {
			strings_release(&attributes->strings, number);
			return NULL;
		}
		column->key = number;
		for (size_t i = 0; i < attributes->n_rows; i++)
			column->values[i] = find_tag(&attributes->rows[i], number);
	}
	column->last_used = ++attributes->n_lookups;
	return column->values;
}

/* --- rows --------------------------------------------------------------------------------------
 */

static const json_t *find_value(const json_t *server, const struct property *property)
{
	for (size_t i = 0; i < 3 && property->path[i]; i++)
		server = json_object_get(server, property->path[i]);
	return server;
}

static int set_text(struct attributes *attributes, uint32_t *at, const json_t *value)
{
	const char *text = json_string_value(value);
	uint32_t number = text ? strings_obtain(&attributes->strings, text) : STRINGS_NONE;

	strings_release(&attributes->strings, *at);
	*at = number;
	return text && number == STRINGS_NONE ? -1 : 0;
}

static int set_value(struct attributes *attributes, size_t which, size_t row, const json_t *value)
{
	union column *column = &attributes->columns[which];

	switch (properties[which].type) {
	case PROPERTY_TEXT:
		return set_text(attributes, &column->texts[row], value);
	case PROPERTY_WHOLE:
		column->wholes[row] = json_is_integer(value) && json_integer_value(value) >= 0
					      ? (uint64_t)json_integer_value(value)
					      : ATTRIBUTES_NO_WHOLE;
		return 0;
	case PROPERTY_REAL:
		column->reals[row] = json_is_number(value) ? json_number_value(value) : NAN;
		return 0;
	}
	return -1;
}

/* @server NULL: no values. */
static int fill_row(struct attributes *attributes, size_t at, const json_t *server)
{
	struct row *row = &attributes->rows[at];
	struct row old = *row;
	int result = 0;

	for (size_t i = 0; i < N_PROPERTIES; i++) {
		if (set_value(attributes, i, at, find_value(server, &properties[i])) < 0)
			result = -1;
	}
	row->tags = NULL;
	row->n_tags = 0;
	if (server && read_tags(attributes, json_object_get(server, "Tags"), row) < 0)
		result = -1;
	for (size_t i = 0; i < attributes->n_tag_columns; i++)
		attributes->tag_columns[i].values[at] =
			find_tag(row, attributes->tag_columns[i].key);
	/* Last, so that a string that stays is not made anew. */
	release_tags(attributes, old.tags, old.n_tags);
	return result;
}

int attributes_set(struct attributes *attributes, size_t *row, const json_t *server,
		   struct error *err)
{
	if (*row == ATTRIBUTES_NO_ROW && take_row(attributes, row) < 0)
		return error_oom(err);
	if (fill_row(attributes, *row, server) == 0 && grow_verdicts(attributes) == 0)
		return 0;
	attributes_clear(attributes, row);
	return error_oom(err);
}

void attributes_clear(struct attributes *attributes, size_t *row)
{
	if (*row == ATTRIBUTES_NO_ROW)
		return;
	(void)fill_row(attributes, *row, NULL);
	attributes->rows[*row].is_used = false;
	*row = ATTRIBUTES_NO_ROW;
}
