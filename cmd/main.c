// SPDX-License-Identifier: GPL-2.0-only
/* continuo: look at, and run, live updates of a host that has VMs with devices. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline.h"
#include "commands.h"
#include "continuo.h"
#include "report.h"

#define STR(x)	#x
#define XSTR(x)	STR(x)
#define VERSION	XSTR(CONTINUO_VERSION_MAJOR) "." XSTR(CONTINUO_VERSION_MINOR)

/* Help, manual and completions are made of these two tables. */
static const struct command {
	const char *name;
	const char *args;
	const char *what;
	int least, most;		/* arguments */
	int (*run)(const struct options *opt);
} commands[] = {
	{ "check", "", "is this host ready for a live update, and which devices could go over? Ends with 1 if not",
	  0, 0, cmd_check },
	{ "load", "", "put the next kernel in place, hours before the update if one likes; what can be known of it is checked now",
	  0, 0, cmd_load },
	{ "update", "", "replace the kernel: check, load, have all VMs preserve and suspend, jump; undo it all if that fails",
	  0, 0, cmd_update },
	{ "attach", "", "take over an update that is running, whoever began it, and wait for its end",
	  0, 0, cmd_attach },
	{ "abort", "", "end an update that is running, whoever began it: all VMs go on as before",
	  0, 0, cmd_abort },
	{ "confirm", "", "the next kernel is well: give up the way back that it has",
	  0, 0, cmd_confirm },
	{ "report", "", "what happened when in the last update, in both kernels",
	  0, 0, cmd_report },
	{ "list", "", "sessions and devices that would be, or were, carried over, and VMs that are registered with the agent",
	  0, 0, cmd_list },
	{ "show", "[TYPE]", "every object of an update that the kernel knows, or those of a type",
	  0, 1, cmd_show },
	{ "inspect", "FILE", "the same of a saved copy of the kernel's view, or of standard input (-)",
	  1, 1, cmd_inspect },
	{ "preserve", "[VM]", "have a VM that is registered with the agent preserve, or all of them",
	  0, 1, cmd_preserve },
	{ "unpreserve", "[VM]", "have it undo that",
	  0, 1, cmd_unpreserve },
	{ "retrieve", "SESSION", "get a session from the previous kernel, and say what is in it",
	  1, 1, cmd_retrieve },
	{ "verify", "SESSION", "would the VM of a session be taken over? Rebuilds and compares, and leaves it as it is",
	  1, 1, cmd_verify },
	{ "finish", "SESSION", "end a session that has been taken over",
	  1, 1, cmd_finish },
};

#define ASKS	"check list load update attach abort confirm preserve unpreserve retrieve verify finish"

/* @of: the commands that have it; NULL if all do. */
static const struct described_option {
	const char *name;
	char letter;			/* 0 if it has none */
	const char *arg;
	const char *of;
	const char *what;
} described[OPTIONS] = {
	[OPT_JSON] = { "json", 'j', NULL, NULL, "print JSON, of format version " XSTR(MODEL_FORMAT_VERSION) ", in place of text" },
	[OPT_ROOT] = { "root", 'r', "DIR", NULL, "look at DIR/sys, DIR/proc and DIR/dev, a copy of those of another machine" },
	[OPT_HELP] = { "help", 'h', NULL, NULL, "say this" },
	[OPT_VERSION] = { "version", 'V', NULL, NULL, "say the version" },
	[OPT_KERNEL] = { "kernel", 'k', "FILE", "load update", "the next kernel's image; of update, without it: the one that is in place" },
	[OPT_INITRD] = { "initrd", 'i', "FILE", "load update", "its initramfs" },
	[OPT_APPEND] = { "append", 'a', "LINE", "load update", "its command line" },
	[OPT_REUSE_CMDLINE] = { "reuse-cmdline", 0, NULL, "load update", "in place of --append: that of this kernel" },
	[OPT_DRY_RUN] = { "dry-run", 'n', NULL, "load update", "say what would be done, and do nothing" },
	[OPT_SHOW] = { "show", 0, NULL, "load", "say which kernel is in place, and since when; ends with 1 if an update cannot begin from one" },
	[OPT_UNLOAD] = { "unload", 0, NULL, "load", "take the loaded kernel out again, whoever has loaded it" },
	[OPT_CONFIRM_WITHIN] = { "confirm-within", 0, "SECONDS", "load update", "go back to the kernel of --back if the next one fails, or is not confirmed in so many seconds of its own" },
	[OPT_BACK] = { "back", 0, "FILE", "load update", "the image to go back to if the next kernel fails (default with --confirm-within: that of this kernel, in /boot)" },
	[OPT_BACK_INITRD] = { "back-initrd", 0, "FILE", "load update", "its initramfs (without --back: that of this kernel, in /boot)" },
	[OPT_BACK_APPEND] = { "back-append", 0, "LINE", "load update", "its command line (default: that of this kernel)" },
	[OPT_TIMEOUT] = { "timeout", 't', "SECONDS", "update preserve unpreserve report", "how long each step, and each thing that a VM is asked, may take (default: 30); of report: how long it waits (default: 600)" },
	[OPT_VERBOSE] = { "verbose", 'v', NULL, "load update attach abort preserve unpreserve", "say each step, and each answer of a VM, on standard error as it comes; if that is a terminal they are said anyway" },
	[OPT_LEAVE] = { "leave", 'l', "VM,...", "update", "go on without these VMs, whose end the jump is; of a mount point: without writing it back; of a unit: without waiting for its end" },
	[OPT_LEAVE_SILENT] = { "leave-silent", 0, NULL, "update", "go on without VMs that do not answer in time, in place of giving up" },
	[OPT_WITHOUT_VMS] = { "without-vms", 0, NULL, "update", "update though no VM is registered with the agent" },
	[OPT_NOW] = { "now", 0, NULL, "update", "jump at once: no service ends before, nothing is unmounted" },
	[OPT_SERVICES_TIMEOUT] = { "services-timeout", 0, "SECONDS", "update", "how long the services of the host have to end (default: 120)" },
	[OPT_DISCARD] = { "discard", 0, NULL, "finish", "take over what nobody has, and let go of it: its devices are stopped, its memory is lost" },
	[OPT_AGENT] = { "agent", 's', "SOCKET", ASKS, "where the agent listens (default: " CONTINUO_AGENT_SOCKET ")" },
	[OPT_BUNDLE] = { "bundle", 0, NULL, "check", "print JSON with what a report of a bug needs, and nothing of a tenant's" },
	[OPT_RECORD] = { "record", 0, "FILE", "report", "where the agent has written it (default: " REPORT_FILE ")" },
	[OPT_WAIT] = { "wait", 'w', NULL, "report", "wait until the update is over; the exit status says how it ended" },
	[OPT_EXPECT] = { "expect", 'e', "OUTCOME,...", "report", "complete, undone or partly: what ends with 0 (default with --wait: complete)" },
	[OPT_BOOT] = { "boot", 'b', "ID", "report", "only of an update that began in the boot of this id (/proc/sys/kernel/random/boot_id)" },
	[OPT_LIST] = { "list", 'L', NULL, "report", "in place of the last update: all that were kept" },
	[OPT_KEEP] = { "keep", 0, NULL, "report", "print a line for each step that was not printed before, and keep the record" },
	[OPT_HISTORY] = { "history", 0, "DIR", "report", "where records are kept (default: " REPORT_HISTORY ")" },
	[OPT_METRICS] = { "metrics", 0, "FILE", "report", "write it as metrics, in the text format of Prometheus (-: standard output)" },
	[OPT_FAILED_LOG] = { "failed-log", 0, NULL, "report", "in place of it: the end of the log of the kernel from which the machine came back" },
	[OPT_SVG] = { "svg", 0, NULL, "report", "print a picture of it, in place of text" },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

int trouble(const char *fmt, ...)
{
	char *text, *clean;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	/* Names of other people's can be in it. */
	clean = model_clean(text);
	fprintf(stderr, "continuo: %s\n", clean);
	free(clean);
	free(text);
	return EXIT_TROUBLE;
}

static char *path_of(const struct options *opt, const char *fmt, va_list args)
{
	char *path, *whole;

	if (vasprintf(&path, fmt, args) < 0 ||
	    asprintf(&whole, "%s%s", opt->root, path) < 0)
		abort();
	free(path);
	return whole;
}

char *read_text(const struct options *opt, const char *fmt, ...)
{
	char *path, *text = NULL;
	size_t room = 0;
	va_list args;
	ssize_t n;
	FILE *f;

	va_start(args, fmt);
	path = path_of(opt, fmt, args);
	va_end(args);
	f = fopen(path, "r");
	n = f ? getdelim(&text, &room, '\0', f) : -1;
	/* An empty file has an empty text. */
	if (n < 0 && f && feof(f) && !ferror(f)) {
		free(text);
		text = strdup("");
		n = 0;
	}
	if (n < 0) {
		free(text);
		text = NULL;
	} else if (n && text[n - 1] == '\n') {
		text[n - 1] = 0;
	}
	if (f)
		fclose(f);
	free(path);
	return text;
}

bool is_watched(const struct options *opt)
{
	return opt->given[OPT_VERBOSE] || isatty(2);
}

bool is_there(const struct options *opt, const char *fmt, ...)
{
	va_list args;
	char *path;
	bool there;

	va_start(args, fmt);
	path = path_of(opt, fmt, args);
	va_end(args);
	there = !access(path, F_OK);
	free(path);
	return there;
}

void each_iommu(const struct options *opt, void (*one)(const char *name, void *arg), void *arg)
{
	struct dirent *de;
	char *path;
	DIR *dir;

	if (asprintf(&path, "%s/sys/class/iommu", opt->root) < 0)
		abort();
	dir = opendir(path);
	free(path);
	while (dir && (de = readdir(dir)))
		if (de->d_name[0] != '.')
			one(de->d_name, arg);
	if (dir)
		closedir(dir);
}

static void found_iommu(const char *name, void *arg)
{
	(void)name;
	*(bool *)arg = true;
}

bool is_without_iommu(const struct options *opt)
{
	char *unsafe = read_text(opt, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	bool allowed = cmdline_is_on(unsafe), any = false;

	each_iommu(opt, found_iommu, &any);
	free(unsafe);
	return allowed && !any;
}

static bool belongs(const struct described_option *o, const char *command)
{
	size_t n = strlen(command);

	for (const char *at = o->of; at && (at = strstr(at, command)); at += n)
		if ((at == o->of || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return !o->of;
}

static void usage_option(FILE *to, const struct described_option *o)
{
	char name[40];

	snprintf(name, sizeof(name), "%s%s%s", o->name, o->arg ? " " : "", o->arg ?: "");
	if (o->letter)
		fprintf(to, "  -%c, --%-16s %s", o->letter, name, o->what);
	else
		fprintf(to, "      --%-16s %s", name, o->what);
	if (o->of)
		fprintf(to, " [%s]", o->of);
	fputc('\n', to);
}

/* Of one command. */
static void usage_of(FILE *to, const struct command *command)
{
	fprintf(to, "usage: continuo %s [OPTION]...%s%s\n\n%s.\n\noptions:\n", command->name,
		*command->args ? " " : "", command->args, command->what);
	for (size_t i = 0; i < OPTIONS; i++)
		if (belongs(&described[i], command->name))
			usage_option(to, &described[i]);
	fprintf(to, "\n'man continuo-%s' says more\n", command->name);
}

static void usage(FILE *to)
{
	fputs("usage: continuo [OPTION]... COMMAND [ARGUMENT]\n\n"
	      "Live updates of a host whose VMs have devices.\n\ncommands:\n", to);
	for (size_t i = 0; i < N(commands); i++)
		fprintf(to, "  %-11s%-9s%s\n", commands[i].name, commands[i].args,
			commands[i].what);
	fputs("\noptions, and which commands have them:\n", to);
	for (size_t i = 0; i < OPTIONS; i++)
		usage_option(to, &described[i]);
	fputs("\nexit status: 0 done, or ready; 1 not ready, or there is nothing to begin from, attach to, abort or confirm; 2 wrong usage; 3 it could not be done;\n"
	      "of update, attach and abort, and of report with --wait or --expect if the update is not as expected: 4 undone, 5 partly, 6 not over yet, 7 complete\n", to);
}

/* What the manual and the completions are made from. */
static void describe(void)
{
	struct json_object *o = model_new("describe"), *table, *row;

	model_text(o, "version", VERSION);
	model_text(o, "date", CONTINUO_VERSION_DATE);
	table = model_table(o, "commands");
	for (size_t i = 0; i < N(commands); i++) {
		row = model_row(table);
		model_text(row, "name", commands[i].name);
		model_text(row, "args", commands[i].args);
		model_text(row, "what", commands[i].what);
	}
	table = model_table(o, "options");
	for (size_t i = 0; i < OPTIONS; i++) {
		row = model_row(table);
		model_text(row, "name", described[i].name);
		if (described[i].letter)
			model_format(row, "letter", "%c", described[i].letter);
		model_text(row, "arg", described[i].arg);
		model_text(row, "of", described[i].of);
		model_text(row, "what", described[i].what);
	}
	model_print(stdout, o, true);
	json_object_put(o);
}

static int wrong(const char *fmt, ...)
{
	va_list args;

	fputs("continuo: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("; 'continuo --help' names what there is\n", stderr);
	return EXIT_USAGE;
}

enum { DESCRIBE = 256, FIRST_OPTION };

/* For getopt: each option has a number of its own, and its letter, if it has one. */
static void tell_getopt(struct option longs[OPTIONS + 2], char letters[2 * OPTIONS + 2])
{
	*letters++ = ':';
	for (int i = 0; i < OPTIONS; i++) {
		longs[i] = (struct option){
			.name = described[i].name,
			.has_arg = described[i].arg ? required_argument : no_argument,
			.val = FIRST_OPTION + i,
		};
		if (!described[i].letter)
			continue;
		*letters++ = described[i].letter;
		if (described[i].arg)
			*letters++ = ':';
	}
	*letters = 0;
	longs[OPTIONS] = (struct option){ .name = "describe", .val = DESCRIBE };
	longs[OPTIONS + 1] = (struct option){};
}

static int option_of(int c)
{
	for (int i = 0; i < OPTIONS; i++)
		if (c == FIRST_OPTION + i || (described[i].letter && c == described[i].letter))
			return i;
	return -1;
}

int main(int argc, char **argv)
{
	struct option longs[OPTIONS + 2];
	char letters[2 * OPTIONS + 2];
	struct options opt = { .root = "" };
	const struct command *command = NULL;
	int c, ret;

	opterr = 0;
	tell_getopt(longs, letters);
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		int i = option_of(c);

		if (c == DESCRIBE) {
			describe();
			return EXIT_FINE;
		}
		if (c == ':')
			return wrong("%s takes an argument", argv[optind - 1]);
		if (i < 0)
			return wrong("there is no option %s", argv[optind - 1]);
		opt.given[i] = optarg ?: "";
	}
	for (size_t i = 0; i < N(commands) && optind < argc; i++)
		if (!strcmp(commands[i].name, argv[optind]))
			command = &commands[i];
	if (opt.given[OPT_HELP]) {
		if (command)
			usage_of(stdout, command);
		else
			usage(stdout);
		return EXIT_FINE;
	}
	if (opt.given[OPT_VERSION]) {
		puts("continuo " VERSION);
		return EXIT_FINE;
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!command)
		return wrong("there is no command '%s'", argv[optind]);
	for (int i = 0; i < OPTIONS; i++)
		if (opt.given[i] && !belongs(&described[i], command->name))
			return wrong("%s has no option --%s", command->name, described[i].name);
	opt.json = opt.given[OPT_JSON];
	opt.root = opt.given[OPT_ROOT] ?: "";
	opt.argc = argc - optind - 1;
	opt.argv = argv + optind + 1;
	if (opt.argc < command->least || opt.argc > command->most)
		return wrong("%s takes %s", command->name,
			     *command->args ? command->args : "no argument");
	ret = command->run(&opt);
	if (fflush(stdout) || ferror(stdout))
		return trouble("standard output: %s", strerror(errno));
	return ret;
}
