// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whatever a view or a record says, it is read to its end or refused,
 * and what was read can be printed each way.
 */
#define _GNU_SOURCE
#include <unistd.h>

/* Nothing changes by waiting here. */
#define usleep(us)	((void)(us))
#include "view.c"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int trouble(const char *fmt, ...)
{
	return EXIT_TROUBLE;
}

static const char *file;

char *read_text(const struct options *opt, const char *fmt, ...)
{
	return strdup(file);
}

#include "report.c"

/* A record is an object; a view never begins like one. */
static void fuzz_report(const char *text)
{
	struct options opt = { .root = "" };

	file = text;
	cmd_report(&opt);
	opt.json = true;
	cmd_report(&opt);
	opt.given[OPT_SVG] = "";
	cmd_report(&opt);
	opt.given[OPT_METRICS] = "-";
	cmd_report(&opt);
	/* What is kept of it is as hostile, and cannot be written. */
	opt.given[OPT_KEEP] = "";
	opt.given[OPT_HISTORY] = "/proc/continuo-fuzz";
	cmd_report(&opt);
	opt.json = false;
	cmd_report(&opt);
	opt.given[OPT_EXPECT] = "complete,undone";
	cmd_report(&opt);
}

/* As the text of a file, and as that of the device, of which only some is kept. */
static void fuzz_view(const char *text)
{
	static FILE *nowhere;
	const struct wanted all = {};
	struct options opt = { .root = "" };
	struct json_object *o = model_new("fuzz"), *incoming = model_new("fuzz");
	char *copy = strdup(text);

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	if (parse(copy, o, &all, NULL, "fuzz") == EXIT_FINE) {
		model_print(nowhere, o, true);
		model_print(nowhere, o, false);
	}
	file = text;
	view_incoming(&opt, incoming);
	json_object_put(incoming);
	json_object_put(o);
	free(copy);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = 0;
	if (*text == '{')
		fuzz_report(text);
	else
		fuzz_view(text);
	free(text);
	return 0;
}
