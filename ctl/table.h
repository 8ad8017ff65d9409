/** Rows of text under headings, for people. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

#define TABLE_COLUMNS_MAX 8

struct table_row;

/** Start with the headings set and the rest zero, end with table_done(). */
struct table {
	const char *heads[TABLE_COLUMNS_MAX]; /* borrowed; the first NULL ends them */
	struct table_row *rows;
	size_t n_rows, capacity;
};

void table_done(struct table *table);

/**
 * Add a row. @cells: as many as there are headings, copied and made visible; NULL and "" show as
 * "-". @note: a line below the row, or NULL.
 */
int table_add(struct table *table, const char *const *cells, const char *note, struct error *err);

/**
 * Append the table. Columns are as wide as what stands in them; a cell that is out of all
 * proportion is printed in full and pushes the rest of its own row only.
 */
int table_print(const struct table *table, struct buf *out, struct error *err);

#endif
