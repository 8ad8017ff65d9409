#include "broker-lite/claims.h"

#include <stdbool.h>
#include <string.h>

#include "broker-lite/token.h"
#include "common/json.h"

#define TIME_MAX_S 253402300799.0 /* the end of the year 9999; above it a number is no time */

/* A NumericDate may have a fraction. False: there is a claim of the name, and it is no time. */
static bool read_time(const json_t *claims, const char *name, bool *ret_is_there, long long *ret_s)
{
	const json_t *claim = json_object_get(claims, name);
	double seconds = json_number_value(claim);

	*ret_is_there = claim != NULL;
	if (!claim)
		return true;
	if (!json_is_number(claim) || !(seconds >= 0 && seconds <= TIME_MAX_S))
		return false;
	*ret_s = (long long)seconds;
	return true;
}

static int check_begin(const json_t *claims, const char *name, long long now_s, struct error *err)
{
	bool is_there;
	long long begin_s;

	if (!read_time(claims, name, &is_there, &begin_s))
		return error_set(err, ERR_UNAUTHORIZED, "%s is not a time", name);
	if (is_there && begin_s > now_s + TOKEN_SKEW_S)
		return error_set(err, ERR_UNAUTHORIZED, "not yet valid (%s)", name);
	return 0;
}

int claims_check_times(const json_t *claims, long long now_s, long long *ret_expires_s,
		       struct error *err)
{
	bool is_there;
	long long expires_s;

	if (!read_time(claims, "exp", &is_there, &expires_s))
		return error_set(err, ERR_UNAUTHORIZED, "exp is not a time");
	if (!is_there)
		return error_set(err, ERR_UNAUTHORIZED, "it never expires");
	if (expires_s + TOKEN_SKEW_S < now_s)
		return error_set(err, ERR_UNAUTHORIZED, "expired");
	if (check_begin(claims, "nbf", now_s, err) < 0 ||
	    check_begin(claims, "iat", now_s, err) < 0)
		return -1;
	*ret_expires_s = expires_s;
	return 0;
}

/* Is @word, of @len bytes, among the words of a text, or of the texts of an array? */
static bool has_word(const json_t *claim, const char *word, size_t len)
{
	const json_t *item;
	size_t i;

	json_array_foreach(claim, i, item)
	{
		if (json_string_length(item) == len &&
		    memcmp(json_string_value(item), word, len) == 0)
			return true;
	}
	if (!json_is_string(claim))
		return false;
	for (const char *at = json_string_value(claim); *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == len && memcmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

static bool has_audience(const json_t *claims, const char *wanted)
{
	const json_t *claim = json_object_get(claims, "aud");

	/* A text is one audience, blanks or not. */
	if (json_is_string(claim))
		return strcmp(json_string_value(claim), wanted) == 0;
	return has_word(claim, wanted, strlen(wanted));
}

static int check_scope(const json_t *claims, const char *wanted, struct error *err)
{
	for (const char *at = wanted; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		/* "scp" is what some servers call it. */
		if (n > 0 && !has_word(json_object_get(claims, "scope"), at, n) &&
		    !has_word(json_object_get(claims, "scp"), at, n))
			return error_set(err, ERR_DENIED, "the scope %.*s is lacking",
					 n < 200 ? (int)n : 200, at);
		at += n;
	}
	return 0;
}

int claims_check_rules(const json_t *claims, const struct claims_rules *rules, struct error *err)
{
	const char *issuer = json_get_text(claims, "iss");

	if (rules->issuer && (!issuer || strcmp(issuer, rules->issuer) != 0))
		return error_set(err, ERR_UNAUTHORIZED, "another issuer");
	if (rules->audience && !has_audience(claims, rules->audience))
		return error_set(err, ERR_DENIED, "it is for another audience");
	return rules->scope ? check_scope(claims, rules->scope, err) : 0;
}

const char *claims_client_name(const json_t *claims)
{
	static const char *const names[] = {"client_id", "azp", "sub"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = json_get_text(claims, names[i]);

		if (name && *name)
			return name;
	}
	return "";
}
