#include "ctl/print-details.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "ctl/print.h"
#include "ctl/visible.h"

/* A fact that is not known is left out. */
static int add_text(struct buf *out, const char *what, const char *text, struct error *err)
{
	if (!text || !*text)
		return 0;
	if (buf_printf(out, err, "%-20s", what) < 0 || visible_append(out, text, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

static int add_number(struct buf *out, const char *what, const json_t *number, struct error *err)
{
	if (!json_is_integer(number))
		return 0;
	return buf_printf(out, err, "%-20s%" JSON_INTEGER_FORMAT "\n", what,
			  json_integer_value(number));
}

/* "gnome.sh, running": what the agent of this host tells of a program. */
static int add_program(struct buf *out, const char *what, const json_t *program,
		       const char *without_file, struct error *err)
{
	const char *file = json_get_text(program, "File"), *status;
	AUTO(buf_done) struct buf text = {0};

	if (!program)
		return 0;
	status = json_get_text(program, "Status");
	if (buf_printf(&text, err, "%s%s%s", file ? file : without_file, status ? ", " : "",
		       status ? status : "") < 0)
		return -1;
	return add_text(out, what, text.data, err);
}

/* Members of the API that are texts, in the order in which they are shown. */
static const struct {
	const char *what, *member;
} texts[] = {
	{"Session", "Id"},
	{"Name", "Name"},
	{"Owner", "Owner"},
	{"Type", "Type"},
	{"State", "State"},
	{"Substate", "Substate"},
	{"Reason", "StateReason"},
	{"Created", "CreationTime"},
	{"Last disconnection", "LastDisconnectionTime"},
	{"Storage root", "StorageRoot"},
};

static int add_session(struct buf *out, const json_t *session, struct error *err)
{
	const json_t *local = json_object_get(session, "Local");
	const json_t *server = json_object_get(session, "Server");

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (add_text(out, texts[i].what, json_get_text(session, texts[i].member), err) < 0)
			return -1;
	}
	if (add_text(out, "Server", json_get_text(server, "Hostname"), err) < 0 ||
	    add_text(out, "Address", json_get_text(server, "Ip"), err) < 0 ||
	    add_number(out, "Connections", json_object_get(session, "NumOfConnections"), err) < 0 ||
	    add_number(out, "Most clients", json_object_get(session, "MaxConcurrentClients"), err) <
		    0)
		return -1;
	if (add_program(out, "Init file", json_object_get(local, "Init"), "the host's desktop",
			err) < 0)
		return -1;
	return add_program(out, "Autorun file", json_object_get(local, "Autorun"), "-", err);
}

int print_details(const json_t *answer, struct buf *out, struct error *err)
{
	const json_t *sessions = json_object_get(answer, "Sessions"), *session;
	size_t i;

	if (!json_is_array(sessions))
		return error_set(err, ERR_INVALID, "the answer has no Sessions");
	json_array_foreach(sessions, i, session)
	{
		if ((i > 0 && buf_append_text(out, "\n", err) < 0) ||
		    add_session(out, session, err) < 0)
			return -1;
	}
	return print_next_page(answer, out, err);
}
