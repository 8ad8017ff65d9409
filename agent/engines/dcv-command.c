/* A command goes from waiting to running to over. It is answered as soon as its outcome is known and
 * leaves the pool when its process has ended: one that hangs keeps its place until it is killed. */
#include "agent/engines/dcv-command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sentence.h"
#include "common/cleanup.h"
#include "common/log.h"

#define COMPLAINT_MAX_BYTES 512
#define KILL_AFTER_MS 5000 /* between TERM and KILL */
#define DRAIN_MS 1000      /* a descendant that keeps a pipe open is not waited for longer */
#define CHUNK_BYTES 65536

struct dcv_commands {
	struct loop *loop;
	const char *program;
	char **environment;
	struct timer *start_timer;        /* commands wait, and there is room */
	struct list waiting[N_DCV_POOLS]; /* struct dcv_command::link */
	struct list running[N_DCV_POOLS];
	size_t n_running[N_DCV_POOLS];
	char chunk[CHUNK_BYTES]; /* what is being read; libuv reads one pipe at a time */
};

struct dcv_command {
	struct list link;
	struct dcv_commands *commands; /* NULL when those are gone */
	struct dcv_order order;
	struct dcv_arguments arguments;
	struct timer *timer;
	uv_process_t process;
	uv_pipe_t pipes[2]; /* standard output, standard error */
	unsigned n_handles; /* that are not closed yet */
	unsigned n_open;    /* pipes without an end */
	bool is_started, has_exited, is_answered, is_told_to_end;
	int status; /* exit status, 128 and more for signals */
	struct buf output, complaint;
};

/* --- arguments ---------------------------------------------------------------------------------
 */

void dcv_arguments_add(struct dcv_arguments *arguments, const char *text)
{
	char *copy = strdup(text);

	if (!copy || arguments->n >= DCV_ARGUMENTS_MAX) {
		arguments->is_incomplete = true;
		free(copy);
		return;
	}
	arguments->items[1 + arguments->n++] = copy;
}

void dcv_arguments_add_option(struct dcv_arguments *arguments, const char *name, const char *value)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	if (!value)
		return;
	if (buf_printf(&text, &err, "%s=%s", name, value) < 0)
		arguments->is_incomplete = true;
	else
		dcv_arguments_add(arguments, text.data);
}

void dcv_arguments_add_number(struct dcv_arguments *arguments, const char *name, long long value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", value);
	dcv_arguments_add_option(arguments, name, text);
}

void dcv_arguments_done(struct dcv_arguments *arguments)
{
	for (size_t i = 0; i < arguments->n; i++)
		free(arguments->items[1 + i]);
	*arguments = (struct dcv_arguments){0};
}

/* --- the end of a command ----------------------------------------------------------------------
 */

static void command_free(struct dcv_command *command)
{
	dcv_arguments_done(&command->arguments);
	buf_done(&command->output);
	buf_done(&command->complaint);
	free(command);
}

static void answer(struct dcv_command *command, const struct error *err)
{
	if (command->is_answered)
		return;
	command->is_answered = true;
	command->order.done(err ? NULL : &command->output, err, command->order.userdata);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct dcv_command *command = handle->data;

	if (--command->n_handles == 0)
		command_free(command);
}

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_handle_closed);
}

/* Out of its pool; its memory goes with its last handle. */
static void leave(struct dcv_command *command)
{
	struct dcv_commands *commands = command->commands;
	enum dcv_pool pool = command->order.pool;
	bool was_started = command->is_started;

	command->commands = NULL;
	list_remove(&command->link);
	timer_free(command->timer);
	command->timer = NULL;
	if (command->n_handles == 0) {
		command_free(command);
	} else {
		close_handle((uv_handle_t *)&command->process);
		close_handle((uv_handle_t *)&command->pipes[0]);
		close_handle((uv_handle_t *)&command->pipes[1]);
	}
	if (was_started) {
		commands->n_running[pool]--;
		timer_start(commands->start_timer, 0, 0);
	}
}

static void signal_group(const struct dcv_command *command, int number)
{
	if (command->is_started && command->process.pid > 0)
		(void)kill(-command->process.pid, number);
}

/* TERM now, KILL if that is not enough. */
static void put_to_end(struct dcv_command *command)
{
	if (command->is_told_to_end)
		return;
	command->is_told_to_end = true;
	signal_group(command, SIGTERM);
	timer_start(command->timer, KILL_AFTER_MS, 0);
}

/* The first line that says something, of what it complained or else of what it printed. */
static void explain(const struct dcv_command *command, struct error *err)
{
	const struct buf *said = command->complaint.len > 0 ? &command->complaint
							    : &command->output;
	const char *text = said->data ? said->data : "";
	char line[COMPLAINT_MAX_BYTES];
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strcspn(text, "\r\n");
	len = len < sizeof(line) ? len : sizeof(line) - 1;
	memcpy(line, text, len);
	line[len] = '\0';
	sentence_make_valid(line);
	if (len > 0)
		(void)error_set(err, ERR_SYSTEM, "dcv %s: %s", command->arguments.items[1], line);
	else
		(void)error_set(err, ERR_SYSTEM, "dcv %s: exit status %d without a word",
				command->arguments.items[1], command->status);
}

/* It has exited, and what it printed is complete or not waited for any longer. */
static void finish(struct dcv_command *command)
{
	struct error err = {0};

	if (command->is_told_to_end)
		signal_group(command, SIGKILL); /* whoever of its group is left */
	if (command->status == 0) {
		answer(command, NULL);
	} else if (!command->is_answered) {
		explain(command, &err);
		answer(command, &err);
	}
	leave(command);
}

static void on_timer(void *userdata)
{
	struct dcv_command *command = userdata;
	struct error err;

	if (command->has_exited) {
		finish(command);
		return;
	}
	if (command->is_told_to_end) {
		signal_group(command, SIGKILL);
		return;
	}
	log_warning("dcv %s: no answer within %llu ms", command->arguments.items[1],
		    command->order.limit_ms);
	(void)error_set(&err, ERR_TIMEOUT, "dcv %s: no answer within %llu s",
			command->arguments.items[1], (command->order.limit_ms + 999) / 1000);
	put_to_end(command);
	answer(command, &err);
	if (!command->is_started)
		leave(command);
}

static void on_exit_status(uv_process_t *process, int64_t status, int number)
{
	struct dcv_command *command = process->data;

	command->has_exited = true;
	command->status = number ? 128 + number : (int)status;
	if (command->n_open == 0)
		finish(command);
	else
		timer_start(command->timer, DRAIN_MS, 0);
}

/* --- what it prints ----------------------------------------------------------------------------
 */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct dcv_command *command = handle->data;

	(void)size;
	/* After the pool is gone nothing is read: the handle is closing. */
	*ret = command->commands ? uv_buf_init(command->commands->chunk, CHUNK_BYTES)
				 : uv_buf_init(NULL, 0);
}

static void take_output(struct dcv_command *command, const char *bytes, size_t len)
{
	struct error err;

	if (command->is_answered)
		return;
	if (len > command->order.output_max_bytes - command->output.len)
		(void)error_set(&err, ERR_TOO_LARGE, "dcv %s printed more than %zu bytes",
				command->arguments.items[1], command->order.output_max_bytes);
	else if (buf_append(&command->output, bytes, len, &err) == 0)
		return;
	put_to_end(command);
	answer(command, &err);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
	struct dcv_command *command = stream->data;
	size_t room = COMPLAINT_MAX_BYTES - command->complaint.len;
	struct error err;

	if (n == 0)
		return;
	if (n > 0 && stream == (uv_stream_t *)&command->pipes[0]) {
		take_output(command, chunk->base, (size_t)n);
	} else if (n > 0) {
		(void)buf_append(&command->complaint, chunk->base,
				 (size_t)n < room ? (size_t)n : room, &err);
	} else {
		(void)uv_read_stop(stream);
		if (--command->n_open == 0 && command->has_exited)
			finish(command);
	}
}

/* --- the beginning of a command ----------------------------------------------------------------
 */

static void start_reading(struct dcv_command *command)
{
	for (size_t i = 0; i < 2; i++) {
		if (uv_read_start((uv_stream_t *)&command->pipes[i], on_alloc, on_read) == 0)
			command->n_open++;
	}
}

static void start(struct dcv_command *command)
{
	struct dcv_commands *commands = command->commands;
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&command->pipes[0]},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&command->pipes[1]},
	};
	uv_process_options_t options = {
		.exit_cb = on_exit_status,
		.file = commands->program,
		.args = command->arguments.items,
		.env = commands->environment,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED, /* a group of its own */
		.stdio_count = 3,
		.stdio = stdio,
	};
	struct error err;
	int rc;

	(void)uv_pipe_init(&commands->loop->uv, &command->pipes[0], 0);
	(void)uv_pipe_init(&commands->loop->uv, &command->pipes[1], 0);
	command->pipes[0].data = command->pipes[1].data = command->process.data = command;
	command->n_handles = 3;
	command->is_started = true;
	list_remove(&command->link);
	list_append(&commands->running[command->order.pool], &command->link);
	commands->n_running[command->order.pool]++;
	rc = uv_spawn(&commands->loop->uv, &command->process, &options);
	if (rc == 0) {
		start_reading(command);
		if (!timer_is_active(command->timer))
			timer_start(command->timer, command->order.limit_ms, 0);
		return;
	}
	(void)error_set(&err, ERR_UNREACHABLE, "cannot run %s: %s", commands->program,
			uv_strerror(rc));
	answer(command, &err);
	leave(command);
}

static void on_start(void *userdata)
{
	struct dcv_commands *commands = userdata;

	for (size_t pool = 0; pool < N_DCV_POOLS; pool++) {
		while (commands->n_running[pool] < DCV_COMMANDS_AT_ONCE &&
		       !list_is_empty(&commands->waiting[pool]))
			start(list_entry(commands->waiting[pool].next, struct dcv_command, link));
	}
}

int dcv_command_run(struct dcv_commands *commands, const struct dcv_order *order,
		    struct dcv_arguments *arguments, struct dcv_command **ret_command,
		    struct error *err)
{
	struct dcv_command *command = calloc(1, sizeof(*command));

	if (command)
		command->timer = timer_new(commands->loop, on_timer, command);
	if (!command || !command->timer || arguments->is_incomplete) {
		if (command)
			timer_free(command->timer);
		free(command);
		dcv_arguments_done(arguments);
		return error_oom(err);
	}
	command->commands = commands;
	command->order = *order;
	command->arguments = *arguments;
	command->arguments.items[0] = (char *)commands->program;
	*arguments = (struct dcv_arguments){0};
	if (ret_command)
		*ret_command = command;
	list_append(&commands->waiting[order->pool], &command->link);
	if (order->is_waiting_counted)
		timer_start(command->timer, order->limit_ms, 0);
	/* Not now: whoever orders has not heard of the command yet. */
	timer_start(commands->start_timer, 0, 0);
	return 0;
}

void dcv_command_forget(struct dcv_command *command)
{
	if (!command)
		return;
	command->is_answered = true;
	if (!command->is_started)
		leave(command);
	else if (!command->order.is_change)
		put_to_end(command);
}

/* --- the pools ---------------------------------------------------------------------------------
 */

/* Ours, but with messages in a language that does not depend on how we were started. */
static char **make_environment(void)
{
	static char language[] = "LC_ALL=C.UTF-8";
	size_t n = 0, kept = 0;
	char **copy;

	while (environ[n])
		n++;
	copy = calloc(n + 2, sizeof(char *));
	for (size_t i = 0; copy && i < n; i++) {
		if (strncmp(environ[i], "LC_ALL=", 7) != 0)
			copy[kept++] = environ[i];
	}
	if (copy)
		copy[kept] = language;
	return copy;
}

struct dcv_commands *dcv_commands_new(struct loop *loop, const char *program, struct error *err)
{
	struct dcv_commands *commands = calloc(1, sizeof(*commands));

	if (commands) {
		commands->environment = make_environment();
		commands->start_timer = timer_new(loop, on_start, commands);
	}
	if (!commands || !commands->environment || !commands->start_timer) {
		if (commands)
			timer_free(commands->start_timer);
		free(commands ? (void *)commands->environment : NULL);
		free(commands);
		(void)error_oom(err);
		return NULL;
	}
	commands->loop = loop;
	commands->program = program;
	for (size_t pool = 0; pool < N_DCV_POOLS; pool++) {
		list_init(&commands->waiting[pool]);
		list_init(&commands->running[pool]);
	}
	return commands;
}

/* The loop may run on until the process has been closed, and not longer. */
static void abandon(struct dcv_command *command)
{
	struct error err;

	(void)error_set(&err, ERR_UNAVAILABLE, "the agent stops");
	if (command->order.is_owed)
		answer(command, &err);
	command->is_answered = true;
	if (!command->order.is_change)
		signal_group(command, SIGKILL);
	leave(command);
}

void dcv_commands_free(struct dcv_commands *commands)
{
	if (!commands)
		return;
	for (size_t pool = 0; pool < N_DCV_POOLS; pool++) {
		list_for_each_safe (waiting, &commands->waiting[pool], struct dcv_command, link)
			abandon(waiting);
		list_for_each_safe (running, &commands->running[pool], struct dcv_command, link)
			abandon(running);
	}
	timer_free(commands->start_timer);
	free(commands->environment);
	free(commands);
}
