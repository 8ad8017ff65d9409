/** What the tests of permission files share: a host with groups, and what its users may do. */
#ifndef TESTS_UNIT_COMMON_PERMISSIONS_FIXTURE_H
#define TESTS_UNIT_COMMON_PERMISSIONS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/permissions.h"
#include "tests/unit/unit.h"

/* The operating system's groups in the examples of the reference. */
static inline bool is_in_group(const char *group, void *user)
{
	static const char *const members[][2] = {{"cad", "rita"},      {"cad", "sven"},
						 {"staff", "rita"},    {"staff", "tomas"},
						 {"support", "wanda"}, {"Mixed Case", "rita"}};

	for (size_t i = 0; user && i < ARRAY_SIZE(members); i++) {
		if (strcmp(members[i][0], group) == 0 && strcmp(members[i][1], user) == 0)
			return true;
	}
	return false;
}

/* "builtin -usb": all but one. "" and "-": nothing. */
static inline uint32_t features_of(const char *words)
{
	char text[256], *rest = text, *word;
	uint32_t features = 0;

	assert_true(strlen(words) < sizeof(text));
	strcpy(text, words);
	while ((word = strsep(&rest, " "))) {
		bool is_less = *word == '-';
		uint32_t named = features_named(word + is_less);

		assert_true(named || !word[is_less]);
		features = is_less ? features & ~named : features | named;
	}
	return features;
}

static inline void apply(const struct permissions *p, const char *user, const char *owner,
			 struct rights *rights)
{
	const struct permissions_user who = {
		.name = user,
		.is_owner = user && permissions_same_user(p, user, owner),
		.is_in_os_group = is_in_group,
		.userdata = (void *)user,
	};
	struct error err;

	assert_int_equal(permissions_apply(p, &who, rights, &err), 0);
}

/* Names rather than bits, so that a test that fails tells something. */
static inline void assert_features(const char *user, uint32_t got, uint32_t expected)
{
	for (unsigned i = 0; i < N_FEATURES; i++) {
		if ((got ^ expected) & FEATURE_BIT(i))
			fail_msg("%s: %s is %s", user ? user : "(nobody)", feature_name(i),
				 got & FEATURE_BIT(i) ? "granted" : "not granted");
	}
}

static inline void assert_may(const struct permissions *p, const char *user, const char *owner,
			      const char *words)
{
	struct rights rights = {0};

	apply(p, user, owner, &rights);
	assert_features(user, rights_features(&rights), features_of(words));
}

/* The text is a whole file without errors and warnings. */
static inline struct permissions *parse_with(const char *text, size_t len,
					     const struct permissions_options *options)
{
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};

	if (permissions_parse(text, len, options, &p, &report, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(report.errors.total, 0);
	assert_int_equal(report.warnings.total, 0);
	permissions_report_done(&report);
	return p;
}

static inline struct permissions *parse(const char *text)
{
	return parse_with(text, strlen(text), &(struct permissions_options){0});
}

#endif
