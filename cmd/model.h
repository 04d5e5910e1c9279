/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a command has to say is one JSON object: facts by name, and tables, which are
 * arrays of objects. It is printed as JSON, or as text with every fact of it.
 */
#ifndef MODEL_H
#define MODEL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/* Of the JSON; it changes when a name goes or changes its meaning. */
#define MODEL_FORMAT_VERSION	1

/* An object that says which command it is of. */
struct json_object *model_new(const char *command);
/*
 * What came from somebody else, for a terminal and for JSON: bytes that are no printable
 * UTF-8 are written as three octal digits. To be freed.
 */
char *model_clean(const char *text);
/* Add a fact, clean; NULL adds none. */
void model_text(struct json_object *o, const char *name, const char *value);
void model_format(struct json_object *o, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void model_bool(struct json_object *o, const char *name, bool value);
void model_int(struct json_object *o, const char *name, long long value);
void model_ms(struct json_object *o, const char *name, double ms);
/* A table, and a row of it. */
struct json_object *model_table(struct json_object *o, const char *name);
struct json_object *model_row(struct json_object *table);

void model_print(FILE *to, struct json_object *o, bool as_json);

#endif
