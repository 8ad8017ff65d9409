#include "agent/viewer/storage.h"

#include "common/cleanup.h"
#include "common/log.h"

void storage_init(struct storage *storage, struct loop *loop)
{
	*storage = (struct storage){.loop = loop};
	list_init(&storage->waiting);
}

void storage_request_done(struct storage_request *request)
{
	list_remove(&request->link);
	buf_done(&request->packet);
	close_p(&request->stream);
}

static void fail(struct storage_request *request)
{
	storage_request_done(request);
	request->failed(request);
}

static void fail_waiting(struct storage *storage)
{
	storage->asked = NULL;
	list_for_each_safe (request, &storage->waiting, struct storage_request, link)
		fail(request);
}

void storage_done(struct storage *storage)
{
	packet_socket_free(storage->program);
	storage->program = NULL;
	fail_waiting(storage);
}

static void send_now(struct storage *storage, struct storage_request *request)
{
	struct error err;

	if (packet_socket_send_fd(storage->program, &request->packet, request->stream, &err) == 0) {
		storage_request_done(request);
		return;
	}
	log_warning("a session's files: %s", err.message);
	fail(request);
}

void storage_send(struct storage *storage, struct storage_request *request, struct visitor *visitor)
{
	struct error err;

	list_init(&request->link);
	if (storage->program) {
		send_now(storage, request);
		return;
	}
	if (!storage->asked && vouch_want_files(visitor, &err) < 0) {
		fail(request);
		return;
	}
	if (!storage->asked)
		storage->asked = visitor;
	list_append(&storage->waiting, &request->link);
}

/* It says nothing here: answers come on the streams. */
static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct storage *storage = userdata;

	(void)message;
	(void)fd;
	packet_socket_free(TAKE(storage->program));
}

static void on_closed(const struct error *why, void *userdata)
{
	struct storage *storage = userdata;

	(void)why; /* the session's log tells */
	packet_socket_free(TAKE(storage->program));
}

void storage_connected(struct storage *storage, int fd)
{
	static const struct packet_socket_handler handler = {on_packet, on_closed};
	struct error err;

	if (fd >= 0 && !storage->program)
		storage->program =
			packet_socket_new(storage->loop, TAKE_FD(fd), &handler, storage, &err);
	close_p(&fd);
	storage->asked = NULL;
	list_for_each_safe (request, &storage->waiting, struct storage_request, link) {
		list_remove(&request->link);
		if (storage->program)
			send_now(storage, request);
		else
			fail(request);
	}
}

void storage_forget(struct storage *storage, const struct visitor *visitor)
{
	if (storage->asked == visitor)
		fail_waiting(storage);
}
