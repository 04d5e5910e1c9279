// SPDX-License-Identifier: GPL-2.0-only
/*
 * list, show and inspect: what the kernel says of an update. It is read from a device of
 * its own; older kernels have it in debugfs. The format is that of docs/discovery.md;
 * records and keys that this program does not know are shown as they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "manifest.h"

/* So often is a host looked at that changes meanwhile, with that much time in between. */
#define LOOKS	5
#define PAUSE_US	50000

/* What is kept of a view. */
struct wanted {
	const char *const *types;	/* until NULL; NULL: all */
	const char *side;		/* "outgoing" or "incoming"; NULL: both */
};

static bool is_wanted(const struct wanted *want, const char *type)
{
	for (const char *const *t = want->types; t && *t; t++)
		if (!strcmp(*t, type))
			return true;
	return !want->types;
}

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

/* The pairs of a line, into a row. False if they are none. */
static bool parse_pairs(char *at, struct json_object *row)
{
	bool more = *at;

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

/* One line: a type, and pairs of key and value. False if it is not that. */
static bool parse_record(char *line, struct json_object *o,
			 const struct wanted *want, const char *side)
{
	char *at = line + strcspn(line, " "), *type = line, blank = *at;
	struct json_object *table, *row, *of;
	bool ok;

	*at = 0;
	if (!is_word(type))
		return false;
	if (!is_wanted(want, type))
		return true;
	if (!json_object_object_get_ex(o, type, &table))
		table = model_table(o, type);
	/* "command" is a fact of every model. */
	if (!json_object_is_type(table, json_type_array))
		return false;
	*at = blank;
	row = json_object_new_object();
	model_text(row, "kernel", side);
	ok = parse_pairs(at, row);
	if (ok && (!want->side || (json_object_object_get_ex(row, "kernel", &of) &&
				   !strcmp(json_object_get_string(of), want->side))))
		json_object_array_add(table, row);
	else
		json_object_put(row);
	return ok;
}

/* @side: of all records that do not say it; NULL if that is not known. */
static int parse(char *text, struct json_object *o, const struct wanted *want,
		 const char *side, const char *name)
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
		if (!parse_record(line, o, want, side))
			return trouble("%s: line %d is not of the format of docs/discovery.md", name, n);
	}
	if (!n)
		return trouble("%s: it is empty", name);
	return EXIT_FINE;
}

/* Does it say that it is not of one moment? */
static bool is_changing(const char *text)
{
	const char *line = strstr(text, "\nview ");

	return line && memmem(line, 1 + strcspn(line + 1, "\n"), " state=changing",
			      strlen(" state=changing"));
}

/* The text of the device, as of one moment if that can be had; NULL: see errno. */
static char *read_device(const struct options *opt)
{
	char *text = read_text(opt, VIEW_DEVICE);

	for (int i = 1; i < LOOKS && text && is_changing(text); i++) {
		free(text);
		usleep(PAUSE_US);
		text = read_text(opt, VIEW_DEVICE);
	}
	if (text && is_changing(text))
		trouble("sessions come and go all the time; what was read is not of one moment");
	return text;
}

/* A side of it, of a kernel that has no device for it. */
static int read_debugfs(const struct options *opt, struct json_object *o,
			const struct wanted *want, const char *side)
{
	char *text, *name;
	int ret;

	if (want->side && strcmp(want->side, side))
		return EXIT_FINE;
	text = read_text(opt, VIEW_DEBUGFS "/%s", side);
	if (!text)
		return trouble("there is no %s" VIEW_DEVICE ", and %s" VIEW_DEBUGFS "/%s: %s; it takes a kernel with live update ('continuo check' says more)",
			       opt->root, opt->root, side, strerror(errno));
	if (asprintf(&name, VIEW_DEBUGFS "/%s", side) < 0)
		abort();
	ret = parse(text, o, want, side, name);
	free(name);
	free(text);
	return ret;
}

static int read_view(const struct options *opt, struct json_object *o,
		     const struct wanted *want)
{
	char *text = read_device(opt);
	int ret;

	if (text) {
		model_text(o, "read_from", VIEW_DEVICE);
		ret = parse(text, o, want, NULL, VIEW_DEVICE);
		free(text);
		return ret;
	}
	if (errno != ENOENT)
		return trouble("%s" VIEW_DEVICE ": %s; it takes root, or a group that the device was given to",
			       opt->root, strerror(errno));
	ret = read_debugfs(opt, o, want, "outgoing") ?:
	      read_debugfs(opt, o, want, "incoming");
	if (ret)
		return ret;
	model_text(o, "read_from", VIEW_DEBUGFS);
	trouble("this kernel has no " VIEW_DEVICE "; this is from debugfs, and not of one moment");
	return EXIT_FINE;
}

int view_incoming(const struct options *opt, struct json_object *o)
{
	static const char *const types[] = { "session", "file", NULL };
	const struct wanted want = { types, "incoming" };

	return read_view(opt, o, &want);
}

const char *view_untaken(const struct json_object *o, size_t *at)
{
	struct json_object *rows, *name, *state;

	if (!json_object_object_get_ex(o, "session", &rows))
		return NULL;
	while (*at < json_object_array_length(rows)) {
		struct json_object *row = json_object_array_get_idx(rows, (*at)++);

		if (json_object_object_get_ex(row, "name", &name) && json_object_object_get_ex(row, "state", &state) &&
		    strcmp(json_object_get_string(state), "finished"))
			return json_object_get_string(name);
	}
	return NULL;
}

bool view_has_manifest(const struct json_object *o, const char *session)
{
	struct json_object *rows, *of, *token;

	if (!json_object_object_get_ex(o, "file", &rows))
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (json_object_object_get_ex(row, "session", &of) && json_object_object_get_ex(row, "token", &token) &&
		    !strcmp(json_object_get_string(of), session) &&
		    strtoull(json_object_get_string(token), NULL, 0) == MANIFEST_TOKEN)
			return true;
	}
	return false;
}

int view_image(const struct options *opt, struct json_object *o)
{
	static const char *const types[] = { "image", "format", NULL };
	const struct wanted want = { types, "outgoing" };

	return read_view(opt, o, &want);
}

int view_all(const struct options *opt, struct json_object *o)
{
	const struct wanted want = {};

	return read_view(opt, o, &want);
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

/* The VMs that are registered with the agent; is there one here that tells? */
static bool list_vms(const struct options *opt, struct json_object *o)
{
	struct json_object *table = model_table(o, "vm");
	struct continuo *ctx;
	bool told;

	if (*opt->root || continuo_new(&ctx))
		return false;
	told = !continuo_agent(ctx, opt->given[OPT_AGENT]) && !continuo_update_vms(ctx, keep, table);
	continuo_free(ctx);
	return told;
}

int cmd_list(const struct options *opt)
{
	static const char *const types[] = { "session", "device", NULL };
	const struct wanted want = { types, NULL };
	struct json_object *o = model_new("list");
	int ret;

	model_table(o, "session");
	model_table(o, "device");
	ret = read_view(opt, o, &want);
	if (ret) {
		json_object_object_del(o, "session");
		json_object_object_del(o, "device");
	}
	/* An agent knows its VMs also where the kernel says nothing. */
	if (list_vms(opt, o) && ret)
		model_print(stdout, o, opt->json);
	return finish(opt, o, ret);
}

int cmd_show(const struct options *opt)
{
	struct json_object *o = model_new("show");
	const char *only = opt->argc ? opt->argv[0] : NULL;
	const char *const types[] = { only, NULL };
	const struct wanted want = { only ? types : NULL, NULL };

	if (only)
		model_table(o, only);
	return finish(opt, o, read_view(opt, o, &want));
}

int cmd_inspect(const struct options *opt)
{
	const struct wanted want = {};
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
		ret = parse(text, o, &want, NULL, name);
	free(text);
	if (f != stdin)
		fclose(f);
	return finish(opt, o, ret);
}
