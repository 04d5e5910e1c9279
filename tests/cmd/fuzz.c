// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whatever a view or a record says, it is read to its end or refused,
 * and what was read can be printed each way. The same of the record of the kernel that is
 * in place.
 */
#define _GNU_SOURCE
#include <unistd.h>

/* Nothing changes by waiting here. */
#define usleep(us)	((void)(us))
#include "view.c"
#include "placed.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int trouble(const char *fmt, ...)
{
	return EXIT_TROUBLE;
}

char *back_state(const struct options *opt)
{
	return strdup("none");
}

static const char *file;

/* Of a machine on which a kernel is in place; elsewhere all files are the same. */
static const struct {
	const char *path, *text;
} machine[] = {
	{ PLACED_FILE, NULL },
	{ "/proc/sys/kernel/random/boot_id", "boot-a" },
	{ "/sys/kernel/kexec_loaded", "1" },
	{ VIEW_DEVICE, "format=1\nview state=whole\nimage kernel=outgoing state=has-list\n"
		       "format kernel=outgoing compatible=\"luo-v5\" state=read\n" },
};
static bool is_placed;

bool is_watched(const struct options *opt)
{
	(void)opt;
	return false;
}

char *read_text(const struct options *opt, const char *fmt, ...)
{
	for (size_t i = 0; is_placed && i < sizeof(machine) / sizeof(machine[0]); i++)
		if (!strcmp(fmt, machine[i].path))
			return strdup(machine[i].text ?: file);
	errno = ENOENT;
	return is_placed ? NULL : strdup(file);
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

/* It is known and of this boot, or it is said why not; what is shown of it is what is in it. */
static void fuzz_placed(const char *text)
{
	static const char *const facts[] = {
		"kernel", "sha256", "initrd", "initrd_sha256", "append", "loaded",
	};
	struct options opt = { .root = "" };
	struct json_object *record;
	char *why;
	enum placed placed;

	file = text;
	is_placed = true;
	placed = placed_find(&opt, &record, &why);
	is_placed = false;
	if ((placed == PLACED_KNOWN) != !!record || (placed == PLACED_KNOWN) == !!why)
		abort();
	if (record && (strcmp(record_text(record, "boot"), "boot-a") || !*record_text(record, "kernel")))
		abort();
	for (size_t i = 0; record && i < sizeof(facts) / sizeof(facts[0]); i++)
		if (record_get(record, facts[i]) && !json_object_is_type(record_get(record, facts[i]), json_type_string))
			abort();
	json_object_put(record);
	free(why);
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
	/* Of both formats, no field is in the other. */
	if (*text == '{' && strstr(text, "\"append\""))
		fuzz_placed(text);
	else if (*text == '{')
		fuzz_report(text);
	else
		fuzz_view(text);
	free(text);
	return 0;
}
