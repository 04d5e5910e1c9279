// SPDX-License-Identifier: GPL-2.0-only
/* The way back: which image it is, what the next kernel is told of it; and confirm. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ask.h"
#include "back.h"
#include "cmdline.h"
#include "next.h"

#define MOST_SECONDS	86400

/* --- which image --- */

/* Of the running kernel, where distributions have it. NULL if it is not there. */
static char *beside(const struct options *opt, const char *release, const char *before, const char *behind)
{
	char *path;

	if (asprintf(&path, "/boot/%s%s%s", before, release, behind) < 0)
		abort();
	if (is_there(opt, "%s", path))
		return path;
	free(path);
	return NULL;
}

static int find_image(const struct options *opt, struct back *back)
{
	const char *kernel = opt->given[OPT_BACK], *initrd = opt->given[OPT_BACK_INITRD];
	struct utsname uts;

	if (uname(&uts))
		*uts.release = 0;
	if (initrd)
		back->initrd = strdup(initrd);
	if (kernel) {
		back->kernel = strdup(kernel);
		return EXIT_FINE;
	}
	back->kernel = beside(opt, uts.release, "vmlinuz-", "") ?: beside(opt, uts.release, "Image-", "");
	if (!back->kernel)
		return trouble("there is no /boot/vmlinuz-%s: say which image to go back to, by --back", uts.release);
	if (!initrd)
		back->initrd = beside(opt, uts.release, "initrd.img-", "") ?: beside(opt, uts.release, "initramfs-", ".img");
	return EXIT_FINE;
}

int back_wrong_options(const struct options *opt)
{
	if (opt->given[OPT_BACK_INITRD] && !opt->given[OPT_BACK])
		return trouble("--back-initrd is of an image: give --back FILE, too");
	if (opt->given[OPT_BACK_APPEND] && !opt->given[OPT_BACK] && !opt->given[OPT_CONFIRM_WITHIN])
		return trouble("--back-append is of an image to go back to: give --back FILE or --confirm-within SECONDS, too");
	return EXIT_FINE;
}

/* Its driver knows no way back. */
static void find_smmuv3(const char *name, void *arg)
{
	*(bool *)arg |= !strncmp(name, "smmu3.", 6);
}

static bool has_smmuv3(const struct options *opt)
{
	bool has = false;

	each_iommu(opt, find_smmuv3, &has);
	return has;
}

int back_check(const struct options *opt, struct back *back, const char *now, unsigned long long *bytes)
{
	char *why;
	int ret;

	back->wanted = opt->given[OPT_BACK] || opt->given[OPT_CONFIRM_WITHIN];
	if (!back->wanted)
		return EXIT_FINE;
	if (!is_there(opt, BACK_FOLDER))
		return trouble("this kernel knows no way back: leave --confirm-within and --back out, or boot a kernel with CONFIG_LIVEUPDATE that has it");
	/* The kernel would say so at the jump, when the VMs are suspended. */
	if (has_smmuv3(opt) || is_without_iommu(opt))
		return trouble("there is no way back behind an SMMUv3, or without an IOMMU: leave --confirm-within and --back out");
	ret = find_image(opt, back);
	back->append = opt->given[OPT_BACK_APPEND] ? strdup(opt->given[OPT_BACK_APPEND]) :
						     cmdline_without(now, BACK_WITHIN);
	why = ret ? NULL : cmdline_objection(now, back->append, is_without_iommu(opt));
	if (why)
		ret = trouble("the command line of the kernel to go back to: %s", why);
	free(why);
	return ret ?: next_look_at(opt, back->kernel, back->initrd, back->append, bytes);
}

void back_free(struct back *back)
{
	free(back->kernel);
	free(back->initrd);
	free(back->append);
}

/* --- what the next kernel is told --- */

static char *with(char *line, const char *name, const char *value)
{
	char *given = cmdline_value(line, name), *whole;

	if (given) {
		free(given);
		return line;
	}
	if (asprintf(&whole, "%.*s%s%s=%s", (int)strcspn(line, "\n"), line, *line && *line != '\n' ? " " : "",
		     name, value) < 0)
		abort();
	free(line);
	return whole;
}

char *back_told(const struct options *opt, char *append)
{
	/* On another CPU than the first the kernel that it goes back to has one CPU fewer. */
	append = with(append, "panic_force_cpu", "0");
	return opt->given[OPT_CONFIRM_WITHIN] ? with(append, BACK_WITHIN, opt->given[OPT_CONFIRM_WITHIN]) : append;
}

char *back_objection(const char *append, const char *within)
{
	char *given = cmdline_value(append, BACK_WITHIN), *end, *why = NULL;
	unsigned long s = within ? strtoul(within, &end, 10) : 1;
	int ret = 0;

	if (within && (!*within || *end || !s || s > MOST_SECONDS))
		ret = asprintf(&why, "--confirm-within %s: it takes a number of seconds, 1 to %u", within, MOST_SECONDS);
	else if (within && !given)
		ret = asprintf(&why, "it was loaded without " BACK_WITHIN "=: have 'continuo load --confirm-within' load it");
	else if (within && strcmp(given, within))
		ret = asprintf(&why, BACK_WITHIN "=%s is on it, and --confirm-within is %s: give one of them", given, within);
	if (ret < 0)
		abort();
	free(given);
	return why;
}

/* --- what there is --- */

bool back_is_loaded(const struct options *opt)
{
	char *loaded = read_text(opt, BACK_FOLDER "/loaded");
	bool is = loaded && !strcmp(loaded, "1");

	free(loaded);
	return is;
}

char *back_state(const struct options *opt)
{
	return read_text(opt, BACK_FOLDER "/state") ?: strdup("none");
}

int back_unload(const struct options *opt)
{
	int ret;

	if (!back_is_loaded(opt))
		return EXIT_FINE;
	ret = next_kexec(-1, -1, NULL, KEXEC_FILE_UNLOAD | KEXEC_FILE_BACK);
	if (ret)
		return trouble("the image to go back to cannot be unloaded: %s", next_why_not_unloaded(-ret));
	return EXIT_FINE;
}

/* --- confirm --- */

static int nothing_to_confirm(char *state)
{
	trouble("there is nothing to confirm: this kernel's way back is '%s'", state);
	free(state);
	return EXIT_NOT_READY;
}

int cmd_confirm(const struct options *opt)
{
	struct json_object *o;
	struct continuo *ctx;
	char *state;
	bool again;
	int ret;

	if (*opt->root)
		return trouble("--root is for commands that only look; this one acts on this machine");
	state = back_state(opt);
	again = !strcmp(state, "confirmed");
	if (!again && strcmp(state, "armed"))
		return nothing_to_confirm(state);
	/* Without an agent nobody waits, and the kernel is told. */
	ctx = ask_begin(opt, opt->given[OPT_AGENT]);
	if (!ctx) {
		free(state);
		return EXIT_TROUBLE;
	}
	ret = continuo_confirm(ctx);
	/* It was over before, or is since we looked: it has been confirmed, or goes back this moment. */
	if (ret == -ENOENT) {
		free(state);
		state = back_state(opt);
		if (again || strcmp(state, "armed")) {
			continuo_free(ctx);
			return nothing_to_confirm(state);
		}
	}
	free(state);
	ret = ret ? ask_trouble(ctx) : EXIT_FINE;
	o = model_new("confirm");
	model_text(o, "outcome", ret ? "refused" : "confirmed");
	model_print(stdout, o, opt->json);
	json_object_put(o);
	continuo_free(ctx);
	return ret;
}
