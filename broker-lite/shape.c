#include "broker-lite/shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* COUNT: 32 bits, as the clients that are generated from the API's description read it. */
enum field_type { STRING, COUNT, BYTES, NUMBER, OBJECT, LIST };

struct field {
	const char *name;
	enum field_type type;
	const struct shape *of; /* OBJECT, LIST */
};

struct shape {
	const struct field *fields;
	size_t n_fields;
};

#define SHAPE(name) const struct shape name = {name##_fields, ARRAY_SIZE(name##_fields)}

static const struct field os_fields[] = {{"Family", STRING, NULL},
					 {"Name", STRING, NULL},
					 {"Version", STRING, NULL},
					 {"KernelVersion", STRING, NULL},
					 {"BuildNumber", STRING, NULL}};
static SHAPE(os);

static const struct field memory_fields[] = {{"TotalBytes", BYTES, NULL},
					     {"UsedBytes", BYTES, NULL}};
static SHAPE(memory);

static const struct field aws_fields[] = {{"Region", STRING, NULL},
					  {"EC2InstanceType", STRING, NULL},
					  {"EC2InstanceId", STRING, NULL},
					  {"EC2ImageId", STRING, NULL}};
static SHAPE(aws);

static const struct field cpu_fields[] = {{"Vendor", STRING, NULL},
					  {"ModelName", STRING, NULL},
					  {"Architecture", STRING, NULL},
					  {"NumberOfCpus", COUNT, NULL},
					  {"PhysicalCoresPerCpu", COUNT, NULL}};
static SHAPE(cpu);

static const struct field load_fields[] = {{"OneMinute", NUMBER, NULL},
					   {"FiveMinutes", NUMBER, NULL},
					   {"FifteenMinutes", NUMBER, NULL}};
static SHAPE(load);

static const struct field gpu_fields[] = {{"Vendor", STRING, NULL}, {"ModelName", STRING, NULL}};
static SHAPE(gpu);

static const struct field user_fields[] = {{"Username", STRING, NULL}};
static SHAPE(user);

static const struct field host_fields[] = {
	{"Os", OBJECT, &os},   {"Memory", OBJECT, &memory},    {"Swap", OBJECT, &memory},
	{"Aws", OBJECT, &aws}, {"CpuInfo", OBJECT, &cpu},      {"CpuLoadAverage", OBJECT, &load},
	{"Gpus", LIST, &gpu},  {"LoggedInUsers", LIST, &user},
};
static SHAPE(host);

static const struct field tag_fields[] = {{"Key", STRING, NULL}, {"Value", STRING, NULL}};
static SHAPE(tag);

static const struct field endpoint_fields[] = {{"IpAddress", STRING, NULL},
					       {"Port", COUNT, NULL},
					       {"WebUrlPath", STRING, NULL},
					       {"Protocol", STRING, NULL}};
static SHAPE(endpoint);

static const struct field shape_server_of_session_fields[] = {
	{"Id", STRING, NULL},         {"Ip", STRING, NULL},
	{"Hostname", STRING, NULL},   {"DefaultDnsName", STRING, NULL},
	{"Port", STRING, NULL},       {"Endpoints", LIST, &endpoint},
	{"WebUrlPath", STRING, NULL}, {"Tags", LIST, &tag},
};
SHAPE(shape_server_of_session);

static const struct field shape_server_fields[] = {
	{"Id", STRING, NULL},
	{"Ip", STRING, NULL},
	{"Hostname", STRING, NULL},
	{"DefaultDnsName", STRING, NULL},
	{"Port", STRING, NULL},
	{"Endpoints", LIST, &endpoint},
	{"WebUrlPath", STRING, NULL},
	{"Version", STRING, NULL},
	{"SessionManagerAgentVersion", STRING, NULL},
	{"Availability", STRING, NULL},
	{"UnavailabilityReason", STRING, NULL},
	{"ConsoleSessionCount", COUNT, NULL},
	{"VirtualSessionCount", COUNT, NULL},
	{"Host", OBJECT, &host},
	{"Tags", LIST, &tag},
};
SHAPE(shape_server);

static const struct field shape_session_fields[] = {
	{"Id", STRING, NULL},
	{"Name", STRING, NULL},
	{"Owner", STRING, NULL},
	{"Type", STRING, NULL},
	{"MaxConcurrentClients", COUNT, NULL},
	{"State", STRING, NULL},
	{"Substate", STRING, NULL},
	{"StateReason", STRING, NULL},
	{"CreationTime", STRING, NULL},
	{"LastDisconnectionTime", STRING, NULL},
	{"NumOfConnections", COUNT, NULL},
	{"StorageRoot", STRING, NULL},
};
SHAPE(shape_session);

static bool has_type(const json_t *value, enum field_type type)
{
	switch (type) {
	case STRING:
		return json_is_string(value);
	case COUNT:
		return json_is_integer(value) && json_integer_value(value) >= 0 &&
		       json_integer_value(value) <= INT32_MAX;
	case BYTES:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case NUMBER:
		return json_is_number(value);
	case OBJECT:
		return json_is_object(value);
	case LIST:
		return json_is_array(value);
	}
	return false;
}

static json_t *copy_list(const struct shape *of, json_t *list)
{
	json_t *copy = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *item = json_array_get(list, i);

		if (json_is_object(item))
			(void)json_array_append_new(copy, shape_copy(of, item));
	}
	return copy;
}

json_t *shape_copy(const struct shape *shape, json_t *object)
{
	json_t *copy = json_object();

	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = &shape->fields[i];
		json_t *value = json_object_get(object, field->name);
		json_t *item = NULL;

		if (field->type == LIST)
			item = copy_list(field->of, has_type(value, LIST) ? value : NULL);
		else if (has_type(value, field->type))
			item = field->type == OBJECT ? shape_copy(field->of, value)
						     : json_incref(value);
		if (item && json_object_set_new(copy, field->name, item) < 0) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}
