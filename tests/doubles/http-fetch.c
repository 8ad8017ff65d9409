/* A test double: the smallest program over common/http-client. It posts once and prints what came
 * of it: "STATUS BODY", or "failed: " and the reason.
 *
 *     http-fetch [--ca FILE] [--lax] HOST PORT
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/http-client.h"
#include "common/log.h"
#include "common/number.h"

static void on_response(int status, const char *body, size_t len, const struct error *err,
			void *userdata)
{
	if (err)
		printf("failed: %s\n", err->message);
	else
		printf("%d %.*s\n", status, (int)len, body);
	loop_stop(userdata);
}

static int fetch(const struct http_client_options *options, const char *host, int port,
		 struct error *err)
{
	const struct http_client_request request = {
		.host = host, .port = port, .path = "/", .body = "x", .content_type = "text/plain"};
	struct loop loop = {0};
	struct http_client *client = NULL;
	int result = loop_init(&loop, err);

	if (result == 0)
		client = http_client_new(&loop, options, err);
	if (result == 0)
		result = client ? http_client_post(client, &request, on_response, &loop, err) : -1;
	if (result == 0)
		loop_run(&loop);
	loop_done(&loop);
	http_client_free(client);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"ca", required_argument, NULL, 'c'},
		{"lax", no_argument, NULL, 'l'},
		{0},
	};
	struct http_client_options options = {.is_strict = true};
	struct error err;
	long long port;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'c')
			options.ca_file = optarg;
		else if (option == 'l')
			options.is_strict = false;
		else
			return 2;
	}
	if (argc - optind != 2 || !number_parse(argv[optind + 1], 1, 65535, &port))
		return 2;
	if (fetch(&options, argv[optind], (int)port, &err) == 0)
		return 0;
	log_error("%s", err.message);
	return 1;
}
