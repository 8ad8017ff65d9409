#include "agent/ec2.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/http-client.h"
#include "common/json.h"
#include "common/log.h"

#define ADDRESS "169.254.169.254"
#define TOKEN_PATH "/latest/api/token"
#define DOCUMENT_PATH "/latest/dynamic/instance-identity/document"
#define TOKEN_LIFE_S "60"
#define TOKEN_MAX_BYTES 1024
#define TIMEOUT_S 2

/* An instance whose network comes up late has its metadata later. */
#define RETRY_LEAST_MS 5000
#define RETRY_MOST_MS 600000

struct ec2 {
	struct http_client *client;
	struct timer *timer;
	enum ec2_firmware firmware;
	unsigned long long retry_ms;
	ec2_fn fn;
	void *userdata;
};

/* --- firmware ----------------------------------------------------------------------------------
 */

static bool says(const char *root, const char *path, const char *what)
{
	char line[128];

	return host_file_line(root, line, sizeof(line), "%s", path) && strcasestr(line, what);
}

enum ec2_firmware ec2_look_at_firmware(const char *root)
{
	char line[128];

	/* Nitro and bare metal; Xen with its version of the firmware; Xen without DMI */
	if (says(root, "/sys/class/dmi/id/sys_vendor", "Amazon EC2") ||
	    says(root, "/sys/class/dmi/id/bios_version", "amazon"))
		return EC2_IS;
	if (host_file_line(root, line, sizeof(line), "/sys/hypervisor/uuid") &&
	    strncasecmp(line, "ec2", 3) == 0)
		return EC2_IS;
	return host_file_line(root, line, sizeof(line), "/sys/class/dmi/id/sys_vendor")
		       ? EC2_IS_NOT
		       : EC2_UNKNOWN;
}

/* --- metadata ----------------------------------------------------------------------------------
 */

json_t *ec2_read_document(const char *text, size_t len, struct error *err)
{
	json_auto_t *document = NULL;
	const char *region, *type, *id, *image;
	json_t *aws;

	if (json_parse(text, len, &document, err) < 0)
		return NULL;
	region = json_get_text(document, "region");
	type = json_get_text(document, "instanceType");
	id = json_get_text(document, "instanceId");
	image = json_get_text(document, "imageId");
	if (!region || !region[0] || !type || !type[0] || !id || strncmp(id, "i-", 2) != 0 ||
	    !image || !image[0]) {
		(void)error_set(err, ERR_INVALID, "it is no instance identity document");
		return NULL;
	}
	aws = json_pack("{s:s,s:s,s:s,s:s}", "Region", region, "EC2InstanceType", type,
			"EC2InstanceId", id, "EC2ImageId", image);
	if (!aws)
		(void)error_oom(err);
	return aws;
}

/* Off EC2 nobody needs to read that it is not there. */
static void fail(struct ec2 *ec2, const struct error *err)
{
	if (ec2->firmware != EC2_IS) {
		log_debug("no EC2 instance: %s", err->message);
		return;
	}
	log_warning("instance metadata of EC2: %s", err->message);
	timer_start(ec2->timer, ec2->retry_ms, 0);
	ec2->retry_ms = ec2->retry_ms * 2 < RETRY_MOST_MS ? ec2->retry_ms * 2 : RETRY_MOST_MS;
}

static void on_document(int status, const char *body, size_t len, const struct error *failure,
			void *userdata)
{
	struct ec2 *ec2 = userdata;
	struct error err;
	json_t *aws = NULL;

	if (failure)
		err = *failure;
	else if (status != 200)
		(void)error_set(&err, ERR_INVALID, "the identity document: HTTP status %d", status);
	else
		aws = ec2_read_document(body, len, &err);
	if (aws)
		ec2->fn(aws, ec2->userdata);
	else
		fail(ec2, &err);
}

/* It goes into a header, and comes from whoever answered. */
static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)text[i]))
			return false;
	}
	return len > 0 && len <= TOKEN_MAX_BYTES;
}

static void on_token(int status, const char *body, size_t len, const struct error *failure,
		     void *userdata)
{
	struct ec2 *ec2 = userdata;
	const struct http_client_request request = {.host = ADDRESS,
						    .port = 80,
						    .path = DOCUMENT_PATH,
						    .header = "x-aws-ec2-metadata-token:",
						    .header_value = body};
	struct error err;

	if (failure)
		err = *failure;
	else if (status != 200 || !is_token(body, len))
		(void)error_set(&err, ERR_INVALID, "no token: HTTP status %d", status);
	else if (http_client_call(ec2->client, "GET", &request, on_document, ec2, &err) == 0)
		return;
	fail(ec2, &err);
}

static void ask(void *userdata)
{
	struct ec2 *ec2 = userdata;
	const struct http_client_request request = {
		.host = ADDRESS,
		.port = 80,
		.path = TOKEN_PATH,
		.header = "x-aws-ec2-metadata-token-ttl-seconds:",
		.header_value = TOKEN_LIFE_S};
	struct error err;

	if (http_client_call(ec2->client, "PUT", &request, on_token, ec2, &err) < 0)
		fail(ec2, &err);
}

struct ec2 *ec2_new(struct loop *loop, ec2_fn fn, void *userdata, struct error *err)
{
	const struct http_client_options options = {.is_plain = true, .timeout_s = TIMEOUT_S};
	struct ec2 *ec2 = calloc(1, sizeof(*ec2));

	if (!ec2) {
		(void)error_oom(err);
		return NULL;
	}
	ec2->fn = fn;
	ec2->userdata = userdata;
	ec2->retry_ms = RETRY_LEAST_MS;
	ec2->firmware = ec2_look_at_firmware("");
	if (ec2->firmware == EC2_IS_NOT)
		return ec2;
	ec2->client = http_client_new(loop, &options, err);
	ec2->timer = timer_new(loop, ask, ec2);
	if (!ec2->client || !ec2->timer) {
		if (ec2->client)
			(void)error_oom(err);
		ec2_stop(ec2);
		ec2_free(ec2);
		return NULL;
	}
	timer_start(ec2->timer, 0, 0);
	return ec2;
}

void ec2_stop(struct ec2 *ec2)
{
	if (!ec2)
		return;
	timer_free(ec2->timer);
	ec2->timer = NULL;
}

void ec2_free(struct ec2 *ec2)
{
	if (!ec2)
		return;
	http_client_free(ec2->client);
	free(ec2);
}
