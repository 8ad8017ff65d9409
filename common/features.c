#include "common/features.h"

#include <string.h>

static const char *const names[N_FEATURES] = {
#define FEATURE(id, name) [FEATURE_##id] = name,
#include "common/features.def"
#undef FEATURE
};

const char *feature_name(enum feature feature)
{
	return names[feature];
}

uint32_t features_named(const char *name)
{
	if (strcmp(name, "builtin") == 0)
		return FEATURES_ALL;
	for (unsigned i = 0; i < N_FEATURES; i++) {
		if (strcmp(names[i], name) == 0)
			return FEATURE_BIT(i);
	}
	return 0;
}
