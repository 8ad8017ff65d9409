/**
 * The features of a session that a permission file gives and takes, and sets of them as bits.
 * Source: the permissions reference, section 5.
 */
#ifndef COMMON_FEATURES_H
#define COMMON_FEATURES_H

#include <stdint.h>

enum feature {
#define FEATURE(id, name) FEATURE_##id,
#include "common/features.def"
#undef FEATURE
	N_FEATURES
};

#define FEATURE_BIT(feature) (UINT32_C(1) << (feature))
#define FEATURES_ALL (FEATURE_BIT(N_FEATURES) - 1)
_Static_assert(N_FEATURES < 32, "a set of features is 32 bits");

/** "keyboard-sas" */
const char *feature_name(enum feature feature);

/** The set that @name stands for: one feature, or all of them for "builtin"; 0: no such name. */
uint32_t features_named(const char *name);

#endif
