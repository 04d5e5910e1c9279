/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON of other people's: what is missing or of another type reads as nothing. */
#ifndef JSON_H
#define JSON_H

#include <json-c/json.h>
#include <stdbool.h>

/* A member; NULL if there is none. */
struct json_object *json_get(struct json_object *o, const char *key);
/* A text, "" if it is none. */
const char *json_text(struct json_object *o, const char *key);
/* A number, or @otherwise. */
long long json_number(struct json_object *o, const char *key, long long otherwise);
bool json_is_true(struct json_object *o, const char *key);
/* Elements of an array, 0 if it is none. */
size_t json_length(struct json_object *o);
struct json_object *json_at(struct json_object *o, size_t i);

void json_put_text(struct json_object *o, const char *key, const char *value);
void json_put_number(struct json_object *o, const char *key, long long value);
void json_put_bool(struct json_object *o, const char *key, bool value);

#endif
