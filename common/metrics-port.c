#include "common/metrics-port.h"

#include <string.h>

#define PATH "/metrics"

int metrics_text(void (*append)(struct exposition *e, void *userdata), void *userdata,
		 struct buf *ret, struct error *err)
{
	struct exposition e = {.err = {.code = ERR_NONE}};

	append(&e, userdata);
	if (e.err.code != ERR_NONE) {
		buf_done(&e.text);
		*err = e.err;
		return -1;
	}
	*ret = e.text;
	return 0;
}

static void serve(struct http_request *request, void *userdata)
{
	static const struct http_header allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};
	const struct metrics_port *port = userdata;
	struct buf text = {0};
	struct error err = {0};

	if (strcmp(request->path, PATH) != 0)
		(void)error_set(&err, ERR_NOT_FOUND, "the metrics are at " PATH);
	else if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		(void)error_set(&err, ERR_METHOD, PATH " allows GET and HEAD only");
	else
		(void)metrics_text(port->append, port->userdata, &text, &err);
	if (err.code == ERR_NONE)
		http_reply(request, 200, EXPOSITION_TYPE, &text, NULL);
	else
		http_reply_error(request, &err, err.code == ERR_METHOD ? allow : NULL);
}

int metrics_port_open(struct metrics_port *port, struct loop *loop, const char *host,
		      long long number, void (*append)(struct exposition *e, void *userdata),
		      void *userdata, struct error *err)
{
	const struct http_server_options options = {
		.bind_host = host, .port = (int)number, .request = serve, .userdata = port};

	*port = (struct metrics_port){.append = append, .userdata = userdata};
	if (number == 0)
		return 0;
	port->server = http_server_new(loop, &options, err);
	return port->server ? 0 : -1;
}

void metrics_port_done(struct metrics_port *port)
{
	http_server_free(port->server);
	*port = (struct metrics_port){0};
}
