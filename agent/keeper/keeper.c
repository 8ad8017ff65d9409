#include "agent/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/keeper/leftover.h"
#include "agent/keeper/peers.h"
#include "agent/keeper/protocol.h"
#include "agent/keeper/request.h"
#include "agent/keeper/session.h"
#include "common/cleanup.h"
#include "common/log.h"

#define FIRST_MESSAGE_TIMEOUT_MS 10000

static void say(int fd, const struct buf *packet)
{
	struct peer peer = {.fd = dup(fd)};

	peer_send(&peer, packet, -1);
	peer_drop(&peer);
}

static void say_failed(int fd, const struct error *why)
{
	AUTO(buf_done) struct buf packet = {0};

	if (message_build(&packet, "EVENT", "failed", "REASON", why->message, "CODE",
			  error_wire_name(why->code), NULL))
		say(fd, &packet);
}

static void say_cleaned(int fd, const char *number)
{
	AUTO(buf_done) struct buf packet = {0};

	if (message_build(&packet, "EVENT", "cleaned", "NUMBER", number, NULL))
		say(fd, &packet);
}

static int check(int fd)
{
	AUTO(buf_done) struct buf packet = {0};

	if (message_build(&packet, "EVENT", "checked", NULL))
		say(fd, &packet);
	(void)close(fd);
	return 0;
}

static int receive_request(int fd, struct request *ret, struct error *err)
{
	static char packet[KEEPER_MESSAGE_MAX_BYTES];
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	long long deadline_ms = clock_ms() + FIRST_MESSAGE_TIMEOUT_MS;
	long len = 0;

	while (len == 0) {
		long long left_ms = deadline_ms - clock_ms();

		if (left_ms <= 0)
			return error_set(err, ERR_TIMEOUT, "the peer said nothing");
		if (poll(&poll_fd, 1, (int)left_ms) < 0 && errno != EINTR)
			return error_errno(err, "poll");
		len = socket_receive(fd, packet, sizeof(packet), err);
	}
	return len < 0 ? -1 : request_parse(ret, packet, (size_t)len, err);
}

static int start(const struct options *options, const struct request *request, int fd)
{
	AUTO(agent_config_done) struct agent_config config = {0};
	struct error err = {0};

	if (agent_config_load(&config, options->config_path, &err) < 0) {
		log_error("session %s not started: %s", request->session_id, err.message);
		(void)error_blame_host(&err);
		say_failed(fd, &err);
		(void)close(fd);
		return 1;
	}
	return session_run(options, &config, request, fd);
}

static int clean(const struct options *options, const struct request *request, int fd)
{
	struct error err = {0};
	int rc = leftover_clean(options, request->number, &err);

	if (rc < 0)
		log_error("number %d not cleaned: %s", request->number, err.message);
	if (rc < 0)
		say_failed(fd, &err);
	else
		say_cleaned(fd, request->number_text);
	(void)close(fd);
	return rc < 0;
}

int keeper_serve(const struct options *options, int fd)
{
	AUTO(request_done) struct request request = {0};
	struct error err = {0};

	(void)umask(022);
	if (chdir("/") < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || !peer_may_talk(fd, options)) {
		(void)close(fd);
		return 1;
	}
	if (receive_request(fd, &request, &err) < 0) {
		if (err.code != ERR_UNREACHABLE) {
			log_warning("connection closed: %s", err.message);
			say_failed(fd, &err);
		}
		(void)close(fd);
		return 1;
	}
	switch (request.operation) {
	case OPERATION_START:
		return start(options, &request, fd);
	case OPERATION_CLEAN:
		return clean(options, &request, fd);
	case OPERATION_CHECK:
		return check(fd);
	case OPERATION_STOP:
	case OPERATION_CAPTURE:
	case OPERATION_CONNECT:
	case OPERATION_FILES:
	case OPERATION_USAGE:
	case OPERATION_NOTIFY:
		break;
	}
	(void)error_set(&err, ERR_INVALID, "the first message must be start, clean or check");
	say_failed(fd, &err);
	(void)close(fd);
	return 1;
}
