#include "broker-lite/audit.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define FILE_NAME "audit.log"
#define LINE_ROOM_BYTES 512 /* enough for most */
#define HELD_BYTES (64 << 10)

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

	audit_flush(audit);
	if (audit->file.path && log_file_reopen(&audit->file, &err) < 0)
		log_error("%s", err.message);
}

void audit_close(struct audit *audit)
{
	audit_flush(audit);
	buf_done(&audit->held);
	log_file_close(&audit->file);
}

unsigned long audit_n_dropped(const struct audit *audit)
{
	return audit->file.n_dropped;
}

/* --- a line ------------------------------------------------------------------------------------
 */

/* By hand: a line is made for every change, and building an object first takes five times as long. */

static void append(struct buf *line, const char *before, const char *value, struct error *err)
{
	if (err->code != ERR_NONE || !value || !*value)
		return;
	if (buf_append_text(line, before, err) == 0)
		(void)json_append_string(line, value, err);
}

static void append_who(struct buf *line, const struct audit_entry *entry, struct error *err)
{
	static const char *const kinds[] = {[AUDIT_BROKER] = "broker",
					    [AUDIT_CLIENT] = "client",
					    [AUDIT_COMMAND] = "command",
					    [AUDIT_AGENT] = "agent"};

	append(line, ",\"who\":{\"kind\":", kinds[entry->who], err);
	if (entry->client) {
		append(line, ",\"id\":", entry->client->id, err);
		append(line, ",\"name\":", entry->client->name, err);
	}
	if (entry->who == AUDIT_COMMAND && err->code == ERR_NONE)
		(void)buf_printf(line, err, ",\"uid\":%u%s", entry->uid,
				 entry->uid == 0 ? ",\"name\":\"root\"" : "");
	append(line, ",\"address\":", entry->address, err);
}

/* @n_lost: lines that could not be written; 0: it is not about them. */
static int make_line(const struct audit_entry *entry, unsigned long n_lost, struct buf *ret,
		     struct error *err)
{
	char now[TIME_SIZE];

	time_format(time_now_ms(), now);
	if (buf_reserve(ret, LINE_ROOM_BYTES, err) < 0)
		return -1;
	append(ret, "{\"time\":", now, err);
	append(ret, ",\"what\":", entry->what, err);
	append_who(ret, entry, err);
	append(ret, "},\"outcome\":", entry->has_failed ? "failed" : "done", err);
	append(ret, ",\"session\":", entry->session, err);
	append(ret, ",\"server\":", entry->server, err);
	append(ret, ",\"object\":", entry->object, err);
	append(ret, ",\"reason\":", entry->reason, err);
	append(ret, ",\"request\":", entry->request_id, err);
	if (n_lost > 0 && err->code == ERR_NONE)
		(void)buf_printf(ret, err, ",\"lines\":%lu", n_lost);
	return err->code == ERR_NONE ? buf_append_text(ret, "}\n", err) : -1;
}

void audit_add(struct audit *audit, const struct audit_entry *entry)
{
	size_t len = audit->held.len;
	struct error err = {0};

	if (make_line(entry, 0, &audit->held, &err) == 0) {
		audit->n_held++;
	} else {
		if (audit->held.data)
			buf_truncate(&audit->held, len);
		log_file_drop(&audit->file, 1);
	}
	if (audit->held.len >= HELD_BYTES)
		audit_flush(audit);
}

/* A line of its own, which nobody misses if it is lost. */
static void tell_dropped(struct audit *audit, time_t now)
{
	const struct audit_entry entry = {.what = "LinesDropped", .has_failed = true};
	AUTO(buf_done) struct buf line = {0};
	struct error err = {0};

	if (make_line(&entry, audit->file.n_untold, &line, &err) == 0 &&
	    log_file_try(&audit->file, now, line.data, line.len))
		audit->file.n_untold = 0;
}

void audit_flush(struct audit *audit)
{
	time_t now;

	if (audit->n_held == 0)
		return;
	now = time(NULL);
	if (audit->file.n_untold > 0)
		tell_dropped(audit, now);
	if (!log_file_try(&audit->file, now, audit->held.data, audit->held.len))
		log_file_drop(&audit->file, audit->n_held);
	buf_truncate(&audit->held, 0);
	audit->n_held = 0;
}
