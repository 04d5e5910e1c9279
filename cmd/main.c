// SPDX-License-Identifier: GPL-2.0-only
/* continuo: look at, and run, live updates of a host that has VMs with devices. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "continuo.h"

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
	{ "list", "", "sessions and devices that would be, or were, carried over",
	  0, 0, cmd_list },
	{ "show", "[TYPE]", "every object of an update that the kernel knows, or those of a type",
	  0, 1, cmd_show },
	{ "inspect", "FILE", "the same of a saved copy of the kernel's view, or of standard input (-)",
	  1, 1, cmd_inspect },
};

static const struct described_option {
	const char *name;
	char letter;
	const char *arg;
	const char *what;
} described[] = {
	{ "json", 'j', NULL, "print JSON, of format version " XSTR(MODEL_FORMAT_VERSION) ", in place of text" },
	{ "root", 'r', "DIR", "look at DIR/sys, DIR/proc and DIR/dev, a copy of those of another machine" },
	{ "help", 'h', NULL, "say this" },
	{ "version", 'V', NULL, "say the version" },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

int trouble(const char *fmt, ...)
{
	va_list args;

	fputs("continuo: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
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

static void usage(FILE *to)
{
	fputs("usage: continuo [OPTION]... COMMAND [ARGUMENT]\n\n"
	      "Live updates of a host whose VMs have devices.\n\ncommands:\n", to);
	for (size_t i = 0; i < N(commands); i++)
		fprintf(to, "  %-9s%-8s%s\n", commands[i].name, commands[i].args,
			commands[i].what);
	fputs("\noptions:\n", to);
	for (size_t i = 0; i < N(described); i++)
		fprintf(to, "  -%c, --%-9s%-5s%s\n", described[i].letter,
			described[i].name, described[i].arg ?: "", described[i].what);
	fputs("\nexit status: 0 done, or ready; 1 not ready; 2 wrong usage; 3 it could not be done\n", to);
}

/* What the manual and the completions are made from. */
static void describe(void)
{
	struct json_object *o = model_new("describe"), *table, *row;

	model_text(o, "version", VERSION);
	table = model_table(o, "commands");
	for (size_t i = 0; i < N(commands); i++) {
		row = model_row(table);
		model_text(row, "name", commands[i].name);
		model_text(row, "args", commands[i].args);
		model_text(row, "what", commands[i].what);
	}
	table = model_table(o, "options");
	for (size_t i = 0; i < N(described); i++) {
		row = model_row(table);
		model_text(row, "name", described[i].name);
		model_format(row, "letter", "%c", described[i].letter);
		model_text(row, "arg", described[i].arg);
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

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "describe", no_argument, NULL, 'D' },
		{ }
	};
	struct options opt = { .root = "" };
	const struct command *command = NULL;
	int c, ret;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":jr:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			opt.json = true;
			break;
		case 'r':
			opt.root = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_FINE;
		case 'V':
			puts("continuo " VERSION);
			return EXIT_FINE;
		case 'D':
			describe();
			return EXIT_FINE;
		case ':':
			return wrong("%s takes an argument", argv[optind - 1]);
		default:
			return wrong("there is no option %s", argv[optind - 1]);
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < N(commands); i++)
		if (!strcmp(commands[i].name, argv[optind]))
			command = &commands[i];
	if (!command)
		return wrong("there is no command '%s'", argv[optind]);
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
