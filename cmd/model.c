// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "model.h"

#define MOST_COLUMNS	64

struct json_object *model_new(const char *command)
{
	struct json_object *o = json_object_new_object();

	model_int(o, "format_version", MODEL_FORMAT_VERSION);
	model_text(o, "command", command);
	return o;
}

/* Bytes of one character of UTF-8 that is no control character; 0 if it is none. */
static int printable(const unsigned char *at)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int n = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : at[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? at[0] : at[0] & (0x7f >> n);

	for (int i = 1; i < n; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	/* Too long, halves of pairs, and what moves a terminal's cursor or its direction. */
	if (!n || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c < 0x20 ||
	    (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c < 0x2010) || (c >= 0x2028 && c < 0x2030) ||
	    (c >= 0x2066 && c < 0x206a) || c == 0xfeff)
		return 0;
	return n;
}

char *model_clean(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	char *clean = malloc(4 * strlen(text) + 1), *to = clean;

	if (!clean)
		abort();
	while (*at) {
		int n = printable(at);

		/* As the kernel's view writes them. */
		if (!n)
			to += sprintf(to, "\\%03o", *at++);
		while (n--)
			*to++ = *at++;
	}
	*to = 0;
	return clean;
}

void model_text(struct json_object *o, const char *name, const char *value)
{
	char *clean;

	if (!value)
		return;
	clean = model_clean(value);
	json_object_object_add(o, name, json_object_new_string(clean));
	free(clean);
}

void model_format(struct json_object *o, const char *name, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	model_text(o, name, text);
	free(text);
}

void model_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

void model_int(struct json_object *o, const char *name, long long value)
{
	json_object_object_add(o, name, json_object_new_int64(value));
}

void model_ms(struct json_object *o, const char *name, double ms)
{
	char text[32];

	/* The same digits in both forms. */
	snprintf(text, sizeof(text), "%.1f", ms);
	json_object_object_add(o, name, json_object_new_double_s(ms, text));
}

struct json_object *model_table(struct json_object *o, const char *name)
{
	struct json_object *table = json_object_new_array();

	json_object_object_add(o, name, table);
	return table;
}

struct json_object *model_row(struct json_object *table)
{
	struct json_object *row = json_object_new_object();

	json_object_array_add(table, row);
	return row;
}

/* --- as text --- */

static const char *text_of(struct json_object *value)
{
	if (!value)
		return "-";
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	return json_object_get_string(value);
}

/* Columns on a terminal, for what UTF-8 there is. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void pad(FILE *to, const char *text, int columns)
{
	fputs(text, to);
	for (int n = width(text); n < columns; n++)
		fputc(' ', to);
}

/* All keys that a row has, in the order in which they come up. */
static int columns_of(struct json_object *table, const char *name[MOST_COLUMNS])
{
	int n = 0;

	for (size_t i = 0; i < json_object_array_length(table); i++) {
		json_object_object_foreach(json_object_array_get_idx(table, i), key, value) {
			int j;

			(void)value;
			for (j = 0; j < n && strcmp(name[j], key); j++)
				;
			if (j == n && n < MOST_COLUMNS)
				name[n++] = key;
		}
	}
	return n;
}

static const char *cell(struct json_object *row, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(row, key, &value) ? text_of(value) : "-";
}

/* A row of a table that is too wide: a line for each fact. */
static void print_rows(FILE *to, struct json_object *table)
{
	for (size_t i = 0; i < json_object_array_length(table); i++) {
		const char *indent = "  ";

		json_object_object_foreach(json_object_array_get_idx(table, i), key, value) {
			fprintf(to, "%s%s: %s\n", indent, key, text_of(value));
			indent = "      ";
		}
	}
}

/* How many columns there are for a line. */
static int room(FILE *to)
{
	struct winsize size;

	if (isatty(fileno(to)) && !ioctl(fileno(to), TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return 120;
}

static void print_table(FILE *to, const char *title, struct json_object *table)
{
	const char *name[MOST_COLUMNS];
	int wide[MOST_COLUMNS], n = columns_of(table, name), all = 0;
	size_t rows = json_object_array_length(table);

	fprintf(to, "\n%s:%s\n", title, rows ? "" : " none");
	for (int c = 0; c < n; c++) {
		wide[c] = width(name[c]);
		for (size_t i = 0; i < rows; i++) {
			int w = width(cell(json_object_array_get_idx(table, i), name[c]));

			if (w > wide[c])
				wide[c] = w;
		}
		all += wide[c] + 2;
	}
	if (all > room(to) || n == MOST_COLUMNS) {
		print_rows(to, table);
		return;
	}
	for (int c = 0; c < n; c++) {
		fputs("  ", to);
		pad(to, name[c], c == n - 1 ? 0 : wide[c]);
	}
	if (n)
		fputc('\n', to);
	for (size_t i = 0; i < rows; i++) {
		for (int c = 0; c < n; c++) {
			fputs("  ", to);
			pad(to, cell(json_object_array_get_idx(table, i), name[c]),
			    c == n - 1 ? 0 : wide[c]);
		}
		fputc('\n', to);
	}
}

void model_print(FILE *to, struct json_object *o, bool as_json)
{
	if (as_json) {
		fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						     JSON_C_TO_STRING_NOSLASHESCAPE), to);
		fputc('\n', to);
		return;
	}
	json_object_object_foreach(o, key, value) {
		if (json_object_is_type(value, json_type_array))
			print_table(to, key, value);
		else if (strcmp(key, "format_version") && strcmp(key, "command"))
			fprintf(to, "%s: %s\n", key, text_of(value));
	}
}
