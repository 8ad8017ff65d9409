#include "broker-lite/audit.h"

#include <jansson.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define FILE_NAME "audit.log"

void audit_init(struct audit *audit)
{
	*audit = (struct audit){.file = LOG_FILE_NONE};
}

int audit_open(struct audit *audit, const char *directory, const struct log_rotation *rotation,
	       struct error *err)
{
	return log_file_open(&audit->file, directory, FILE_NAME, rotation, err);
}

void audit_reopen(struct audit *audit)
{
	struct error err;

	if (audit->file.path && log_file_reopen(&audit->file, &err) < 0)
		log_error("%s", err.message);
}

void audit_close(struct audit *audit)
{
	log_file_close(&audit->file);
}

unsigned long audit_n_dropped(const struct audit *audit)
{
	return audit->file.n_dropped;
}

/* --- a line ------------------------------------------------------------------------------------
 */

static void set(json_t *object, const char *key, const char *value)
{
	if (value && *value)
		json_set_text(object, key, value);
}

static json_t *pack_who(const struct audit_entry *entry)
{
	static const char *const kinds[] = {[AUDIT_BROKER] = "broker",
					    [AUDIT_CLIENT] = "client",
					    [AUDIT_COMMAND] = "command",
					    [AUDIT_AGENT] = "agent"};
	json_t *who = json_pack("{s:s}", "kind", kinds[entry->who]);

	if (entry->client) {
		set(who, "id", entry->client->id);
		set(who, "name", entry->client->name);
	}
	if (entry->who == AUDIT_COMMAND) {
		(void)json_object_set_new(who, "uid", json_integer(entry->uid));
		set(who, "name", entry->uid == 0 ? "root" : NULL);
	}
	set(who, "address", entry->address);
	return who;
}

static json_t *pack_entry(const struct audit_entry *entry)
{
	char now[TIME_SIZE];
	json_t *line;

	time_format(time_now_ms(), now);
	line = json_pack("{s:s,s:s,s:o}", "time", now, "what", entry->what, "who", pack_who(entry));
	set(line, "session", entry->session);
	set(line, "server", entry->server);
	set(line, "object", entry->object);
	set(line, "outcome", entry->has_failed ? "failed" : "done");
	set(line, "reason", entry->reason);
	set(line, "request", entry->request_id);
	return line;
}

static int make_line(const json_t *object, struct buf *ret, struct error *err)
{
	if (!object || json_append(ret, object, err) < 0)
		return error_oom(err);
	return buf_append_text(ret, "\n", err);
}

static void tell_dropped(struct audit *audit, time_t now)
{
	const struct audit_entry entry = {.what = "LinesDropped", .has_failed = true};
	json_auto_t *object = pack_entry(&entry);
	AUTO(buf_done) struct buf line = {0};
	struct error err;

	(void)json_object_set_new(object, "lines", json_integer((json_int_t)audit->file.n_untold));
	if (make_line(object, &line, &err) == 0 &&
	    log_file_try(&audit->file, now, line.data, line.len))
		audit->file.n_untold = 0;
}

void audit_write(struct audit *audit, const struct audit_entry *entry)
{
	json_auto_t *object = pack_entry(entry);
	AUTO(buf_done) struct buf line = {0};
	time_t now = time(NULL);
	struct error err;

	if (audit->file.n_untold > 0)
		tell_dropped(audit, now);
	if (make_line(object, &line, &err) < 0)
		log_file_drop(&audit->file);
	else
		log_file_write(&audit->file, now, line.data, line.len);
}
