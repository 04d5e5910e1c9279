// SPDX-License-Identifier: GPL-2.0-only
/*
 * list, show and inspect: what the kernel says of an update in debugfs. The format
 * is that of docs/discovery.md; what this program does not know it passes on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"

#define VIEW	"/sys/kernel/debug/liveupdate"

/* Takes a quoted text apart, in place; NULL if it does not end. */
static char *unquote(char **at)
{
	char *from = *at + 1, *to = *at, *begin = *at;

	for (; *from && *from != '"'; from++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
		    from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			char byte = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');

			/* Bytes that are no text stay as they were written. */
			if (byte >= 0x20 && byte < 0x7f) {
				*to++ = byte;
				from += 3;
				continue;
			}
		}
		*to++ = *from;
	}
	if (*from != '"')
		return NULL;
	*at = from + 1;
	*to = 0;
	return begin;
}

/* Types and keys */
static bool is_word(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* One line: a type, and pairs of key and value. False if it is not that. */
static bool parse_record(char *line, struct json_object *o, const char *only,
			 const char *which)
{
	char *at = line + strcspn(line, " "), *type = line;
	struct json_object *table, *row;
	bool more = *at;

	*at = 0;
	if (!is_word(type))
		return false;
	if (only && strcmp(only, type))
		return true;
	if (!json_object_object_get_ex(o, type, &table))
		table = model_table(o, type);
	/* "command" is a fact of every model. */
	if (!json_object_is_type(table, json_type_array))
		return false;
	row = model_row(table);
	model_text(row, "kernel", which);
	while (more) {
		char *key = ++at, *value;

		at += strcspn(at, "= ");
		if (*at != '=')
			return false;
		*at++ = 0;
		if (!is_word(key))
			return false;
		if (*at == '"') {
			value = unquote(&at);
			if (!value || (*at && *at != ' '))
				return false;
			more = *at;
		} else {
			value = at;
			at += strcspn(at, " ");
			more = *at;
			*at = 0;
		}
		model_text(row, key, value);
	}
	return true;
}

/* @which: "outgoing" or "incoming", or NULL if that is not known. */
static int parse(char *text, struct json_object *o, const char *only,
		 const char *which, const char *name)
{
	char *line, *save = NULL;
	int n = 0;

	/* What else is in there could be meant for a terminal. */
	for (size_t i = 0; text[i]; i++)
		if (text[i] != '\n' && (text[i] < 0x20 || text[i] >= 0x7f))
			return trouble("%s: byte %zu is %#x; a view consists of printable ASCII",
				       name, i, (unsigned char)text[i]);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		n++;
		if (n == 1) {
			if (strcmp(line, "format=1"))
				return trouble("%s: it begins with '%.40s', but this program reads format=1; take one that belongs to the kernel",
					       name, line);
			continue;
		}
		if (!parse_record(line, o, only, which))
			return trouble("%s: line %d is not of the format of docs/discovery.md", name, n);
	}
	if (!n)
		return trouble("%s: it is empty", name);
	return EXIT_FINE;
}

static int read_view(const struct options *opt, struct json_object *o,
		     const char *which, const char *only)
{
	char *text = read_text(opt, VIEW "/%s", which), *name;
	int ret;

	if (!text)
		return trouble("%s" VIEW "/%s: %s; it takes root, debugfs, and a kernel with live update ('continuo check' says more)",
			       opt->root, which, strerror(errno));
	if (asprintf(&name, VIEW "/%s", which) < 0)
		abort();
	ret = parse(text, o, only, which, name);
	free(name);
	free(text);
	return ret;
}

int view_incoming(const struct options *opt, struct json_object *o)
{
	return read_view(opt, o, "incoming", "session");
}

static int both(const struct options *opt, struct json_object *o, const char *only)
{
	return read_view(opt, o, "outgoing", only) ?:
	       read_view(opt, o, "incoming", only);
}

/* Prints it if all went well, and lets go of it. */
static int finish(const struct options *opt, struct json_object *o, int ret)
{
	if (ret == EXIT_FINE)
		model_print(stdout, o, opt->json);
	json_object_put(o);
	return ret;
}

static void keep(void *table, const struct continuo_heard *heard)
{
	ask_keep(table, heard);
}

/* The VMs that are registered with the agent, if there is one here that tells. */
static void list_vms(const struct options *opt, struct json_object *o)
{
	struct json_object *table = model_table(o, "vm");
	struct continuo *ctx;

	if (*opt->root || continuo_new(&ctx))
		return;
	if (!continuo_agent(ctx, opt->given[OPT_AGENT]))
		continuo_update_vms(ctx, keep, table);
	continuo_free(ctx);
}

int cmd_list(const struct options *opt)
{
	struct json_object *o = model_new("list");
	int ret;

	model_table(o, "session");
	model_table(o, "device");
	ret = both(opt, o, "session") ?: both(opt, o, "device");
	list_vms(opt, o);
	return finish(opt, o, ret);
}

int cmd_show(const struct options *opt)
{
	struct json_object *o = model_new("show");
	const char *only = opt->argc ? opt->argv[0] : NULL;

	if (only)
		model_table(o, only);
	return finish(opt, o, both(opt, o, only));
}

int cmd_inspect(const struct options *opt)
{
	struct json_object *o = model_new("inspect");
	const char *name = opt->argv[0];
	FILE *f = strcmp(name, "-") ? fopen(name, "r") : stdin;
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	int ret;

	if (!f) {
		ret = trouble("%s: %s", name, strerror(errno));
		return finish(opt, o, ret);
	}
	n = getdelim(&text, &room, '\0', f);
	if (n < 0)
		ret = trouble("%s: %s", name, ferror(f) ? strerror(errno) : "it is empty");
	else if (!feof(f) && fgetc(f) != EOF)
		ret = trouble("%s: it has a byte 0 in it, which a view never has", name);
	else
		ret = parse(text, o, NULL, NULL, name);
	free(text);
	if (f != stdin)
		fclose(f);
	return finish(opt, o, ret);
}
