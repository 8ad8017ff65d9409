/**
 * Numbers as Prometheus reads them: its text format, one family after the other. Memory that runs out
 * is told once, at the end. Source: Prometheus, "Exposition formats", version 0.0.4.
 */
#ifndef COMMON_EXPOSITION_H
#define COMMON_EXPOSITION_H

#include "common/buf.h"
#include "common/histogram.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition {
	struct buf text;  /* the caller's to release */
	struct error err; /* code ERR_NONE: all is well */
	const char *name; /* of the family; borrowed */
};

struct label {
	const char *name, *value;
};

/** What ends with no name. */
#define LABELS(...) ((const struct label[]){__VA_ARGS__, {NULL, NULL}})
#define NO_LABELS ((const struct label[]){{NULL, NULL}})

/** Begin a family. @type: "counter", "gauge", "histogram" or "summary". */
void exposition_family(struct exposition *e, const char *name, const char *type, const char *help);

/** One number of it. */
void exposition_add(struct exposition *e, const struct label *labels, double value);

/** One histogram of it. */
void exposition_add_histogram(struct exposition *e, const struct label *labels,
			      const struct histogram *histogram);

/** The same as a summary without quantiles: sum and count. */
void exposition_add_summary(struct exposition *e, const struct label *labels,
			    const struct histogram *histogram);

/** A family of one number without labels. */
void exposition_single(struct exposition *e, const char *name, const char *type, const char *help,
		       double value);

#endif
