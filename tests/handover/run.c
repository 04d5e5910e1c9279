// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judge the handovers in the files named on the command line.
 *
 * A file takes the good handover of image.c, damages it, and says what has to
 * be refused then, a line each; nothing if it says nothing:
 *
 *	mode legacy|scalable|both
 *	v1				of the version before
 *	put PAGE OFFSET BYTES VALUE	VALUE: numbers and pa(PAGE), joined by +
 *	drop PAGE			was not preserved
 *	expect WHAT: WHY
 *
 * With -c DIRECTORY each is also written there as an input for the fuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "input.h"

static const char *file;
static unsigned int line_nr;

static void bad(const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", file, line_nr, what);
	exit(2);
}

static enum page_name page_of(const char *name)
{
	for (unsigned int i = 0; name && i < P_NR; i++)
		if (!strcmp(page_names[i], name))
			return i;
	bad("there is no page of this name (image.c lists them)");
	return P_NR;
}

static u64 value_of(char *text)
{
	char *save = NULL, *end;
	u64 sum = 0;

	if (!text)
		bad("a value is missing");
	for (text = strtok_r(text, "+", &save); text;
	     text = strtok_r(NULL, "+", &save)) {
		if (!strncmp(text, "pa(", 3)) {
			end = strchr(text, ')');
			if (!end || end[1])
				bad("pa(PAGE) is how an address is written");
			*end = 0;
			sum += PAGE_PA(page_of(text + 3));
			continue;
		}
		sum += strtoull(text, &end, 0);
		if (*end)
			bad("not a number");
	}
	return sum;
}

struct damage {
	bool modes[2];
	bool v1;
	char expect[4096];
	struct input in;
};

static void parse(FILE *f, struct damage *d)
{
	char text[512], *word, *save;

	memset(d, 0, sizeof(*d));
	d->modes[0] = d->modes[1] = true;
	for (line_nr = 1; fgets(text, sizeof(text), f); line_nr++) {
		if (!strncmp(text, "expect ", 7)) {
			strncat(d->expect, text + 7,
				sizeof(d->expect) - strlen(d->expect) - 1);
			continue;
		}
		word = strtok_r(text, " \t\n", &save);
		if (!word || *word == '#')
			continue;
		if (!strcmp(word, "v1")) {
			d->v1 = true;
		} else if (!strcmp(word, "mode")) {
			word = strtok_r(NULL, " \t\n", &save);
			if (!word)
				bad("which mode?");
			d->modes[0] = strcmp(word, "scalable");
			d->modes[1] = strcmp(word, "legacy");
		} else if (!strcmp(word, "drop")) {
			input_drop(&d->in, page_of(strtok_r(NULL, " \t\n", &save)));
		} else if (!strcmp(word, "put")) {
			enum page_name page = page_of(strtok_r(NULL, " \t\n", &save));
			u64 at = value_of(strtok_r(NULL, " \t\n", &save));
			u64 len = value_of(strtok_r(NULL, " \t\n", &save));

			if (!len || len > 8 || at + len > PAGE_SIZE << image_order(page))
				bad("that is not inside of the page");
			input_put(&d->in, page, at, len,
				  value_of(strtok_r(NULL, " \t\n", &save)));
		} else {
			bad("unknown word");
		}
		if (d->in.len > sizeof(d->in.bytes) - 16)
			bad("too many damages");
	}
}

static void write_input(const char *dir, const struct damage *d, bool mode)
{
	const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%d", dir, base, mode);
	f = fopen(path, "wb");
	if (!f || fputc(mode | d->v1 << 1, f) == EOF ||
	    fwrite(d->in.bytes, 1, d->in.len, f) != d->in.len || fclose(f)) {
		perror(path);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *corpus = NULL;
	unsigned int failed = 0, run = 0;
	struct damage d;
	char got[4096];
	int opt;

	while ((opt = getopt(argc, argv, "c:")) != -1) {
		if (opt != 'c')
			return 2;
		corpus = optarg;
	}
	image_init();
	for (; optind < argc; optind++) {
		FILE *f;

		file = argv[optind];
		f = fopen(file, "r");
		if (!f) {
			perror(file);
			return 2;
		}
		parse(f, &d);
		fclose(f);
		for (unsigned int mode = 0; mode < 2; mode++) {
			if (!d.modes[mode])
				continue;
			if (corpus)
				write_input(corpus, &d, mode);
			image_reset(mode, d.v1);
			input_apply(d.in.bytes, d.in.len);
			image_judge(got, sizeof(got));
			run++;
			if (!strcmp(got, d.expect))
				continue;
			failed++;
			printf("%s (%s mode): expected\n%sbut got\n%s\n", file,
			       mode ? "scalable" : "legacy",
			       *d.expect ? d.expect : "nothing\n",
			       *got ? got : "nothing\n");
		}
	}
	printf("%u handovers judged, %u wrongly\n", run, failed);
	return failed || !run;
}
