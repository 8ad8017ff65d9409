#include "tests/doubles/fleet/behaviour.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/doubles/fleet/picture.h"

#define TIME_MAX_MS (24LL * 3600 * 1000)
#define FAIL_MAX 1000000

int behaviour_init(struct behaviour *behaviour, struct error *err)
{
	*behaviour = (struct behaviour){.fail_reason = json_string("simulated failure")};
	behaviour->picture = picture_make(err);
	if (!behaviour->picture)
		return -1;
	return behaviour->fail_reason ? 0 : error_oom(err);
}

void behaviour_copy(struct behaviour *ret, const struct behaviour *behaviour)
{
	*ret = *behaviour;
	(void)json_incref(ret->fail_reason);
	(void)json_incref(ret->picture);
}

void behaviour_done(struct behaviour *behaviour)
{
	json_decref(behaviour->fail_reason);
	json_decref(behaviour->picture);
	*behaviour = (struct behaviour){0};
}

/* --- the keys ----------------------------------------------------------------------------------
 */

static int set_create_ms(struct behaviour *b, const json_t *value, struct error *err)
{
	json_int_t ms = json_integer_value(value);

	if (!json_is_integer(value) || ms < 0 || ms > TIME_MAX_MS)
		return error_set(err, ERR_INVALID, "must be a whole number from 0 to %lld",
				 TIME_MAX_MS);
	b->create_ms = (unsigned long long)ms;
	return 0;
}

static int set_fail_creates(struct behaviour *b, const json_t *value, struct error *err)
{
	json_int_t n = json_integer_value(value);

	if (json_is_boolean(value))
		n = json_is_true(value) ? BEHAVIOUR_FAIL_ALWAYS : 0;
	else if (!json_is_integer(value) || n < 0 || n > FAIL_MAX)
		return error_set(err, ERR_INVALID,
				 "must be a whole number from 0 to %d, true or false", FAIL_MAX);
	b->fail_creates = n;
	return 0;
}

static int set_fail_reason(struct behaviour *b, json_t *value, struct error *err)
{
	if (!json_is_string(value))
		return error_set(err, ERR_INVALID, "must be a string");
	json_decref(b->fail_reason);
	b->fail_reason = json_incref(value);
	return 0;
}

static int set_hang(struct behaviour *b, const json_t *value, struct error *err)
{
	if (!json_is_boolean(value))
		return error_set(err, ERR_INVALID, "must be true or false");
	b->is_hanging = json_is_true(value);
	return 0;
}

static int set_silent_after_s(struct behaviour *b, const json_t *value, struct error *err)
{
	double ms = json_number_value(value) * 1000;

	if (!json_is_null(value) && (!json_is_number(value) || ms < 1 || ms > (double)TIME_MAX_MS))
		return error_set(err, ERR_INVALID, "must be a number from 0.001 to %lld, or null",
				 TIME_MAX_MS / 1000);
	b->silent_after_ms = (unsigned long long)ms;
	return 0;
}

static int set_screenshot(struct behaviour *b, const json_t *value, struct error *err)
{
	json_t *picture;

	if (!json_is_null(value) && !json_is_string(value))
		return error_set(err, ERR_INVALID, "must be the name of a file, or null");
	picture = json_is_null(value) ? picture_make(err)
				      : picture_read(json_string_value(value), err);
	if (!picture)
		return -1;
	json_decref(b->picture);
	b->picture = picture;
	return 0;
}

static int set_key(struct behaviour *b, const char *key, json_t *value, struct error *err)
{
	if (strcmp(key, "create_ms") == 0)
		return set_create_ms(b, value, err);
	if (strcmp(key, "fail_creates") == 0)
		return set_fail_creates(b, value, err);
	if (strcmp(key, "fail_reason") == 0)
		return set_fail_reason(b, value, err);
	if (strcmp(key, "hang") == 0)
		return set_hang(b, value, err);
	if (strcmp(key, "silent_after_s") == 0)
		return set_silent_after_s(b, value, err);
	if (strcmp(key, "screenshot") == 0)
		return set_screenshot(b, value, err);
	return error_set(err, ERR_INVALID, "unknown key");
}

int behaviour_set(struct behaviour *behaviour, const json_t *object, struct error *err)
{
	AUTO(behaviour_done) struct behaviour changed;
	const char *key;
	json_t *value;

	behaviour_copy(&changed, behaviour);
	if (!json_is_object(object))
		return error_set(err, ERR_INVALID, "must be an object");
	json_object_foreach((json_t *)object, key, value)
	{
		if (set_key(&changed, key, value, err) < 0)
			return error_prefix(err, "%s", key);
	}
	behaviour_done(behaviour);
	behaviour_copy(behaviour, &changed);
	return 0;
}
