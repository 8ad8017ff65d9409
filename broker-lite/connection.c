#include "broker-lite/connection.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http-form.h"
#include "common/json.h"
#include "common/log.h"

#define AUDIENCE "connection"
#define FORM_MAX_BYTES 16384

static const char *created(const struct session *session)
{
	const char *text = json_get_text(session->attributes, "CreationTime");

	return text ? text : "";
}

int connection_token_append(const struct connection_tokens *tokens, const struct session *session,
			    const char *user, struct buf *ret, struct error *err)
{
	/* "cre" tells a session from a later one of the same id. */
	json_auto_t *claims = json_pack("{s:s,s:s,s:s}", "sid", session->id, "sub", user, "cre",
					created(session));

	if (!claims)
		return error_set(err, ERR_INVALID, "the user's name is not UTF-8");
	return key_ring_sign(tokens->keys, claims, AUDIENCE, tokens->life_s, ret, err);
}

static const struct session *find_session(const struct session_list *list, const char *id,
					  const char *creation_time)
{
	for (size_t i = session_list_position(list, id, ""); i < list->by_id.n; i++) {
		const struct session *session = list->by_id.items[i];

		if (strcmp(session->id, id) != 0)
			break;
		if (!session->is_hidden && (session->state == READY || session->state == UNKNOWN) &&
		    strcmp(created(session), creation_time) == 0)
			return session;
	}
	return NULL;
}

int connection_token_check(const struct connection_tokens *tokens, const char *id,
			   const char *token, char **ret_user, struct error *err)
{
	json_auto_t *claims = NULL;
	const char *session_id, *user, *creation_time;

	if (key_ring_verify(tokens->keys, token, AUDIENCE, &claims, err) < 0)
		return error_set(err, ERR_DENIED, "%s", err->message);
	session_id = json_get_text(claims, "sid");
	user = json_get_text(claims, "sub");
	creation_time = json_get_text(claims, "cre");
	if (!session_id || !user || !creation_time || strcmp(session_id, id) != 0)
		return error_set(err, ERR_DENIED, "the token is for another session");
	if (!find_session(tokens->sessions, id, creation_time))
		return error_set(err, ERR_DENIED, "the session is not there or not ready");
	*ret_user = strdup(user);
	return *ret_user ? 0 : error_oom(err);
}

static int append_xml_text(struct buf *buf, const char *text, struct error *err)
{
	static const char *const escapes[128] = {['&'] = "&amp;",
						 ['<'] = "&lt;",
						 ['>'] = "&gt;",
						 ['"'] = "&quot;",
						 ['\''] = "&apos;"};

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		const char *escape = c < 128 ? escapes[c] : NULL;

		/* Control characters have no form in XML 1.0. */
		if (c < 0x20 && c != '\t')
			escape = "?";
		if (escape ? buf_append_text(buf, escape, err) < 0
			   : buf_append(buf, text, 1, err) < 0)
			return -1;
	}
	return 0;
}

static int write_verdict(struct buf *body, const char *user, struct error *err)
{
	if (!user)
		return buf_append_text(body,
				       "<auth result=\"no\"><message>The token is not valid"
				       "</message></auth>",
				       err);
	if (buf_append_text(body, "<auth result=\"yes\"><username>", err) < 0 ||
	    append_xml_text(body, user, err) < 0)
		return -1;
	return buf_append_text(body, "</username></auth>", err);
}

void connection_serve_check(struct connection_tokens *tokens, struct http_request *request)
{
	const char *form = request->body.data ? request->body.data : "";
	AUTO(free_p) char *id = NULL;
	AUTO(free_p) char *token = NULL;
	AUTO(free_p) char *user = NULL;
	struct buf body = {0};
	struct error err = {0};

	if (request->body.len <= FORM_MAX_BYTES && strlen(form) == request->body.len) {
		id = http_form_value(form, "sessionId");
		token = http_form_value(form, "authenticationToken");
	}
	if (!id || !token)
		(void)error_set(&err, ERR_INVALID, "the form lacks sessionId or token");
	else
		(void)connection_token_check(tokens, id, token, &user, &err);
	if (user)
		log_info("session %s: a token of user %s is shown (peer=%s)", id, user,
			 request->peer_address);
	else if (log_limit_passes(&tokens->refusals, "connection tokens refused"))
		log_warning("session %s: a token is refused: %s (peer=%s)", id ? id : "?",
			    err.message, request->peer_address);
	if (write_verdict(&body, user, &err) < 0)
		buf_done(&body);
	http_reply(request, 200, "text/xml", &body, NULL);
}
