// SPDX-License-Identifier: GPL-2.0-only
/*
 * load: put the next kernel in place, long before the update if one likes. What can be known of
 * it then is found then: what continuo update would refuse for its sake is refused here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "next.h"
#include "placed.h"
#include "record.h"

/* The facts of the record, by the names that it has them under. */
static void add_record(struct json_object *o, struct json_object *record)
{
	static const char *const facts[] = {
		"kernel", "sha256", "initrd", "initrd_sha256", "append", "loaded",
		"back", "back_sha256", "back_initrd", "back_initrd_sha256", "back_append", "confirm_within",
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (record_get(record, facts[i]))
			model_text(o, facts[i], record_text(record, facts[i]));
}

static int show(const struct options *opt)
{
	static const char *const states[] = {
		[PLACED_NONE] = "none", [PLACED_KNOWN] = "in place", [PLACED_UNKNOWN] = "unknown",
	};
	struct json_object *o = model_new("load"), *record;
	char *why;
	enum placed placed = placed_find(opt, &record, &why);

	model_text(o, "state", states[placed]);
	model_text(o, "why", why);
	add_record(o, record);
	model_print(stdout, o, opt->json);
	json_object_put(record);
	json_object_put(o);
	free(why);
	return placed == PLACED_KNOWN ? EXIT_FINE : EXIT_NOT_READY;
}

/* One that is stopped takes connections, and never answers. */
#define AGENT_MS	5000

/*
 * An update that is running has checked the kernel that is in place now. Without an agent none
 * is running; an older one does not say it.
 */
static int check_no_update(const struct options *opt, struct steps *steps)
{
	struct continuo *ctx;
	int ret;

	if (*opt->root)
		return EXIT_FINE;
	ret = continuo_new(&ctx);
	if (ret)
		return trouble("the agent cannot be asked whether an update is running: %s", strerror(-ret));
	steps_begin(steps, "agent", "is an update running?");
	ret = continuo_deadline(ctx, AGENT_MS) ?: continuo_agent(ctx, opt->given[OPT_AGENT]) ?: continuo_update_running(ctx);
	steps_end(steps);
	if (ret == -EOPNOTSUPP)
		fprintf(stderr, "continuo: the agent is older than this program, and does not say whether an update is running\n");
	if (ret == -EOPNOTSUPP || (!opt->given[OPT_AGENT] && (ret == -ENOENT || ret == -ECONNREFUSED)) ||
	    /* Who may not ask may not load either, and can see what would be done. */
	    (steps->dry && (ret == -EACCES || ret == -EPERM)))
		ret = 0;
	if (ret)
		ret = ask_trouble(ctx);
	continuo_free(ctx);
	return ret;
}

static int load(struct next *next)
{
	int ready = next_check_host(next), ret = ready;

	/* A dry run says all that it can. */
	if (!ret || next->steps->dry)
		ret = next_check(next) ?: ret;
	if (!ret || next->steps->dry)
		ret = check_no_update(next->opt, next->steps) ?: ret;
	if (!ret)
		ret = next_load(next);
	/* Then no update could begin from it. */
	if (!ret && !next->steps->dry && !next->written)
		ret = EXIT_TROUBLE;
	if (ret)
		next_unload(next);
	return ret;
}

static int unload(struct next *next)
{
	int ret = check_no_update(next->opt, next->steps);

	if (ret)
		return ret;
	steps_begin(next->steps, "unload", "the loaded kernel is unloaded");
	if (next->steps->dry)
		return EXIT_FINE;
	ret = next_unload_any(next->opt);
	steps_end(next->steps);
	return ret;
}

static int wrong_options(const struct options *opt)
{
	bool image = opt->given[OPT_KERNEL] || opt->given[OPT_INITRD] || opt->given[OPT_APPEND] ||
		     opt->given[OPT_REUSE_CMDLINE] || opt->given[OPT_CONFIRM_WITHIN] || opt->given[OPT_BACK] ||
		     opt->given[OPT_BACK_INITRD] || opt->given[OPT_BACK_APPEND];

	if (!!opt->given[OPT_KERNEL] + !!opt->given[OPT_UNLOAD] + !!opt->given[OPT_SHOW] != 1 ||
	    (image && !opt->given[OPT_KERNEL]))
		return trouble("load takes --kernel FILE, the next kernel's image, or --show, or --unload, one of them");
	if (image && !opt->given[OPT_APPEND] == !opt->given[OPT_REUSE_CMDLINE])
		return trouble("load takes --append LINE or --reuse-cmdline, one of them");
	return back_wrong_options(opt);
}

int cmd_load(const struct options *opt)
{
	struct steps steps = { .dry = opt->given[OPT_DRY_RUN], .watched = is_watched(opt) };
	struct next next = { .opt = opt, .steps = &steps };
	struct json_object *o;
	int ret;

	if (wrong_options(opt))
		return EXIT_USAGE;
	if (opt->given[OPT_SHOW])
		return show(opt);
	if (*opt->root && !steps.dry)
		return trouble("--root is for commands that only look; this one acts on this machine");
	o = model_new("load");
	model_text(o, "outcome", "refused");
	steps.rows = model_table(o, "step");
	ret = opt->given[OPT_UNLOAD] ? unload(&next) : load(&next);
	if (steps.dry)
		model_text(o, "outcome", "nothing was done");
	else if (!ret)
		model_text(o, "outcome", opt->given[OPT_UNLOAD] ? "unloaded" : "loaded");
	model_print(stdout, o, opt->json);
	json_object_put(o);
	free(next.append);
	back_free(&next.back);
	return ret;
}
