#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "ctl/visible.h"

/* One absurd cell must not pad a thousand rows. */
#define PADDED_COLUMNS_MAX 100
#define GAP 2

struct table_row {
	char *cells[TABLE_COLUMNS_MAX];
	size_t widths[TABLE_COLUMNS_MAX];
	char *note; /* NULL: none */
};

static size_t n_columns(const struct table *table)
{
	size_t n = 0;

	while (n < TABLE_COLUMNS_MAX && table->heads[n])
		n++;
	return n;
}

static void row_done(struct table_row *row)
{
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
		free(row->cells[i]);
	free(row->note);
}

void table_done(struct table *table)
{
	for (size_t i = 0; i < table->n_rows; i++)
		row_done(&table->rows[i]);
	free(table->rows);
	table->rows = NULL;
	table->n_rows = 0;
}

static int cell_new(const char *text, char **ret, size_t *ret_width, struct error *err)
{
	AUTO(buf_done) struct buf cell = {0};

	if (visible_append(&cell, text && *text ? text : "-", ret_width, err) < 0)
		return -1;
	*ret = buf_steal(&cell);
	return *ret ? 0 : error_oom(err);
}

static int grow(struct table *table, struct error *err)
{
	size_t capacity = table->capacity ? table->capacity * 2 : 16;
	struct table_row *rows = reallocarray(table->rows, capacity, sizeof(*rows));

	if (!rows)
		return error_oom(err);
	table->rows = rows;
	table->capacity = capacity;
	return 0;
}

int table_add(struct table *table, const char *const *cells, const char *note, struct error *err)
{
	struct table_row *row;
	size_t ignored;

	if (table->n_rows == table->capacity && grow(table, err) < 0)
		return -1;
	row = &table->rows[table->n_rows++]; /* a half-filled row can be freed */
	*row = (struct table_row){0};
	for (size_t i = 0; i < n_columns(table); i++) {
		if (cell_new(cells[i], &row->cells[i], &row->widths[i], err) < 0)
			return -1;
	}
	return note ? cell_new(note, &row->note, &ignored, err) : 0;
}

/* Headings are ASCII of ours: a byte is a column. */
static void measure(const struct table *table, size_t *ret_widths)
{
	for (size_t i = 0; i < n_columns(table); i++) {
		ret_widths[i] = strlen(table->heads[i]);
		for (size_t r = 0; r < table->n_rows; r++) {
			size_t width = table->rows[r].widths[i];

			if (width > ret_widths[i] && width <= PADDED_COLUMNS_MAX)
				ret_widths[i] = width;
		}
	}
}

static int print_cell(struct buf *out, const char *text, size_t width, size_t padded,
		      struct error *err)
{
	size_t blanks = GAP + (width < padded ? padded - width : 0);

	if (buf_append_text(out, text, err) < 0)
		return -1;
	return buf_printf(out, err, "%*s", (int)blanks, "");
}

static int print_line(struct buf *out, char *const *cells, const size_t *cell_widths,
		      const size_t *widths, size_t n, struct error *err)
{
	for (size_t i = 0; i + 1 < n; i++) {
		if (print_cell(out, cells[i], cell_widths[i], widths[i], err) < 0)
			return -1;
	}
	if (buf_append_text(out, cells[n - 1], err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

int table_print(const struct table *table, struct buf *out, struct error *err)
{
	size_t widths[TABLE_COLUMNS_MAX], head_widths[TABLE_COLUMNS_MAX], n = n_columns(table);

	measure(table, widths);
	for (size_t i = 0; i < n; i++)
		head_widths[i] = strlen(table->heads[i]);
	if (print_line(out, (char *const *)table->heads, head_widths, widths, n, err) < 0)
		return -1;
	for (size_t r = 0; r < table->n_rows; r++) {
		const struct table_row *row = &table->rows[r];

		if (print_line(out, row->cells, row->widths, widths, n, err) < 0)
			return -1;
		if (row->note && buf_printf(out, err, "    %s\n", row->note) < 0)
			return -1;
	}
	return 0;
}
