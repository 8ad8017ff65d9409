#include "broker-lite/setback.h"

#include <string.h>

static void forget_oldest(struct setback *setback)
{
	setback->n_failures--;
	memmove(setback->failed_ms, setback->failed_ms + 1,
		setback->n_failures * sizeof(setback->failed_ms[0]));
}

bool setback_fail(struct setback *setback, unsigned long long now_ms, unsigned long long first_ms)
{
	while (setback->n_failures > 0 && (setback->n_failures == SETBACK_FAILURES ||
					   now_ms - setback->failed_ms[0] > SETBACK_WINDOW_MS))
		forget_oldest(setback);
	setback->failed_ms[setback->n_failures++] = now_ms;
	/* What was placed before the server was set back, and fails now, is no news. */
	if (setback_left_ms(setback, now_ms) > 0)
		return false;
	if (setback->until_ms > 0)
		setback->length_ms *= 2; /* that was the probe */
	else if (setback->n_failures == SETBACK_FAILURES)
		setback->length_ms = first_ms;
	else
		return false;
	if (setback->length_ms > SETBACK_LONGEST * first_ms)
		setback->length_ms = SETBACK_LONGEST * first_ms;
	setback->until_ms = now_ms + setback->length_ms;
	return true;
}

bool setback_succeed(struct setback *setback)
{
	bool was_set_back = setback->until_ms > 0;

	*setback = (struct setback){0};
	return was_set_back;
}

unsigned long long setback_left_ms(const struct setback *setback, unsigned long long now_ms)
{
	return setback->until_ms > now_ms ? setback->until_ms - now_ms : 0;
}
