/* Whether the server answers, which it is, and where it listens. */
#include <stdlib.h>
#include <string.h>

#include "agent/engines/dcv.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"

#define OUTPUT_MAX_BYTES (1024UL * 1024)
#define REFRESH_MS 60000

#define SERVER_CONFIG "/etc/dcv/dcv.conf"
#define SERVER_CONFIG_MAX_BYTES (1024UL * 1024)

void dcv_status_set_trouble(struct dcv_engine *dcv, const char *trouble)
{
	struct engine_status *status = &dcv->engine.status;
	bool was_well = !status->trouble;

	if (was_well && !trouble)
		return;
	if (trouble && status->trouble && strcmp(trouble, status->trouble) == 0)
		return;
	free(status->trouble);
	/* without memory the server is well: there is nothing to say, and soon another answer */
	status->trouble = trouble ? strdup(trouble) : NULL;
	if (trouble)
		log_warning("the DCV server cannot be used: %s", trouble);
	else
		log_info("the DCV server answers");
	if (!trouble) {
		dcv->user_option = DCV_USER_UNKNOWN; /* it may be another one now */
		dcv_status_refresh(dcv);
	}
	if (was_well != !trouble)
		dcv->events.changed(dcv->events.userdata);
}

static void set_endpoints(struct dcv_engine *dcv, json_t *endpoints)
{
	struct engine_status *status = &dcv->engine.status;
	bool is_news = endpoints && !json_equal(endpoints, status->endpoints);

	if (is_news) {
		json_decref(status->endpoints);
		status->endpoints = json_incref(endpoints);
	}
	json_decref(endpoints);
	if (is_news)
		dcv->events.changed(dcv->events.userdata);
}

/* A server that does not list them has them in its settings, unless it has told before. */
static void guess_endpoints(struct dcv_engine *dcv)
{
	AUTO(buf_done) struct buf text = {0};
	json_t *endpoints;
	struct error err;

	if (dcv->engine.status.endpoints)
		return;
	if (file_read(SERVER_CONFIG, SERVER_CONFIG_MAX_BYTES, &text, &err) < 0)
		buf_truncate(&text, 0);
	if (dcv_read_config_endpoints(text.data ? text.data : "", &endpoints, &err) == 0)
		set_endpoints(dcv, endpoints);
}

static void on_endpoints(struct buf *output, const struct error *err, void *userdata)
{
	struct dcv_engine *dcv = userdata;
	json_t *endpoints = NULL;
	struct error problem;

	if (output && dcv_read_endpoints(output->data ? output->data : "", output->len, &endpoints,
					 &problem) < 0)
		err = &problem;
	if (endpoints) {
		set_endpoints(dcv, endpoints);
		return;
	}
	log_info("the DCV server's endpoints are not known: %s", err->message);
	guess_endpoints(dcv);
}

static void on_version(struct buf *output, const struct error *err, void *userdata)
{
	struct dcv_engine *dcv = userdata;
	struct engine_status *status = &dcv->engine.status;
	char *version = NULL;
	struct error problem;

	if (output &&
	    dcv_read_version(output->data ? output->data : "", output->len, &version, &problem) < 0)
		err = &problem;
	if (!version) {
		log_info("the DCV server's version is not known: %s", err->message);
		return;
	}
	if (!status->version || strcmp(version, status->version) != 0) {
		free(status->version);
		status->version = TAKE(version);
		log_info("the DCV server is version %s", status->version);
		dcv->events.changed(dcv->events.userdata);
	}
	free(version);
}

static void ask(struct dcv_engine *dcv, const char *command,
		void (*done)(struct buf *output, const struct error *err, void *userdata))
{
	const struct dcv_order order = {
		.pool = DCV_POOL_GENERAL,
		.limit_ms = (unsigned long long)dcv->config->dcv_timeout * 1000,
		.output_max_bytes = OUTPUT_MAX_BYTES,
		.done = done,
		.userdata = dcv,
	};
	struct dcv_arguments arguments = {0};
	struct error err;

	dcv_arguments_add(&arguments, command);
	dcv_arguments_add(&arguments, "--json");
	if (dcv_command_run(dcv->commands, &order, &arguments, NULL, &err) < 0)
		log_error("dcv %s: %s", command, err.message);
}

void dcv_status_refresh(struct dcv_engine *dcv)
{
	ask(dcv, "version", on_version);
	ask(dcv, "list-endpoints", on_endpoints);
	timer_start(dcv->status_timer, REFRESH_MS, 0);
}
