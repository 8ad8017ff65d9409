/* The body of a page of 1,000 servers, as DescribeServers makes it, against jansson's encoding of the
 * same document. Prints a ratio of one run, both sides interleaved, medians. With an argument: writes
 * one server into that file, for api.py to make its fleet of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker-lite/broker.h"
#include "broker-lite/operation.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/requests.h"

#define N_SERVERS 1000
#define ROUNDS 31

static const char server_text_format[] =
	"{\"Id\":\"Y2FkJTA0ZC1ob3N0LTEwLjAuMC4yMS0wMDExMjIzMzQ0NTU2Njc3ODg5OWFhYmI%04d\","
	"\"Hostname\":\"render-%04d.lab.example\",\"DefaultDnsName\":\"render-%04d.lab.example\","
	"\"Ip\":\"10.0.12.34\",\"Port\":\"8443\",\"WebUrlPath\":\"/\",\"Version\":\"2023.1.16220\","
	"\"SessionManagerAgentVersion\":\"2023.1.732\",\"Availability\":\"AVAILABLE\","
	"\"ConsoleSessionCount\":0,\"VirtualSessionCount\":0,\"Endpoints\":[{\"IpAddress\":"
	"\"10.0.12.34\",\"Port\":8443,\"WebUrlPath\":\"/\",\"Protocol\":\"HTTP\"},{\"IpAddress\":"
	"\"10.0.12.34\",\"Port\":8443,\"Protocol\":\"QUIC\"}],\"Host\":{\"Os\":{\"Family\":"
	"\"linux\",\"Name\":\"Debian GNU/Linux 12 (bookworm)\",\"Version\":\"12\","
	"\"KernelVersion\":\"6.1.0-18-amd64\"},\"Memory\":{\"TotalBytes\":68719476736,"
	"\"UsedBytes\":12884901888},\"Swap\":{\"TotalBytes\":8589934592,\"UsedBytes\":0},"
	"\"CpuInfo\":{\"Vendor\":\"AuthenticAMD\",\"ModelName\":\"AMD EPYC 7R13\","
	"\"Architecture\":\"x86_64\",\"NumberOfCpus\":16,\"PhysicalCoresPerCpu\":8},"
	"\"CpuLoadAverage\":{\"OneMinute\":1.25,\"FiveMinutes\":0.75,\"FifteenMinutes\":0.5},"
	"\"Gpus\":[{\"Vendor\":\"NVIDIA\",\"ModelName\":\"A10G\"}],\"LoggedInUsers\":"
	"[{\"Username\":\"mira\"}]},\"Tags\":[{\"Key\":\"dcv:os-family\",\"Value\":\"linux\"},"
	"{\"Key\":\"public_ipv4\",\"Value\":\"203.0.113.17\"},{\"Key\":\"pool\",\"Value\":"
	"\"render\"},{\"Key\":\"town\",\"Value\":\"Torino\"}]}";

/* What the operation answers is kept. */
struct sink {
	struct answer answer; /* first */
	struct buf text;
};

static void keep(struct answer *answer, struct buf *text, const struct error *err)
{
	struct sink *sink = (struct sink *)(void *)answer;

	if (err) {
		(void)fprintf(stderr, "page: %s\n", err->message);
		exit(1);
	}
	buf_done(&sink->text);
	sink->text = *text;
	*text = (struct buf){0};
}

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static int add_server(struct server_list *list, int number, struct error *err)
{
	char text[4096], id[32];
	int len = snprintf(text, sizeof(text), server_text_format, number, number, number);
	json_auto_t *report = NULL;
	struct server *server;

	(void)snprintf(id, sizeof(id), "server-%04d", number);
	server = server_list_obtain(list, id, err);
	if (!server || json_parse(text, (size_t)len, &report, err) < 0)
		return -1;
	return server_list_set_report(list, server, report, err);
}

static int measure(struct broker *broker, struct error *err)
{
	struct sink sink = {.answer.give = keep};
	const struct describe_servers_request request = {.max_results = N_SERVERS};
	json_auto_t *page = NULL;
	double ours[ROUNDS], theirs[ROUNDS];
	size_t len;

	operation_describe_servers(broker, &request, &sink.answer);
	len = sink.text.len;
	if (json_parse(sink.text.data, len, &page, err) < 0)
		return -1;
	for (int i = 0; i < ROUNDS; i++) {
		AUTO(free_p) char *dumped = NULL;
		double start = now_us();

		operation_describe_servers(broker, &request, &sink.answer);
		ours[i] = now_us() - start;
		start = now_us();
		dumped = json_dumps(page, JSON_COMPACT);
		theirs[i] = now_us() - start;
		if (!dumped || strlen(dumped) != len)
			return error_set(err, ERR_SYSTEM, "not the same document");
	}
	buf_done(&sink.text);
	printf("%-58s %6.1f   (%.0f us - %.0f us, %zu bytes, goal 20)\n",
	       "page of 1,000 servers: time of jansson / ours", median(theirs) / median(ours),
	       median(theirs), median(ours), len);
	return 0;
}

static int write_server(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fprintf(file, server_text_format, 1, 1, 1) < 0 || fclose(file) != 0)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	AUTO(free_p) struct broker *broker = calloc(1, sizeof(*broker));
	struct error err = {0};
	int result = 0;

	if (argc > 1)
		return write_server(argv[1]);
	if (!broker)
		return 1;
	server_list_init(&broker->fleet.servers, NULL);
	for (int i = 0; i < N_SERVERS && result == 0; i++)
		result = add_server(&broker->fleet.servers, i, &err);
	if (result == 0)
		result = measure(broker, &err);
	if (result < 0)
		(void)fprintf(stderr, "page: %s\n", err.message);
	server_list_done(&broker->fleet.servers);
	return result < 0;
}
