#include "common/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/log.h"

#define WAIT_S 20
#define HEADER_POOL 4096

/* The library's own messages are for its developers; what concerns an administrator we say. */
static void on_lws_log(int level, const char *line)
{
	(void)level;
	log_debug("libwebsockets: %s", line);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct loop *loop = handle->data;

	if (number == SIGHUP) {
		if (loop->on_reload)
			loop->on_reload(loop->userdata);
	} else if (loop->on_terminate) {
		loop->on_terminate(loop->userdata);
	} else {
		loop_stop(loop);
	}
}

static void count_turn(struct loop *loop)
{
	uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(&loop->uv);
	uint64_t took_ns = now_ns - loop->turn_began_ns - (idle_ns - loop->turn_idle_ns);

	if (loop->turn_began_ns > 0)
		histogram_add(&loop->turns, (double)took_ns / 1e9);
	loop->turn_began_ns = now_ns;
	loop->turn_idle_ns = idle_ns;
}

static void on_prepare(uv_prepare_t *handle)
{
	struct loop *loop = handle->data;

	count_turn(loop);
	if (loop->on_turn)
		loop->on_turn(loop->userdata);
}

/* libwebsockets 4.1.6 closes the descriptor of its event pipe twice when it ends. A thread of the pool
 * that looks up a name may get the number in between, and the C library aborts when its socket is
 * closed under it. So lower numbers are kept from before the pipe has its own, and are set free right
 * before the end: the system gives the lowest that is free. */
static void take_reserve(struct loop *loop)
{
	for (size_t i = 0; i < LOOP_RESERVE; i++)
		loop->reserve[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void free_reserve(struct loop *loop)
{
	for (size_t i = 0; i < LOOP_RESERVE; i++)
		close_p(&loop->reserve[i]);
}

static int start_lws(struct loop *loop, struct error *err)
{
	void *loops[] = {&loop->uv};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.pcontext = &loop->lws, /* becomes NULL when the context is gone for good */
		.max_http_header_data = 16384,
		/* Every connection has one from its accept() to the end of its headers, on every
		 * listener; when none is left nobody gets in. They are allocated when needed. */
		.max_http_header_pool = HEADER_POOL,
		.pt_serv_buf_size = 32768,
		/* Of the whole context alone, whatever a vhost says: a client's wait for an answer,
		 * too, which would be 5 s. */
		.timeout_secs = WAIT_S,
	};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	loop->lws = lws_create_context(&info);
	if (!loop->lws)
		return error_set(
			err, ERR_SYSTEM,
			"cannot start libwebsockets (is libwebsockets-evlib-uv installed?)");
	return 0;
}

int loop_init(struct loop *loop, struct error *err)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	int failed;

	take_reserve(loop);
	list_init(&loop->parts);
	failed = uv_loop_init(&loop->uv);
	if (failed)
		return error_set(err, ERR_SYSTEM, "start event loop: %s", uv_strerror(failed));
	(void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
	loop->turns = (struct histogram){.bounds = &histogram_of_requests};
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		(void)uv_signal_init(&loop->uv, &loop->signals[i]);
		loop->signals[i].data = loop;
		(void)uv_signal_start(&loop->signals[i], on_signal, numbers[i]);
	}
	(void)uv_prepare_init(&loop->uv, &loop->turn);
	loop->turn.data = loop;
	(void)uv_prepare_start(&loop->turn, on_prepare);
	uv_unref((uv_handle_t *)&loop->turn); /* nothing to wait for */
	return start_lws(loop, err);
}

void loop_add_part(struct loop *loop, struct loop_part *part)
{
	list_append(&loop->parts, &part->link);
}

void loop_remove_part(struct loop_part *part)
{
	list_remove(&part->link);
}

static void close_parts(struct loop *loop)
{
	list_for_each_safe (part, &loop->parts, struct loop_part, link) {
		list_remove(&part->link);
		part->close(part);
	}
}

void loop_stop(struct loop *loop)
{
	if (loop->is_stopping)
		return;
	loop->is_stopping = true;
	if (loop->on_stop)
		loop->on_stop(loop->userdata);
	for (size_t i = 0; i < ARRAY_SIZE(loop->signals); i++)
		uv_close((uv_handle_t *)&loop->signals[i], NULL);
	uv_close((uv_handle_t *)&loop->turn, NULL);
	close_parts(loop);
	free_reserve(loop);
	if (loop->lws)
		lws_context_destroy(loop->lws);
}

void loop_run(struct loop *loop)
{
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void tell_open_handle(uv_handle_t *handle, void *userdata)
{
	(void)userdata;
	log_debug("left open: a %s handle", uv_handle_type_name(handle->type));
}

void loop_done(struct loop *loop)
{
	loop_stop(loop);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	/* With connections open, the first call only begins to close; they are closed now. */
	if (loop->lws)
		lws_context_destroy(loop->lws);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop->uv) == UV_EBUSY)
		uv_walk(&loop->uv, tell_open_handle, NULL);
}

unsigned long long loop_now_ms(const struct loop *loop)
{
	return uv_now(&loop->uv);
}

struct timer {
	uv_timer_t uv;
	timer_fn fn;
	void *userdata;
};

struct timer *timer_new(struct loop *loop, timer_fn fn, void *userdata)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	(void)uv_timer_init(&loop->uv, &timer->uv);
	timer->fn = fn;
	timer->userdata = userdata;
	return timer;
}

static void on_timer(uv_timer_t *handle)
{
	struct timer *timer = (struct timer *)(void *)handle;

	timer->fn(timer->userdata);
}

void timer_start(struct timer *timer, unsigned long long ms, unsigned long long repeat_ms)
{
	uv_update_time(timer->uv.loop); /* a long turn must not make the time shorter */
	(void)uv_timer_start(&timer->uv, on_timer, ms, repeat_ms);
}

void timer_stop(struct timer *timer)
{
	(void)uv_timer_stop(&timer->uv);
}

bool timer_is_active(const struct timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void timer_free(struct timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

struct job {
	uv_work_t uv;
	void (*work)(void *userdata);
	void (*done)(void *userdata);
	void *userdata;
};

static void run_job(uv_work_t *request)
{
	struct job *job = (struct job *)(void *)request;

	job->work(job->userdata);
}

static void finish_job(uv_work_t *request, int status)
{
	AUTO(free_p) struct job *job = (struct job *)(void *)request;

	(void)status;
	job->done(job->userdata);
}

int loop_work(struct loop *loop, void (*work)(void *userdata), void (*done)(void *userdata),
	      void *userdata, struct error *err)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return error_oom(err);
	job->work = work;
	job->done = done;
	job->userdata = userdata;
	if (uv_queue_work(&loop->uv, &job->uv, run_job, finish_job) == 0)
		return 0;
	free(job);
	return error_set(err, ERR_SYSTEM, "cannot queue work");
}

/* One loop, one thread: nobody else reads meanwhile. */
void loop_lend_bytes(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
	static char bytes[65536];

	(void)handle;
	(void)wanted;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}
