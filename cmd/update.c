// SPDX-License-Identifier: GPL-2.0-only
/*
 * update, attach and abort: replace the kernel under VMs that are registered with the agent.
 * This program checks and loads, and asks the agent for the rest: the agent alone asks the
 * VMs, counts, and jumps, or undoes it all, whatever becomes of this program meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "keep.h"
#include "next.h"
#include "steps.h"

/* systemd gives a service 90 s if it does not say otherwise, and kills it then. */
#define SERVICES_TIMEOUT_S	120

struct update {
	const struct options *opt;
	struct continuo *ctx;
	struct json_object *o, *vms;
	struct json_object *incoming;	/* what came with the last update */
	struct steps steps;
	struct next next;
	uint32_t timeout;
	uint32_t services_timeout;	/* 0: they do not end */
	unsigned int registered;
	bool dry;
	bool ended, partly, taken, unheard;	/* how it ended, or that nobody has said so here */
	unsigned int begun;		/* steps of the agent's */
};

/* How an update that has begun ended: a word for it, and the exit status, which is report's for that. */
static int say_end(const struct update *u)
{
	static const struct {
		const char *outcome;
		int status;
	} ends[] = {
		{ "undone", EXIT_UNDONE }, { "undone, but not by all", EXIT_PARTLY },
		{ "taken over by another operator", EXIT_PENDING }, { "unknown", EXIT_TROUBLE },
	};
	int end = u->taken ? 2 : u->unheard ? 3 : u->partly;

	model_text(u->o, "outcome", ends[end].outcome);
	return ends[end].status;
}

/* The agent's last word is @ret; before it said how the update has ended, if it has. */
static void listened(struct update *u, int ret)
{
	u->taken = !u->ended && ret == -ESTALE;
	u->unheard |= !u->ended && ret == -EPIPE;
}

/* --- before anybody is asked --- */

/* Is it one of those that are to be left? */
static bool is_left(const struct update *u, const char *name)
{
	const char *list = u->opt->given[OPT_LEAVE] ?: "", *at = list;
	size_t n = strlen(name);

	while ((at = strstr(at, name))) {
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
		at++;
	}
	return false;
}

static int check_incoming(struct update *u)
{
	int ret;

	steps_begin(&u->steps, "incoming", "has everything that came with the last update been taken over?");
	ret = view_incoming(u->opt, u->incoming);
	steps_end(&u->steps);
	return ret;
}

/* What came with the last update and has no VM yet would end with the jump: it goes over once more, as it is. */
static int pass_on(struct update *u)
{
	const char *name;
	size_t at = 0;
	int ret = EXIT_FINE;

	while (!ret && (name = view_untaken(u->incoming, &at))) {
		if (is_left(u, name))
			continue;
		steps_begin(&u->steps, "pass on", "nobody has taken over %s: it is kept, to go over once more", name);
		if (!u->dry)
			ret = keep_begin(u->opt, name);
		steps_end(&u->steps);
	}
	return ret;
}

/* --- the VMs --- */

static void count(void *arg, const struct continuo_heard *heard)
{
	struct update *u = arg;

	u->registered++;
	ask_keep(u->vms, heard);
}

static int find_vms(struct update *u)
{
	steps_begin(&u->steps, "agent", "which VMs are registered?");
	if (!u->dry && continuo_update_begin(u->ctx))
		return ask_trouble(u->ctx);
	if (continuo_update_vms(u->ctx, count, u))
		return ask_trouble(u->ctx);
	steps_end(&u->steps);
	if (u->registered || u->opt->given[OPT_WITHOUT_VMS])
		return EXIT_FINE;
	return trouble("no VM is registered with the agent, and those that are not may lose their devices; --without-vms updates all the same");
}

/* What the agent does in each of its steps. */
static const struct {
	const char *step, *does;
} steps[] = {
	{ "sync", "write back all files, while the VMs run" },
	{ "services", "other services end, and what nobody uses is unmounted; files are written back once more" },
	{ "preserve", "every VM preserves its memory and devices" },
	{ "suspend", "every VM stops its virtual CPUs" },
	{ "flush", "write back what was written since" },
	{ "count", "does the session of each VM hold what it has to?" },
	{ "seal", "preserve the record" },
	{ "jump", "go over to the next kernel" },
	{ "undo", "every VM goes on as before" },
};

#define STEPS	(sizeof(steps) / sizeof(steps[0]))

/* The agent goes on to its next step. */
static void listen_to_step(struct update *u, const char *step)
{
	if (u->begun)
		steps_end(&u->steps);
	u->partly |= !strcmp(step, "partly");
	u->ended |= u->partly || !strcmp(step, "undone");
	for (size_t i = 0; i < STEPS; i++) {
		if (strcmp(steps[i].step, step))
			continue;
		steps_begin(&u->steps, step, "%s", steps[i].does);
		u->begun++;
		return;
	}
	u->begun = 0;
}

static void listen_to(void *arg, const struct continuo_heard *heard)
{
	struct update *u = arg;

	if (!*heard->name) {
		listen_to_step(u, heard->state);
		return;
	}
	ask_keep(u->vms, heard);
	if (u->steps.watched)
		fprintf(stderr, "  %s: %s %s\n", heard->name, heard->state, heard->why);
}

static bool came_before(const struct update *u, const char *name)
{
	struct json_object *rows, *row;

	if (!json_object_object_get_ex(u->incoming, "session", &rows))
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (json_object_object_get_ex(json_object_array_get_idx(rows, i), "name", &row) &&
		    !strcmp(json_object_get_string(row), name))
			return true;
	return false;
}

static int leave(struct update *u, const char *name)
{
	int ret = 0;

	steps_begin(&u->steps, "leave", "go on without %s; the jump is its end", name);
	if (!u->dry)
		ret = continuo_update_leave(u->ctx, name);
	listened(u, ret);
	steps_end(&u->steps);
	/* One that came with the last update, and that the agent has not been asked for. */
	if (ret == -ENOENT && came_before(u, name))
		ret = 0;
	return ret ? ask_trouble(u->ctx) : EXIT_FINE;
}

static int leave_named(struct update *u)
{
	char *names = strdup(u->opt->given[OPT_LEAVE] ?: ""), *save = NULL, *name;
	int ret = EXIT_FINE;

	for (name = strtok_r(names, ",", &save); name && !ret;
	     name = strtok_r(NULL, ",", &save))
		ret = leave(u, name);
	free(names);
	return ret;
}

/* --- the agent's part --- */

/*
 * Below a service manager the agent knows a program that ends services. Without one the jump
 * is at once; an agent that is too old for it must not do that without being told to.
 */
static int ask_for_services(struct update *u)
{
	int ret;

	if (!u->services_timeout)
		return EXIT_FINE;
	ret = continuo_update_services(u->ctx, u->services_timeout);
	listened(u, ret);
	/* In a dry run nothing has begun: it is refused for that, if for nothing else. */
	if (u->dry && ret == -EINVAL)
		return EXIT_FINE;
	if (ret == -EOPNOTSUPP)
		return trouble("the agent is older than this program, and cannot end services: restart it, or give --now");
	if (ret == -ENODEV) {
		fprintf(stderr, "continuo: no service ends before the jump, since the agent knows no program for it (its option --services)\n");
		u->services_timeout = 0;
		ret = 0;
	}
	return ret ? ask_trouble(u->ctx) : EXIT_FINE;
}

/*
 * The operator has changed his mind: the agent undoes it, and says so to the main thread.
 * It hears us on another connection.
 */
static void *heed_signals(void *arg)
{
	struct update *u = arg;
	struct continuo *ctx;
	sigset_t signals;
	int sig;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGQUIT);
	while (!sigwait(&signals, &sig)) {
		fputs("continuo: ended; the agent undoes it all\n", stderr);
		ctx = ask_begin(u->opt, true);
		/* One that is not there any more undoes nothing, and jumps nowhere. */
		if (!ctx || continuo_update_abort(ctx) == -ENOENT)
			_exit(EXIT_TROUBLE);
		continuo_free(ctx);
	}
	return NULL;
}

static int begin_to_heed(struct update *u)
{
	sigset_t signals;
	pthread_t thread;

	/* A terminal that goes away takes nothing along: the update goes on. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (pthread_create(&thread, NULL, heed_signals, u))
		return trouble("no thread can be made");
	return EXIT_FINE;
}

/* Until the jump, which nobody here lives to see; or until all is undone. */
static int ask_to_go(struct update *u)
{
	uint32_t flags = u->opt->given[OPT_LEAVE_SILENT] ? CONTINUO_GO_LEAVE_SILENT : 0;
	int ret;

	if (u->dry) {
		/* Up to the jump, with what is in between of no interest to anybody. */
		for (size_t i = 0; i < STEPS; i++)
			if ((u->services_timeout || strcmp(steps[i].step, "services")) &&
			    strcmp(steps[i].step, "undo") && strcmp(steps[i].step, "count") &&
			    strcmp(steps[i].step, "seal"))
				steps_begin(&u->steps, steps[i].step, "%s, within %u s", steps[i].does,
					    (strcmp(steps[i].step, "services") ? u->timeout : u->services_timeout) / 1000);
		return EXIT_FINE;
	}
	ret = continuo_update_go(u->ctx, u->timeout, flags, listen_to, u);
	/* We were stopped for so long that the agent has not waited for us to listen. */
	if (ret == -EPIPE && !continuo_agent(u->ctx, u->opt->given[OPT_AGENT])) {
		ret = continuo_update_attach(u->ctx, listen_to, u);
		if (ret == -ENOENT) {
			u->unheard = true;
			return trouble("the update has ended while this program did not listen; 'continuo report' says how, and why");
		}
	}
	listened(u, ret);
	/* What is loaded is the other one's now. */
	if (u->taken)
		u->next.loaded = false;
	return ret ? ask_trouble(u->ctx) : EXIT_FINE;
}

static int go(struct update *u)
{
	int ret = u->dry ? EXIT_FINE : begin_to_heed(u);

	keep_go();
	if (!ret && !u->next.in_place)
		ret = next_load(&u->next);
	if (!ret)
		ret = leave_named(u);
	if (!ret)
		ret = ask_for_services(u);
	if (!ret)
		ret = ask_to_go(u);
	return ret;
}

static int wait_for_end(const struct options *opt, const char *command, bool abort)
{
	struct update u = { .opt = opt, .steps.watched = is_watched(opt) };
	int ret, status;

	u.ctx = ask_begin(opt, true);
	if (!u.ctx)
		return EXIT_TROUBLE;
	u.o = model_new(command);
	model_text(u.o, "outcome", "undone");
	u.steps.rows = model_table(u.o, "step");
	u.vms = model_table(u.o, "vm");
	ret = abort ? continuo_update_abort(u.ctx) : continuo_update_attach(u.ctx, listen_to, &u);
	if (ret)
		ask_trouble(u.ctx);
	u.partly |= abort && ret == -ETIMEDOUT;
	u.ended |= abort && (!ret || u.partly);
	listened(&u, ret);
	if (u.ended || u.taken || u.unheard) {
		status = say_end(&u);
		model_print(stdout, u.o, opt->json);
		/* Whoever aborts wanted just that. */
		if (!ret)
			status = EXIT_FINE;
	} else {
		status = ret == -ENOENT ? EXIT_NOT_READY : EXIT_TROUBLE;
	}
	json_object_put(u.o);
	continuo_free(u.ctx);
	return status;
}

int cmd_attach(const struct options *opt)
{
	return wait_for_end(opt, "attach", false);
}

int cmd_abort(const struct options *opt)
{
	return wait_for_end(opt, "abort", true);
}

static int wrong_options(const struct options *opt)
{
	if (!opt->given[OPT_KERNEL] &&
	    (opt->given[OPT_INITRD] || opt->given[OPT_APPEND] || opt->given[OPT_REUSE_CMDLINE] || opt->given[OPT_BACK] || opt->given[OPT_BACK_APPEND]))
		return trouble("--initrd, --append, --reuse-cmdline, --back and --back-append are of an image: give --kernel FILE, too");
	if (opt->given[OPT_KERNEL] && !opt->given[OPT_APPEND] == !opt->given[OPT_REUSE_CMDLINE])
		return trouble("update takes --append LINE or --reuse-cmdline, one of them");
	if (opt->given[OPT_NOW] && opt->given[OPT_SERVICES_TIMEOUT])
		return trouble("--services-timeout is for services that end, and with --now none does: give one of them");
	return back_wrong_options(opt);
}

int cmd_update(const struct options *opt)
{
	struct update u = {
		.opt = opt,
		.steps = { .dry = opt->given[OPT_DRY_RUN], .watched = is_watched(opt) },
		.next = { .opt = opt, .steps = &u.steps },
		.dry = opt->given[OPT_DRY_RUN],
		.timeout = ask_timeout(opt),
	};
	int ret, ready;

	if (!u.timeout)
		return EXIT_USAGE;
	if (!opt->given[OPT_NOW]) {
		u.services_timeout = ask_timeout_of(opt, OPT_SERVICES_TIMEOUT, "services-timeout", SERVICES_TIMEOUT_S);
		if (!u.services_timeout)
			return EXIT_USAGE;
	}
	if (wrong_options(opt))
		return EXIT_USAGE;
	u.o = model_new("update");
	model_text(u.o, "outcome", "refused");
	u.steps.rows = model_table(u.o, "step");
	u.vms = model_table(u.o, "vm");
	u.incoming = model_new("incoming");

	ready = ret = next_check_host(&u.next);
	/* A dry run says all that it can. */
	if (!ret || u.dry)
		ret = check_incoming(&u);
	if (!ret || u.dry)
		ret = next_check(&u.next) ?: ret;
	if (!ret || u.dry)
		ret = pass_on(&u) ?: ret;
	if (!ret) {
		u.ctx = ask_begin(opt, true);
		ret = u.ctx ? find_vms(&u) : EXIT_TROUBLE;
	}
	if (!ret) {
		ret = go(&u);
		if (ret && !u.dry) {
			u.partly |= !!next_unload(&u.next);
			ret = say_end(&u);
		}
	}
	keep_end();
	if (u.dry)
		model_text(u.o, "outcome", "nothing was done");
	model_print(stdout, u.o, opt->json);
	json_object_put(u.o);
	json_object_put(u.incoming);
	continuo_free(u.ctx);
	free(u.next.append);
	back_free(&u.next.back);
	return ret ?: ready;
}
