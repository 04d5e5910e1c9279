// SPDX-License-Identifier: GPL-2.0-only
/* preserve and unpreserve, and what the commands that ask the agent share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"

#define TIMEOUT_S	30
#define MOST_TIMEOUT_S	3600

struct continuo *ask_begin(const struct options *opt, bool must)
{
	struct continuo *ctx;
	int ret;

	if (*opt->root) {
		trouble("--root is for commands that only look; this one acts on this machine");
		return NULL;
	}
	ret = continuo_new(&ctx);
	if (ret) {
		trouble("nothing to speak with the agent by: %s", strerror(-ret));
		return NULL;
	}
	ret = continuo_agent(ctx, opt->given[OPT_AGENT]);
	if (!ret || (!must && !opt->given[OPT_AGENT] && (ret == -ENOENT || ret == -ECONNREFUSED)))
		return ctx;
	ask_trouble(ctx);
	continuo_free(ctx);
	return NULL;
}

int ask_trouble(struct continuo *ctx)
{
	return trouble("%s", continuo_why(ctx));
}

uint32_t ask_timeout_of(const struct options *opt, enum option_id id, const char *name, unsigned long s)
{
	const char *text = opt->given[id];
	char *end;

	if (text) {
		s = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || !s || s > MOST_TIMEOUT_S) {
			trouble("--%s %s: that is not a number of 1 to %d seconds", name, text, MOST_TIMEOUT_S);
			return 0;
		}
	}
	return s * 1000;
}

uint32_t ask_timeout_or(const struct options *opt, unsigned long s)
{
	return ask_timeout_of(opt, OPT_TIMEOUT, "timeout", s);
}

uint32_t ask_timeout(const struct options *opt)
{
	return ask_timeout_or(opt, TIMEOUT_S);
}

void ask_keep(struct json_object *table, const struct continuo_heard *heard)
{
	struct json_object *row = NULL, *name;

	for (size_t i = 0; i < json_object_array_length(table) && !row; i++) {
		row = json_object_array_get_idx(table, i);
		if (!json_object_object_get_ex(row, "vm", &name) ||
		    strcmp(json_object_get_string(name), heard->name))
			row = NULL;
	}
	if (!row)
		row = model_row(table);
	model_text(row, "vm", heard->name);
	model_text(row, "state", heard->state);
	model_ms(row, "ms", heard->us / 1e3);
	model_text(row, "why", *heard->why ? heard->why : NULL);
}

struct asked {
	struct json_object *vms;
	bool watched;
};

static void keep(void *arg, const struct continuo_heard *heard)
{
	const struct asked *a = arg;

	ask_keep(a->vms, heard);
	if (a->watched)
		fprintf(stderr, "%s: %s %s\n", heard->name, heard->state, heard->why);
}

static int ask(const struct options *opt, const char *command, enum continuo_want want)
{
	uint32_t timeout = ask_timeout(opt);
	struct continuo *ctx;
	struct asked a = { .watched = is_watched(opt) };
	struct json_object *o;
	int ret;

	if (!timeout)
		return EXIT_USAGE;
	ctx = ask_begin(opt, true);
	if (!ctx)
		return EXIT_TROUBLE;
	o = model_new(command);
	a.vms = model_table(o, "vm");
	ret = continuo_update_ask(ctx, want, opt->argc ? opt->argv[0] : NULL, timeout, keep, &a);
	if (ret)
		ask_trouble(ctx);
	/* Those of the others are worth to be known, too. */
	if (!ret || ret == -ECANCELED || ret == -ETIMEDOUT)
		model_print(stdout, o, opt->json);
	json_object_put(o);
	continuo_free(ctx);
	return ret ? EXIT_TROUBLE : EXIT_FINE;
}

int cmd_preserve(const struct options *opt)
{
	return ask(opt, "preserve", CONTINUO_WANT_PRESERVE);
}

int cmd_unpreserve(const struct options *opt)
{
	return ask(opt, "unpreserve", CONTINUO_WANT_UNDO);
}
