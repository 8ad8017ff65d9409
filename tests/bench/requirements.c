/* Requirements over a large fleet, against SQLite with prepared queries over the same data: the same
 * matches as a plain reading, in a fraction of the time. Prints ratios of one run, both sides
 * interleaved, medians. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker-lite/requirements.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "tests/naive-requirements.h"

#define N_SERVERS 10000
#define N_TAGS 10
#define ROUNDS 31
#define PARSE_REPEATS 1000

/* Ten comparisons each. SQL is what the expression would be for a table with a column for each
 * property and each tag. */
static const struct {
	const char *name, *text, *sql;
} expressions[] = {
	{"mixed",
	 "server:Host.Os.Family = 'linux' and server:Host.CpuInfo.NumberOfCpus >= 8 and "
	 "server:Host.Memory.TotalBytes > 16E9 and server:Host.CpuLoadAverage.OneMinute < 4.5 and "
	 "(tag:t0 = 'v1' or tag:t1 = 'v2' or tag:t2 != 'v3') and "
	 "server:Host.Aws.Ec2InstanceType := 'xlarge' and not tag:t3 = 'v4' and "
	 "server:Host.CpuInfo.Vendor != 'AuthenticAMD'",
	 "c5 = 'linux' and c23 >= 8 and c9 > 16E9 and c13 < 4.5 and "
	 "(t0 = 'v1' or t1 = 'v2' or t2 is not 'v3') and instr(c17, 'xlarge') > 0 and "
	 "t3 is not 'v4' and c22 is not 'AuthenticAMD'"},
	{"tags, none holds until the last",
	 "tag:t0 = 'x' or tag:t1 = 'x' or tag:t2 = 'x' or tag:t3 = 'x' or tag:t4 = 'x' or "
	 "tag:t5 = 'x' or tag:t6 = 'x' or tag:t7 = 'x' or tag:t8 = 'x' or tag:n0 = '9'",
	 "t0 = 'x' or t1 = 'x' or t2 = 'x' or t3 = 'x' or t4 = 'x' or t5 = 'x' or t6 = 'x' or "
	 "t7 = 'x' or t8 = 'x' or n0 = '9'"},
	{"numbers, all hold",
	 "server:Host.Memory.TotalBytes > 0 and server:Host.Memory.UsedBytes >= 0 and "
	 "server:Host.Swap.TotalBytes >= 0 and server:Host.Swap.UsedBytes >= 0 and "
	 "server:Host.CpuLoadAverage.OneMinute >= 0 and "
	 "server:Host.CpuLoadAverage.FiveMinutes >= 0 and "
	 "server:Host.CpuLoadAverage.FifteenMinutes >= 0 and "
	 "server:Host.CpuInfo.NumberOfCpus >= 1 and server:Host.CpuInfo.PhysicalCoresPerCpu >= 1 "
	 "and server:Host.Memory.TotalBytes < 1e15",
	 "c9 > 0 and c10 >= 0 and c11 >= 0 and c12 >= 0 and c13 >= 0 and c14 >= 0 and c15 >= 0 and "
	 "c23 >= 1 and c24 >= 1 and c9 < 1e15"},
	{"texts that contain, all different, none holds",
	 "server:Hostname := 'xx' or server:Id := 'xx' or server:Host.Aws.Ec2InstanceId := 'xx' or "
	 "server:Hostname := 'yy' or server:Id := 'yy' or server:Host.Aws.Ec2InstanceId := 'yy' or "
	 "server:Hostname := 'zz' or server:Id := 'zz' or server:Host.Aws.Ec2InstanceId := 'zz' or "
	 "server:Hostname := 'qq'",
	 "instr(c1, 'xx') or instr(c0, 'xx') or instr(c16, 'xx') or instr(c1, 'yy') or "
	 "instr(c0, 'yy') or instr(c16, 'yy') or instr(c1, 'zz') or instr(c0, 'zz') or "
	 "instr(c16, 'zz') or instr(c1, 'qq')"},
	{"texts that contain, all different, all hold",
	 "server:Hostname := 'render' and server:Id := '0' and server:Host.Aws.Ec2InstanceId := "
	 "'i-' "
	 "and server:Hostname := 'der-' and server:Hostname := 'example' and "
	 "server:Hostname := 'lab' and server:Host.Aws.Ec2InstanceId := '-0' and "
	 "server:Hostname := '.lab.' and server:Hostname := '-' and server:Hostname := 'e'",
	 "instr(c1, 'render') and instr(c0, '0') and instr(c16, 'i-') and instr(c1, 'der-') and "
	 "instr(c1, 'example') and instr(c1, 'lab') and instr(c16, '-0') and instr(c1, '.lab.') "
	 "and "
	 "instr(c1, '-') and instr(c1, 'e')"},
	{"tags as numbers",
	 "tag:n0 > 40 or tag:n0 < 0 or tag:n0 = 41 or tag:n0 > 42.5 or tag:n0 >= 43 or tag:n0 > 44 "
	 "or tag:n0 > 45 or tag:n0 > 46 or tag:n0 > 47 or tag:n0 <= 3",
	 "n0 + 0 > 40 or n0 + 0 < 0 or n0 + 0 = 41 or n0 + 0 > 42.5 or n0 + 0 >= 43 or "
	 "n0 + 0 > 44 or n0 + 0 > 45 or n0 + 0 > 46 or n0 + 0 > 47 or n0 + 0 <= 3"},
};

struct bench {
	json_t *servers[N_SERVERS];
	size_t rows[N_SERVERS];
	struct attributes attributes;
	sqlite3 *db;
};

static void fail(const char *what)
{
	fprintf(stderr, "requirements: %s\n", what);
	exit(1);
}

static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) -
	       (*(const double *)a < *(const double *)b);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return values[n / 2];
}

/* --- the fleet ---------------------------------------------------------------------------------
 */

static json_t *make_server(int i)
{
	static const char *const types[] = {"g4dn.xlarge", "t3.medium", "c5.2xlarge", "m5.large"};
	char id[64], name[64], instance[64], number[8];
	json_t *tags = json_array(), *server;

	(void)snprintf(id, sizeof(id), "%08x%08x%08x", (unsigned)i * 2654435761U,
		       (unsigned)i * 40503U, (unsigned)i);
	(void)snprintf(name, sizeof(name), "render-%05d.lab.example", i);
	(void)snprintf(instance, sizeof(instance), "i-%017x", (unsigned)i * 2246822519U);
	for (int t = 0; t < N_TAGS - 1; t++) {
		char key[8], value[8];

		(void)snprintf(key, sizeof(key), "t%d", t);
		(void)snprintf(value, sizeof(value), "v%d", (i >> t) % 10);
		(void)json_array_append_new(tags,
					    json_pack("{s:s,s:s}", "Key", key, "Value", value));
	}
	(void)snprintf(number, sizeof(number), "%d", i % 40);
	(void)json_array_append_new(tags, json_pack("{s:s,s:s}", "Key", "n0", "Value", number));
	server = json_pack("{s:s,s:s,s:s,s:s,s:{s:{s:s,s:s,s:s,s:s,s:s},s:{s:I,s:I},s:{s:I,s:I},"
			   "s:{s:f,s:f,s:f},s:{s:s,s:s,s:s,s:s},s:{s:s,s:s,s:s,s:i,s:i}},s:o}",
			   "Id", id, "Hostname", name, "Version", "2023.1.16220",
			   "SessionManagerAgentVersion", "2023.1.732", "Host", "Os", "BuildNumber",
			   "1", "Family", i % 7 ? "linux" : "windows", "KernelVersion",
			   "6.1.0-28-amd64", "Name", "Debian GNU/Linux", "Version", "12", "Memory",
			   "TotalBytes", (json_int_t)8000000000 << (i % 4), "UsedBytes",
			   (json_int_t)i * 100000, "Swap", "TotalBytes", (json_int_t)0, "UsedBytes",
			   (json_int_t)0, "CpuLoadAverage", "OneMinute", i % 100 / 10.0,
			   "FiveMinutes", i % 90 / 10.0, "FifteenMinutes", i % 80 / 10.0, "Aws",
			   "EC2InstanceId", instance, "EC2InstanceType", types[i % 4], "EC2ImageId",
			   "ami-0f0f0f0f", "Region", "eu-west-1", "CpuInfo", "Architecture",
			   "x86_64", "ModelName", "Xeon Platinum 8259CL", "Vendor",
			   i % 3 ? "GenuineIntel" : "AuthenticAMD", "NumberOfCpus", 2 << (i % 5),
			   "PhysicalCoresPerCpu", 1 << (i % 5), "Tags", tags);
	if (!server)
		fail("no memory");
	return server;
}

static const json_t *value_of(const json_t *server, const struct property *property)
{
	for (size_t i = 0; i < 3 && property->path[i]; i++)
		server = json_object_get(server, property->path[i]);
	return server;
}

static void bind_value(sqlite3_stmt *insert, int at, const json_t *value)
{
	if (json_is_string(value))
		(void)sqlite3_bind_text(insert, at, json_string_value(value), -1, SQLITE_TRANSIENT);
	else if (json_is_integer(value))
		(void)sqlite3_bind_int64(insert, at, json_integer_value(value));
	else
		(void)sqlite3_bind_double(insert, at, json_number_value(value));
}

static sqlite3_stmt *prepare(struct bench *b, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(b->db, sql, -1, &statement, NULL) != SQLITE_OK)
		fail(sqlite3_errmsg(b->db));
	return statement;
}

static void make_table(struct bench *b)
{
	char create[2000] = "CREATE TABLE server (", insert[500] = "INSERT INTO server VALUES (?";
	sqlite3_stmt *statement;

	for (int i = 0; i < N_PROPERTIES; i++)
		(void)sprintf(create + strlen(create), "c%d, ", i);
	for (int i = 0; i < N_TAGS - 1; i++)
		(void)sprintf(create + strlen(create), "t%d, ", i);
	(void)strcat(create, "n0)");
	for (int i = 1; i < N_PROPERTIES + N_TAGS; i++)
		(void)strcat(insert, ", ?");
	(void)strcat(insert, ")");
	if (sqlite3_open(":memory:", &b->db) != SQLITE_OK ||
	    sqlite3_exec(b->db, create, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(b->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		fail(sqlite3_errmsg(b->db));
	statement = prepare(b, insert);
	for (int i = 0; i < N_SERVERS; i++) {
		const json_t *tags = json_object_get(b->servers[i], "Tags");

		for (int p = 0; p < N_PROPERTIES; p++)
			bind_value(statement, p + 1, value_of(b->servers[i], &properties[p]));
		for (int t = 0; t < N_TAGS; t++)
			bind_value(statement, N_PROPERTIES + t + 1,
				   json_object_get(json_array_get(tags, (size_t)t), "Value"));
		if (sqlite3_step(statement) != SQLITE_DONE)
			fail(sqlite3_errmsg(b->db));
		(void)sqlite3_reset(statement);
	}
	(void)sqlite3_finalize(statement);
	(void)sqlite3_exec(b->db, "COMMIT", NULL, NULL, NULL);
}

static void set_up(struct bench *b)
{
	struct error err;

	attributes_init(&b->attributes);
	for (int i = 0; i < N_SERVERS; i++) {
		b->servers[i] = make_server(i);
		b->rows[i] = ATTRIBUTES_NO_ROW;
		if (attributes_set(&b->attributes, &b->rows[i], b->servers[i], &err) < 0)
			fail(err.message);
	}
	make_table(b);
}

static void tear_down(struct bench *b)
{
	for (int i = 0; i < N_SERVERS; i++)
		json_decref(b->servers[i]);
	attributes_done(&b->attributes);
	(void)sqlite3_close(b->db);
}

/* --- measuring ---------------------------------------------------------------------------------
 */

static size_t run_sqlite(sqlite3_stmt *statement)
{
	size_t n = 0;

	while (sqlite3_step(statement) == SQLITE_ROW)
		n++;
	(void)sqlite3_reset(statement);
	return n;
}

static size_t run_ours(struct bench *b, const struct requirements *requirements)
{
	const uint64_t *bits;
	struct error err;
	size_t n = 0;

	if (requirements_match(requirements, &b->attributes, 0, b->attributes.n_rows, &bits, &err) <
	    0)
		fail(err.message);
	for (size_t i = 0; i < N_SERVERS; i++)
		n += requirements_bit(bits, b->rows[i]);
	return n;
}

static void measure(struct bench *b, const char *name, const char *text, const char *where)
{
	double ours[ROUNDS], sqlite[ROUNDS], parse[ROUNDS];
	struct requirements *requirements = NULL;
	AUTO(free_p) char *sql = NULL;
	sqlite3_stmt *statement;
	struct error err;
	size_t n_naive = 0, n = 0, n_sqlite = 0;

	if (asprintf(&sql, "SELECT rowid FROM server WHERE %s", where) < 0)
		fail("no memory");
	statement = prepare(b, sql);
	for (int round = 0; round < ROUNDS; round++) {
		double start = now_us(), middle;

		for (int i = 0; i < PARSE_REPEATS; i++) {
			requirements_free(requirements);
			if (requirements_parse(text, &requirements, &err) < 0)
				fail(err.message);
		}
		parse[round] = (now_us() - start) / PARSE_REPEATS;
		start = now_us();
		n = run_ours(b, requirements);
		middle = now_us();
		n_sqlite = run_sqlite(statement);
		ours[round] = middle - start;
		sqlite[round] = now_us() - middle;
	}
	for (int i = 0; i < N_SERVERS; i++)
		n_naive += naive_requirements_hold(text, b->servers[i]);
	if (n != n_naive || n != n_sqlite)
		fail("the matches differ");
	printf("Requirements over %d servers, %-46s: %5.1f x SQLite's speed (goal 6; %zu matches; "
	       "%.0f us against %.0f us), parsed in %.1f us (goal 20)\n",
	       N_SERVERS, name, median(sqlite, ROUNDS) / median(ours, ROUNDS), n,
	       median(ours, ROUNDS), median(sqlite, ROUNDS), median(parse, ROUNDS));
	requirements_free(requirements);
	(void)sqlite3_finalize(statement);
}

int main(void)
{
	static struct bench b;

	set_up(&b);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++)
		measure(&b, expressions[i].name, expressions[i].text, expressions[i].sql);
	tear_down(&b);
	return 0;
}
