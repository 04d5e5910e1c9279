// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/end.h"
#include "core/files.h"
#include "core/options.h"

#define OPT_MAX		48

static struct {
	char *name;
	char *value;
} opts[OPT_MAX];
static unsigned int nr_opts;

void opt_set(const char *assignment)
{
	const char *eq = strchr(assignment, '=');
	char *name, *value;
	unsigned int i;

	name = eq ? strndup(assignment, eq - assignment) : strdup(assignment);
	value = strdup(eq ? eq + 1 : "1");
	for (i = 0; i < nr_opts; i++)
		if (!strcmp(opts[i].name, name))
			break;
	if (i == OPT_MAX)
		die("option %s: more than %d options", name, OPT_MAX);
	opts[i].name = name;
	opts[i].value = value;
	if (i == nr_opts)
		nr_opts++;
}

void opt_load_cmdline(void)
{
	static char line[4096];
	char *word, *save = NULL;

	read_file("/proc/cmdline", line, sizeof(line));
	for (word = strtok_r(line, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save))
		if (!strncmp(word, "rig.", 4))
			opt_set(word + 4);
}

const char *opt(const char *name, const char *dflt)
{
	for (unsigned int i = 0; i < nr_opts; i++)
		if (!strcmp(opts[i].name, name))
			return opts[i].value;
	return dflt;
}

long opt_num(const char *name, long dflt)
{
	const char *text = opt(name, NULL);

	return text ? strtol(text, NULL, 0) : dflt;
}

void opt_append_all(char *buf, size_t len)
{
	size_t used = strlen(buf);

	for (unsigned int i = 0; i < nr_opts; i++) {
		used += snprintf(buf + used, len - used, " rig.%s=%s",
				 opts[i].name, opts[i].value);
		if (used >= len)
			die("the next kernel's command line is too long");
	}
}
