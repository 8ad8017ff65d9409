#include "agent/admission.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http-client.h"
#include "common/http-form.h"
#include "common/json.h"
#include "common/list.h"
#include "common/source-address.h"
#include "common/text.h"

#define ASKING_MAX 64
#define ASKING_PER_SOURCE 16
#define PATH "/agent/validate-authentication-token"

struct admission {
	struct loop *loop;
	const struct agent_config *config;
	const struct token_key *key; /* borrowed */
	struct http_client *client;  /* NULL: there is no broker */
	struct list asking;          /* the broker: struct asking::link */
};

struct asking {
	struct list link; /* admission::asking */
	struct admission *admission;
	char source[SOURCE_ADDRESS_SIZE];
	admission_fn fn;
	void *userdata;
	char *user;
	struct error err;
};

/* --- reading -----------------------------------------------------------------------------------
 */

/* Claims are in the payload: the first part of our own tokens, the second of a JWT. */
char *admission_session_of(const char *token, struct error *err)
{
	const char *end = strrchr(token, '.'), *begin = strchr(token, '.');
	AUTO(buf_done) struct buf part = {0}, text = {0};
	json_auto_t *claims = NULL;
	const char *id;
	char *copy;

	begin = begin && begin != end ? begin + 1 : token;
	if (!end || buf_append(&part, begin, (size_t)(end - begin), err) < 0 || !part.data ||
	    base64_decode(part.data, &text, err) < 0 || !text.data ||
	    json_parse(text.data, text.len, &claims, err) < 0 ||
	    !(id = json_get_text(claims, "sid"))) {
		(void)error_set(err, ERR_UNAUTHORIZED, "that is no token");
		return NULL;
	}
	copy = strdup(id);
	if (!copy)
		(void)error_oom(err);
	return copy;
}

static int append_unescaped(struct buf *buf, const char *text, size_t len, struct error *err)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = {
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

	for (const char *at = text; at < text + len;) {
		const char *before = at;
		char c = *at;

		for (size_t i = 0; c == '&' && i < ARRAY_SIZE(entities) && at == before; i++) {
			if (text_skip(&at, entities[i].name))
				c = entities[i].c;
		}
		if (at == before)
			at++;
		if (buf_append(buf, &c, 1, err) < 0)
			return -1;
	}
	return 0;
}

char *admission_read_verdict(const char *text, struct error *err)
{
	static const char no[] = "<auth result=\"no\">", yes[] = "<auth result=\"yes\"><username>",
			  end[] = "</username></auth>";
	AUTO(buf_done) struct buf user = {0};
	const char *at = text, *stop;

	if (text_skip(&at, no)) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the broker refuses the token");
		return NULL;
	}
	if (!text_skip(&at, yes) || !(stop = strchr(at, '<')) || stop == at ||
	    strcmp(stop, end) != 0) {
		(void)error_set(err, ERR_INVALID, "the broker's answer is not understood");
		return NULL;
	}
	if (append_unescaped(&user, at, (size_t)(stop - at), err) < 0)
		return NULL;
	return buf_steal(&user);
}

/* --- asking ------------------------------------------------------------------------------------
 */

static void asking_free(struct asking *asking)
{
	free(asking->user);
	free(asking);
}

static void tell(void *userdata)
{
	struct asking *asking = userdata;

	asking->fn(asking->user, &asking->err, asking->userdata);
	asking_free(asking);
}

static void on_response(int status, const char *body, size_t len, const struct error *err,
			void *userdata)
{
	struct asking *asking = userdata;

	list_remove(&asking->link);
	if (status == 0)
		asking->err = *err;
	else if (status != 200 || strlen(body) != len)
		(void)error_set(&asking->err, ERR_UNREACHABLE, "the broker answers with status %d",
				status);
	else
		asking->user = admission_read_verdict(body, &asking->err);
	tell(asking);
}

static int append_form(struct buf *form, const struct admission_question *question,
		       struct error *err)
{
	const char *const fields[][2] = {{"sessionId=", question->session_id},
					 {"&authenticationToken=", question->token},
					 {"&clientAddress=", question->address}};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (buf_append_text(form, fields[i][0], err) < 0 ||
		    http_percent_append(form, fields[i][1], err) < 0)
			return -1;
	}
	return 0;
}

/* What is known at once is told when the loop turns. */
static void do_nothing(void *userdata)
{
	(void)userdata;
}

/* Whoever tries tokens without end does so at this host alone, and keeps nobody else from coming in. */
static int check_room(const struct admission *admission, const char *source, struct error *err)
{
	size_t n = 0, n_of_source = 0;

	list_for_each (asking, &admission->asking, struct asking, link) {
		n++;
		n_of_source += strcmp(asking->source, source) == 0;
	}
	if (n >= ASKING_MAX)
		return error_set(err, ERR_LIMIT, "the broker is asked about %d tokens already",
				 ASKING_MAX);
	if (n_of_source >= ASKING_PER_SOURCE)
		return error_set(err, ERR_LIMIT,
				 "the broker is asked about %d tokens from this address already",
				 ASKING_PER_SOURCE);
	return 0;
}

static int ask_broker(struct admission *admission, const struct admission_question *question,
		      struct asking *asking, struct error *err)
{
	AUTO(buf_done) struct buf form = {0};
	struct http_client_request request = {
		.host = admission->config->broker_host,
		.port = (int)admission->config->broker_port,
		.path = PATH,
		.content_type = "application/x-www-form-urlencoded",
	};
	struct error ignored;

	source_address(question->address, asking->source);
	if (check_room(admission, asking->source, err) < 0)
		return -1;
	if (append_form(&form, question, err) < 0)
		return -1;
	request.body = form.data;
	(void)http_client_refresh(admission->client, &ignored); /* the link tells of a failure */
	if (http_client_post(admission->client, &request, on_response, asking, err) < 0)
		return -1;
	list_append(&admission->asking, &asking->link);
	return 0;
}

static int begin(struct admission *admission, const struct admission_question *question,
		 struct asking *asking, struct error *err)
{
	asking->user = token_check(admission->key, question->token, question->session_id,
				   time_now_ms(), &asking->err);
	if (!asking->user && admission->client)
		return ask_broker(admission, question, asking, err);
	return loop_work(admission->loop, do_nothing, tell, asking, err);
}

int admission_ask(struct admission *admission, const struct admission_question *question,
		  admission_fn fn, void *userdata, struct error *err)
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (!asking)
		return error_oom(err);
	asking->admission = admission;
	asking->fn = fn;
	asking->userdata = userdata;
	if (begin(admission, question, asking, err) == 0)
		return 0;
	asking_free(asking);
	return -1;
}

struct admission *admission_new(struct loop *loop, const struct agent_config *config,
				const struct token_key *key, struct error *err)
{
	struct admission *admission = calloc(1, sizeof(*admission));
	const struct http_client_options options = {.ca_file = config->ca_file,
						    .is_strict = config->tls_strict};

	if (!admission) {
		(void)error_oom(err);
		return NULL;
	}
	admission->loop = loop;
	admission->config = config;
	admission->key = key;
	list_init(&admission->asking);
	if (config->broker_host) {
		admission->client = http_client_new(loop, &options, err);
		if (!admission->client) {
			free(admission);
			return NULL;
		}
	}
	return admission;
}

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	http_client_free(admission->client);
	free(admission);
}
