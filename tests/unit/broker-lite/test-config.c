#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-lite/config.h"
#include "common/file.h"
#include "common/log.h"
#include "tests/unit/unit.h"

struct fixture {
	char folder[64];
	char conf[96];
	int stderr_fd; /* the real one */
	struct broker_config config;
	struct error err;
};

static int set_up(void **state)
{
	const struct log_rotation rotation = {.max_bytes = 1 << 20, .n_kept = 1};
	struct fixture *f = calloc(1, sizeof(*f));
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/test-config-XXXXXX");
	if (!mkdtemp(f->folder) || null < 0)
		return -1;
	(void)snprintf(f->conf, sizeof(f->conf), "%s/broker.properties", f->folder);
	f->stderr_fd = dup(STDERR_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
	if (log_open_file(f->folder, "log", &rotation, &f->err) < 0)
		return -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char log[96];

	log_close();
	(void)dup2(f->stderr_fd, STDERR_FILENO);
	(void)close(f->stderr_fd);
	broker_config_done(&f->config);
	(void)snprintf(log, sizeof(log), "%s/log", f->folder);
	(void)unlink(log);
	(void)unlink(f->conf);
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static void write_conf(struct fixture *f, const char *text, mode_t mode)
{
	FILE *file = fopen(f->conf, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(f->conf, mode), 0);
}

static int load(struct fixture *f, const char *text)
{
	write_conf(f, text, 0600);
	broker_config_done(&f->config);
	f->err = (struct error){0};
	return broker_config_load(&f->config, f->conf, &f->err);
}

/* How often the log has @text. */
static int count_logged(struct fixture *f, const char *text)
{
	AUTO(buf_done) struct buf log = {0};
	char path[96];
	int n = 0;

	(void)snprintf(path, sizeof(path), "%s/log", f->folder);
	assert_int_equal(file_read(path, 1 << 20, &log, &f->err), 0);
	for (const char *p = log.data; p && (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

/* Two configurations are the same if they print the same; there is no such printer, so each setting
 * is looked at through the list itself. */
static void assert_same(const struct broker_config *a, const struct broker_config *b)
{
#define STRING(key, field, default_value, check, help)                                             \
	assert_int_equal(!a->field, !b->field);                                                    \
	if (a->field)                                                                              \
		assert_string_equal(a->field, b->field);
#define INTEGER(key, field, default_value, least, most, help) assert_int_equal(a->field, b->field);
#define BOOLEAN(key, field, default_value, help) assert_int_equal(a->field, b->field);
#include "broker-lite/settings.def"
}

/* Every line of the printed file, with those that are comments taken out of them if @all. */
static void write_printed(struct fixture *f, bool all)
{
	char *text = NULL, *edited;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	assert_non_null(memory);
	broker_config_print(SETTINGS_FILE, memory);
	assert_int_equal(fclose(memory), 0);
	edited = calloc(1, size + 1);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		bool is_comment = strncmp(line, "# ", 2) == 0;
		size_t key = is_comment ? strspn(line + 2, "abcdefghijklmnopqrstuvwxyz-") : 0;
		bool is_setting = key > 0 && strncmp(line + 2 + key, " = ", 3) == 0;

		(void)strncat(edited, line + (all && is_setting ? 2 : 0),
			      strcspn(line, "\n") + 1 - (all && is_setting ? 2 : 0));
	}
	write_conf(f, edited, 0600);
	free(edited);
	free(text);
}

static void the_shipped_file_says_what_holds_without_it(void **state)
{
	struct fixture *f = *state;
	struct broker_config defaults = {0};

	assert_int_equal(load(f, ""), 0);
	defaults = f->config;
	f->config = (struct broker_config){0};
	for (int all = 0; all < 2; all++) {
		write_printed(f, all);
		broker_config_done(&f->config);
		assert_int_equal(broker_config_load(&f->config, f->conf, &f->err), 0);
		assert_same(&f->config, &defaults);
	}
	assert_int_equal(count_logged(f, "warning"), 0);
	broker_config_done(&defaults);
}

static void a_file_of_the_original_is_understood(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "broker-java-home = /usr/lib/jvm\n"
				 "session-manager-working-path = /var/lib/dcvsmbroker\n"
				 "enable-authorization-server = true\n"
				 "enable-persistence = false\n"
				 "persistence-db = dynamodb\n"
				 "dynamodb-region = eu-west-1\n"
				 "dynamodb-table-rcu = 10\n"
				 "dynamodb-table-wcu = 10\n"
				 "dynamodb-table-name-prefix = DcvSm-\n"
				 "jdbc-connection-url = jdbc:mysql://db:3306/x?a=b\n"
				 "jdbc-user = u\njdbc-password = hunter2\n"
				 "connect-session-token-duration-minutes = 30\n"
				 "delete-session-duration-hours = 2\n"
				 "client-to-broker-connector-https-port = 8448\n"
				 "broker-to-broker-port = 47100\n"
				 "cli-to-broker-port = 47200\n"
				 "broker-to-broker-bind-host = 0.0.0.0\n"
				 "broker-to-broker-discovery-port = 47500\n"
				 "broker-to-broker-discovery-addresses = 127.0.0.1:47500\n"
				 "broker-to-broker-discovery-AWS-region =\n"
				 "broker-to-broker-distributed-memory-max-size-mb = 4096\n"
				 "broker-to-broker-key-store-file = /x.jks\n"
				 "broker-to-broker-connection-login = dcvsm-user\n"
				 "broker-to-broker-connection-pass = dcvsm-pass\n"
				 "enable-cloud-watch-metrics = true\n"
				 "metrics-fleet-name-dimension = default\n"),
			 0);
	assert_int_equal(f->config.client_port, 8448);
	assert_int_equal(f->config.connection_token_minutes, 30);
	assert_int_equal(f->config.deleted_visible_s, 7200);
	assert_int_equal(count_logged(f, "unknown"), 0);
	assert_int_equal(
		count_logged(f, "broker-java-home has no effect: this broker needs no Java"), 1);
	assert_int_equal(count_logged(f, "nothing is sent to CloudWatch; \"dcv-session"), 1);
	assert_int_equal(count_logged(f, "delete-session-duration-hours is deprecated"), 1);
	assert_int_equal(count_logged(f, "hunter2"), 0);
}

static void seconds_win_over_the_deprecated_hours(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "delete-session-duration-hours = 2\n"
				 "delete-session-duration-seconds = 5\n"),
			 0);
	assert_int_equal(f->config.deleted_visible_s, 5);
	assert_int_equal(load(f, ""), 0);
	assert_int_equal(f->config.deleted_visible_s, 3600);
}

static void a_wrong_value_is_refused_with_line_key_and_what_was_expected(void **state)
{
	static const struct {
		const char *line, *complaint;
	} wrong[] = {
		{"enable-gateway = yes", "enable-gateway: expected true or false, got 'yes'"},
		{"gateway-to-broker-connector-https-port = 65536",
		 "gateway-to-broker-connector-https-port: expected an integer from 1 to 65535"},
		{"create-sessions-queue-max-size = -1", "expected an integer from 0"},
		{"connect-session-token-duration-minutes = 1.5", "got '1.5'"},
		{"certificate-key-type = dsa", "expected one of ecdsa|rsa, got 'dsa'"},
		{"session-manager-working-path = var", "expected an absolute path, got 'var'"},
		{"broker-to-broker-port = many", "broker-to-broker-port: expected an integer"},
		{"dynamodb-table-rcu = 1x", "dynamodb-table-rcu: expected an integer"},
		{"persistence-db = oracle", "expected one of dynamodb|mysql|postgresql"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char text[200];

		(void)snprintf(text, sizeof(text), "\n%s\n", wrong[i].line);
		assert_int_equal(load(f, text), -1);
		assert_int_equal(f->err.code, ERR_CONFIG);
		assert_non_null(strstr(f->err.message, "line 2: "));
		assert_non_null(strstr(f->err.message, wrong[i].complaint));
	}
}

static void what_cannot_be_done_is_refused_by_name(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "enable-persistence = true\npersistence-db = mysql\n"), -1);
	assert_non_null(strstr(f->err.message, "enable-persistence: "));
	assert_non_null(strstr(f->err.message, "such as mysql"));
	assert_int_equal(load(f, "enable-gateway = true\nenable-tls-client-auth-gateway = true\n"),
			 -1);
	assert_non_null(strstr(f->err.message, "trust-store-file"));
	assert_int_equal(load(f, "enable-tls-client-auth-gateway = true\n"), 0);
}

static void a_file_that_others_may_write_or_read_is_refused(void **state)
{
	static const struct {
		mode_t mode;
		const char *complaint;
	} wrong[] = {
		{0620, "its group may write it"},
		{0602, "everybody may write it"},
		{0604, "everybody may read it"},
		{0644, "everybody may read it"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		write_conf(f, "", wrong[i].mode);
		assert_int_equal(broker_config_load(&f->config, f->conf, &f->err), -1);
		assert_int_equal(f->err.code, ERR_CONFIG);
		assert_non_null(strstr(f->err.message, wrong[i].complaint));
		assert_non_null(strstr(f->err.message, f->conf));
	}
	write_conf(f, "", 0640);
	assert_int_equal(broker_config_load(&f->config, f->conf, &f->err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_shipped_file_says_what_holds_without_it),
		TEST(a_file_of_the_original_is_understood),
		TEST(seconds_win_over_the_deprecated_hours),
		TEST(a_wrong_value_is_refused_with_line_key_and_what_was_expected),
		TEST(what_cannot_be_done_is_refused_by_name),
		TEST(a_file_that_others_may_write_or_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
