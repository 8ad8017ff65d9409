#include "agent/engines/capture.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/packet-socket.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/number.h"
#include "common/text.h"

#define ANSWER_MAX_BYTES (48UL * 1024 * 1024) /* all images; base64 of them fits a link message */
#define IMAGES_MAX 16

/* How much becomes base64 in one turn of the loop: a fraction of a millisecond. A multiple of three, so
 * that there is no padding in between. */
#define SLICE_BYTES (384UL * 1024)

/* A timer without any would fire again before the loop looks at sockets. */
#define WRITER_PAUSE_MS 1

/* An image as it came, until all of it is in the answer. */
struct image {
	const unsigned char *bytes; /* mapped, NULL when there is none */
	size_t len, at;
	long long creation_ms;
	bool is_primary;
};

struct wanted {
	struct list link; /* capture::wanted */
	struct capture *capture;
	struct answer *answer;
	struct timer *timer;
	char tag[24];
	long long max_width, max_height;
	char format[8];
	bool is_sent;
	bool is_repeated; /* sent once before, to a program that was just going away */
	long long n_images, n_announced; /* that have come, that will */
	long long n_written;             /* that are in the answer */
	size_t n_bytes;                  /* of the images so far */
	struct image images[IMAGES_MAX];
	struct timer *writer; /* the next turn */
	struct buf text;      /* the answer so far */
};

struct capture {
	struct loop *loop;
	char *session_id;
	capture_start_fn start;
	void *userdata;
	struct packet_socket *socket;
	bool is_starting;
	unsigned long long n_tags;
	struct list wanted;
};

static void image_done(struct image *image)
{
	if (image->bytes)
		(void)munmap((void *)(uintptr_t)image->bytes, image->len);
	*image = (struct image){.bytes = NULL};
}

static void drop_images(struct wanted *w)
{
	for (size_t i = 0; i < IMAGES_MAX; i++)
		image_done(&w->images[i]);
	timer_stop(w->writer);
}

/* The end of a request: answered with its text, or with @err. */
static void wanted_finish(struct wanted *w, const struct error *err)
{
	struct answer *answer = w->answer;
	AUTO(buf_done) struct buf text = w->text;

	list_remove(&w->link);
	drop_images(w);
	timer_free(w->timer);
	timer_free(w->writer);
	free(w);
	if (err)
		answer_fail(answer, err);
	else
		answer_succeed(answer, &text);
}

/* Nobody has been asked, or nobody who was asked will answer. */
static void wanted_reset(struct wanted *w)
{
	w->is_sent = false;
	drop_images(w);
	w->n_images = w->n_announced = w->n_written = 0;
	w->n_bytes = 0;
	w->text.len = 0;
}

/* Nothing more is to come; it is being written. */
static bool wanted_has_all(const struct wanted *w)
{
	return w->n_images > 0 && w->n_images == w->n_announced;
}

static void drop_socket(struct capture *capture)
{
	packet_socket_free(capture->socket);
	capture->socket = NULL;
}

static void fail_all(struct capture *capture, const struct error *err)
{
	list_for_each_safe (w, &capture->wanted, struct wanted, link)
		wanted_finish(w, err);
}

/* --- images ------------------------------------------------------------------------------------
 */

static bool looks_like(const unsigned char *bytes, size_t len, const char *format)
{
	static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	static const unsigned char jpeg[] = {0xff, 0xd8, 0xff};

	if (strcmp(format, "png") == 0)
		return len > sizeof(png) && memcmp(bytes, png, sizeof(png)) == 0;
	return len > sizeof(jpeg) && memcmp(bytes, jpeg, sizeof(jpeg)) == 0;
}

/* Without all seals the owner could shorten the file under us, and reading it would be a SIGBUS. */
static int check_descriptor(int fd, size_t max_len, size_t *ret_len, struct error *err)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || (seals & needed) != needed)
		return error_set(err, ERR_INVALID, "image without a sealed descriptor");
	if (fstat(fd, &status) < 0)
		return error_errno(err, "image");
	if (status.st_size <= 0 || (size_t)status.st_size > max_len)
		return error_set(err, ERR_TOO_LARGE, "image of %lld bytes",
				 (long long)status.st_size);
	*ret_len = (size_t)status.st_size;
	return 0;
}

static int map_image(struct wanted *w, struct image *image, int fd, struct error *err)
{
	void *bytes;

	if (check_descriptor(fd, ANSWER_MAX_BYTES - w->n_bytes, &image->len, err) < 0)
		return -1;
	bytes = mmap(NULL, image->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_errno(err, "map image");
	image->bytes = bytes;
	w->n_bytes += image->len;
	if (!looks_like(image->bytes, image->len, w->format))
		return error_set(err, ERR_INVALID, "image is not in the format %s", w->format);
	return 0;
}

static int append_head(struct wanted *w, const struct image *image, struct error *err)
{
	char time[TIME_SIZE];

	time_format(image->creation_ms, time);
	if (w->n_written == 0) {
		if (buf_append_text(&w->text, "{\"SessionScreenshot\":{\"SessionId\":", err) < 0 ||
		    json_append_string(&w->text, w->capture->session_id, err) < 0 ||
		    buf_append_text(&w->text, ",\"Images\":[", err) < 0)
			return -1;
	} else if (buf_append_text(&w->text, ",", err) < 0) {
		return -1;
	}
	if (buf_printf(&w->text, err,
		       "{\"Format\":\"%s\",\"CreationTime\":\"%s\",\"Primary\":%s,\"Data\":\"",
		       w->format, time, image->is_primary ? "true" : "false") < 0)
		return -1;
	return buf_reserve(&w->text, image->len / 3 * 4 + 32, err);
}

static int append_slice(struct wanted *w, struct image *image, size_t len, struct error *err)
{
	if (image->at == 0 && append_head(w, image, err) < 0)
		return -1;
	if (base64_append(&w->text, image->bytes + image->at, len, err) < 0)
		return -1;
	image->at += len;
	if (image->at < image->len)
		return 0;
	image_done(image);
	w->n_written++;
	return buf_append_text(&w->text, "\"}", err);
}

/* One turn's share of what has come. The last one ends the request. */
static void write_images(void *userdata)
{
	struct wanted *w = userdata;
	size_t left = SLICE_BYTES;
	struct error err = {0};

	while (left > 0 && w->n_written < w->n_images) {
		struct image *image = &w->images[w->n_written];
		size_t rest = image->len - image->at, len = rest < left ? rest : left;

		/* Only an image's end may have padding. */
		if (len < rest)
			len -= len % 3;
		if (len == 0)
			break;
		if (append_slice(w, image, len, &err) < 0) {
			wanted_finish(w, &err);
			return;
		}
		left -= len;
	}
	if (w->n_written < w->n_images) {
		timer_start(w->writer, WRITER_PAUSE_MS, 0);
	} else if (w->n_written == w->n_announced) {
		if (buf_append_text(&w->text, "]}}", &err) < 0)
			wanted_finish(w, &err);
		else
			wanted_finish(w, NULL);
	}
}

static void on_image(struct wanted *w, const struct message *message, int fd)
{
	const char *index = message_get(message, "IMAGE"), *count = message_get(message, "COUNT");
	const char *primary = message_get(message, "PRIMARY");
	const char *time_ms = message_get(message, "CREATION_TIME_MS");
	long long position, n_images;
	struct image *image;
	struct error err = {0};

	if (!index || !count || !number_parse(count, 1, IMAGES_MAX, &n_images) ||
	    !number_parse(index, 0, n_images - 1, &position) || position != w->n_images ||
	    (w->n_images > 0 && n_images != w->n_announced)) {
		(void)error_set(&err, ERR_INVALID, "the capture program's answer is in disorder");
		wanted_finish(w, &err);
		return;
	}
	image = &w->images[w->n_images];
	if (!time_ms || !number_parse(time_ms, 0, 253402300799999LL, &image->creation_ms))
		image->creation_ms = time_now_ms();
	image->is_primary = primary && strcmp(primary, "1") == 0;
	if (map_image(w, image, fd, &err) < 0) {
		wanted_finish(w, &err);
		return;
	}
	w->n_announced = n_images;
	w->n_images++;
	if (!timer_is_active(w->writer))
		write_images(w);
}

/* --- the conversation --------------------------------------------------------------------------
 */

static int send_request(struct capture *capture, struct wanted *w, struct error *err)
{
	AUTO(buf_done) struct buf packet = {0};
	char width[24], height[24];

	(void)snprintf(width, sizeof(width), "%lld", w->max_width);
	(void)snprintf(height, sizeof(height), "%lld", w->max_height);
	if (message_add(&packet, "TAG", w->tag, err) < 0 ||
	    message_add(&packet, "FORMAT", w->format, err) < 0 ||
	    message_add(&packet, "MAX_WIDTH", width, err) < 0 ||
	    message_add(&packet, "MAX_HEIGHT", height, err) < 0)
		return -1;
	w->is_sent = true;
	return packet_socket_send(capture->socket, &packet, err);
}

/* Send what waits, and start a program for it when there is none. */
static void pump(struct capture *capture)
{
	struct error err = {0};

	if (list_is_empty(&capture->wanted))
		return;
	if (!capture->socket) {
		if (capture->is_starting)
			return;
		capture->is_starting = true;
		if (capture->start(capture->userdata, &err) < 0) {
			capture->is_starting = false;
			fail_all(capture, &err);
		}
		return;
	}
	list_for_each_safe (w, &capture->wanted, struct wanted, link) {
		if (!w->is_sent && send_request(capture, w, &err) < 0)
			wanted_finish(w, &err);
	}
}

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct capture *capture = userdata;
	const char *tag = message_get(message, "TAG");
	const char *error = message_get(message, "ERROR");
	struct error err;

	list_for_each_safe (w, &capture->wanted, struct wanted, link) {
		if (!tag || strcmp(w->tag, tag) != 0)
			continue;
		if (!error) {
			on_image(w, message, *fd);
			return;
		}
		(void)error_set(&err, ERR_SYSTEM, "screenshot: %s", error);
		wanted_finish(w, &err);
		return;
	}
	log_debug("session %s: screenshot for nobody", capture->session_id);
}

/* A program that goes away idle may cross a request: that one is sent again, once. */
static void on_closed(const struct error *why, void *userdata)
{
	struct capture *capture = userdata;
	struct error err;

	drop_socket(capture);
	(void)error_set(&err, ERR_SYSTEM, "screenshot: the capture program ended (%s)",
			why->message);
	list_for_each_safe (w, &capture->wanted, struct wanted, link) {
		if (wanted_has_all(w))
			continue;
		if (w->is_sent && (w->is_repeated || w->n_images > 0)) {
			wanted_finish(w, &err);
		} else if (w->is_sent) {
			wanted_reset(w);
			w->is_repeated = true;
		}
	}
	pump(capture);
}

static const struct packet_socket_handler handler = {on_packet, on_closed};

void capture_connected(struct capture *capture, int fd)
{
	struct error err = {0};

	capture->is_starting = false;
	drop_socket(capture);
	capture->socket = packet_socket_new(capture->loop, fd, &handler, capture, &err);
	if (!capture->socket)
		fail_all(capture, &err);
	pump(capture);
}

void capture_failed(struct capture *capture, const char *why)
{
	struct error err;

	if (!capture->is_starting)
		return;
	capture->is_starting = false;
	(void)error_set(&err, ERR_SYSTEM, "screenshot: %s", why);
	fail_all(capture, &err);
}

/* The program hangs, or its X server does. Whoever waits behind gets a new program. */
static void on_timeout(void *userdata)
{
	struct wanted *w = userdata;
	struct capture *capture = w->capture;
	struct error err;

	if (w->is_sent) {
		drop_socket(capture);
		list_for_each (other, &capture->wanted, struct wanted, link) {
			if (!wanted_has_all(other))
				wanted_reset(other);
		}
	}
	(void)error_set(&err, ERR_TIMEOUT, "%s", FAILURE_NO_ANSWER);
	wanted_finish(w, &err);
	pump(capture);
}

void capture_request(struct capture *capture, const struct screenshot_wish *wish,
		     struct answer *answer)
{
	struct wanted *w = calloc(1, sizeof(*w));
	struct error err;

	if (w) {
		w->timer = timer_new(capture->loop, on_timeout, w);
		w->writer = timer_new(capture->loop, write_images, w);
	}
	if (!w || !w->timer || !w->writer) {
		if (w) {
			timer_free(w->timer);
			timer_free(w->writer);
		}
		free(w);
		(void)error_oom(&err);
		answer_fail(answer, &err);
		return;
	}
	w->capture = capture;
	w->answer = answer;
	w->max_width = wish->max_width;
	w->max_height = wish->max_height;
	(void)snprintf(w->format, sizeof(w->format), "%s", wish->format);
	(void)snprintf(w->tag, sizeof(w->tag), "%llu", ++capture->n_tags);
	list_append(&capture->wanted, &w->link);
	timer_start(w->timer, wish->limit_ms, 0);
	pump(capture);
}

struct capture *capture_new(struct loop *loop, const char *session_id, capture_start_fn start,
			    void *userdata)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return NULL;
	capture->session_id = strdup(session_id);
	if (!capture->session_id) {
		free(capture);
		return NULL;
	}
	capture->loop = loop;
	capture->start = start;
	capture->userdata = userdata;
	list_init(&capture->wanted);
	return capture;
}

void capture_free(struct capture *capture)
{
	struct error err;

	if (!capture)
		return;
	(void)error_set(&err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION_SCREENSHOT);
	fail_all(capture, &err);
	drop_socket(capture);
	free(capture->session_id);
	free(capture);
}
