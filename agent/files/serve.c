#include "agent/files/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/files/download.h"
#include "agent/files/file-request.h"
#include "agent/files/listing.h"
#include "agent/files/protocol.h"
#include "agent/files/reply.h"
#include "agent/files/upload.h"
#include "common/cleanup.h"

#define PACKET_MAX_BYTES 65536
#define STACK_BYTES (256UL * 1024)

struct files {
	struct storage_root root;
	const char *home;
	atomic_uint n_serving;
};

struct job {
	struct files *files;
	struct file_request request;
	int stream;
};

static void job_free(struct job *job)
{
	file_request_done(&job->request);
	free(job);
}

static int (*const operations[N_FILE_OPERATIONS])(const struct storage_root *root,
						  const struct file_request *request, int stream,
						  struct error *err) = {
	[FILE_LIST] = listing_serve, [FILE_GET] = download_serve, [FILE_PART] = upload_serve,
	[FILE_PUT] = upload_serve,   [FILE_DROP] = upload_serve,
};

/* What nobody has read would make the system throw away our last bytes. */
static void end_stream(int stream)
{
	char rest[4096];

	(void)shutdown(stream, SHUT_RD);
	while (recv(stream, rest, sizeof(rest), 0) > 0)
		;
	(void)close(stream);
}

static void refuse(int stream, const struct error *why)
{
	(void)reply_error(stream, why, -1);
	end_stream(stream);
}

static void *serve_job(void *userdata)
{
	struct job *job = userdata;
	struct files *files = job->files;
	struct error err;

	if (operations[job->request.operation](&files->root, &job->request, job->stream, &err) < 0)
		(void)reply_error(job->stream, &err, -1);
	end_stream(job->stream);
	job_free(job);
	atomic_fetch_sub(&files->n_serving, 1);
	return NULL;
}

static int start_job(struct job *job, struct error *err)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int result;

	if (atomic_load(&job->files->n_serving) >= FILES_REQUESTS_MAX)
		return error_set(err, ERR_UNAVAILABLE, "more than %d requests at a time",
				 FILES_REQUESTS_MAX);
	if (pthread_attr_init(&attributes) != 0)
		return error_oom(err);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&job->files->n_serving, 1);
	result = pthread_create(&thread, &attributes, serve_job, job);
	(void)pthread_attr_destroy(&attributes);
	if (result == 0)
		return 0;
	atomic_fetch_sub(&job->files->n_serving, 1);
	errno = result;
	return error_errno(err, "start a thread");
}

static void take_request(struct files *files, const char *packet, size_t len, int stream)
{
	struct job *job = calloc(1, sizeof(*job));
	struct error err = {0};

	if (!job) {
		(void)close(stream);
		return;
	}
	job->files = files;
	job->stream = stream;
	if (storage_root_find(&files->root, files->home, &err) == 0 &&
	    file_request_parse(&job->request, packet, len, &err) == 0 && start_job(job, &err) == 0)
		return;
	refuse(stream, &err);
	job_free(job);
}

/* One packet with its stream. 0: the end. */
static ssize_t receive(int control, char *packet, int *ret_stream)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	struct iovec part = {packet, PACKET_MAX_BYTES};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = space.bytes,
				.msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t n = recvmsg(control, &header, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;

	*ret_stream = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_stream, CMSG_DATA(c), sizeof(int));
	return n;
}

int files_serve(int control, const char *root, const char *home, struct error *err)
{
	static char packet[PACKET_MAX_BYTES];
	static struct files files; /* of threads, which may outlive this function a little */
	int stream;

	files.root = (struct storage_root){.text = root, .fd = -1};
	files.home = home;

	for (;;) {
		ssize_t n = receive(control, packet, &stream);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "receive");
		if (n == 0)
			return 0; /* the threads go with the process */
		if (stream >= 0)
			take_request(&files, packet, (size_t)n, stream);
	}
}
