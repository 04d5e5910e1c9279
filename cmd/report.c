// SPDX-License-Identifier: GPL-2.0-only
/*
 * report: what happened when in the last update, from the record that the agents of both
 * kernels have kept. Text, JSON and picture are made from one model.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "back.h"
#include "placed.h"
#include "record.h"
#include "report.h"

/* --- the model --- */

static void add_phases(struct json_object *o, struct json_object *at, long long zero)
{
	struct json_object *table = model_table(o, "phase"), *row;
	long long begin, end;

	for (size_t i = 0; record_phases[i].phase; i++) {
		if (!record_took(at, &record_phases[i], &begin, &end))
			continue;
		row = model_row(table);
		model_text(row, "phase", record_phases[i].phase);
		model_ms(row, "begin_ms", (begin - zero) / 1e3);
		model_ms(row, "ms", (end - begin) / 1e3);
	}
}

static void add_vm(struct json_object *table, struct json_object *vm)
{
	struct json_object *row = model_row(table);
	long long begin, end;
	char *name;

	model_text(row, "vm", record_text(vm, "name"));
	model_int(row, "uid", json_object_get_int64(record_get(vm, "uid")));
	model_text(row, "state", record_vm_state(vm));
	model_text(row, "why", *record_text(vm, "why") ? record_text(vm, "why") : NULL);
	for (size_t i = 0; record_vm_phases[i].phase; i++) {
		if (!record_took(vm, &record_vm_phases[i], &begin, &end))
			continue;
		if (asprintf(&name, "%s_ms", record_vm_phases[i].phase) < 0)
			abort();
		for (char *c = name; *c; c++)
			if (*c == ' ')
				*c = '_';
		model_ms(row, name, (end - begin) / 1e3);
		free(name);
	}
}

/* Which kernel it goes over to, or went: the record has it if it was kept. */
static void add_next(const struct options *opt, struct json_object *o, struct json_object *record)
{
	struct json_object *next = placed_for(opt, record);
	const char *kernel = record_text(record, "next_kernel"), *sum = record_text(record, "next_sha256");

	if (!*kernel && next) {
		kernel = record_text(next, "kernel");
		sum = record_text(next, "sha256");
	}
	model_text(o, "next_kernel", *kernel ? kernel : NULL);
	model_text(o, "next_sha256", *sum ? sum : NULL);
	json_object_put(next);
}

static struct json_object *model_of(const struct options *opt, struct json_object *record, long long zero)
{
	struct json_object *o = model_new("report"), *vms = record_get(record, "vm"), *table;

	model_text(o, "outcome", record_text(record, "outcome"));
	model_text(o, "ended", record_verdicts[record_verdict(record)]);
	model_text(o, "id", *record_text(record, "id") ? record_text(record, "id") : NULL);
	model_text(o, "why", *record_text(record, "why") ? record_text(record, "why") : NULL);
	model_text(o, "from", record_text(record, "from"));
	model_text(o, "to", *record_text(record, "to") ? record_text(record, "to") : NULL);
	model_text(o, "axis", *record_text(record, "axis") ? record_text(record, "axis") : NULL);
	add_next(opt, o, record);
	model_text(o, "back", *record_text(record, "back") ? record_text(record, "back") : NULL);
	model_text(o, "back_why", *record_text(record, "back_why") ? record_text(record, "back_why") : NULL);
	add_phases(o, record_get(record, "at"), zero);
	table = model_table(o, "vm");
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		add_vm(table, json_object_array_get_idx(vms, i));
	return o;
}

/* --- the picture --- */

enum { WIDTH = 1100, LEFT = 170, RIGHT = 90, ROW = 26, TOP = 60 };

struct picture {
	long long zero, end;
	int y;
};

static void escaped(const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&' || *text == '"' ||
		    (unsigned char)*text < 0x20)
			printf("&#%u;", (unsigned char)*text < 0x20 ? '?' : (unsigned char)*text);
		else
			putchar(*text);
	}
}

static double x_of(const struct picture *p, long long us)
{
	return LEFT + (double)(us - p->zero) / (p->end - p->zero) * (WIDTH - LEFT - RIGHT);
}

static void row_name(const struct picture *p, const char *name)
{
	printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 10, p->y + 16);
	escaped(name);
	puts("</text>");
}

/* @what: goes before its length; NULL if it has no label. */
static void bar(const struct picture *p, long long begin, long long end, const char *colour,
		const char *what)
{
	double x = x_of(p, begin), w = x_of(p, end) - x;

	if (w < 1.5)
		w = 1.5;
	printf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"20\" fill=\"%s\"/>\n",
	       x, p->y, w, colour);
	if (!what)
		return;
	/* Within, where there is room for it. */
	printf("<text x=\"%.1f\" y=\"%d\" fill=\"%s\">%s%s%.1f ms</text>\n",
	       w > 160 ? x + 8 : x + w + 5, p->y + 15, w > 160 ? "#fff" : "#333",
	       what, *what ? " " : "", (end - begin) / 1e3);
}

static void scale(const struct picture *p, int bottom)
{
	long long step = 10000;

	for (int i = 0; (p->end - p->zero) / step > 12; i++)
		step = step / (i % 3 == 1 ? 2 : 1) * (i % 3 == 1 ? 5 : 2);
	for (long long us = 0; us <= p->end - p->zero; us += step)
		printf("<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#ddd\"/>\n"
		       "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#666\">%g s</text>\n",
		       x_of(p, p->zero + us), TOP - 6, x_of(p, p->zero + us), bottom,
		       x_of(p, p->zero + us), TOP - 12, us / 1e6);
}

static void later(struct json_object *o, long long *last)
{
	long long us;

	json_object_object_foreach(o, key, value) {
		(void)value;
		if (strcmp(key, "uid") && record_time(o, key, &us) && us > *last)
			*last = us;
	}
}

static long long last_of(struct json_object *record)
{
	struct json_object *vms = record_get(record, "vm");
	long long last = 0;

	later(record_get(record, "at"), &last);
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		later(json_object_array_get_idx(vms, i), &last);
	return last;
}

static void draw(struct json_object *record, long long zero)
{
	struct json_object *vms = record_get(record, "vm"), *at = record_get(record, "at");
	struct picture p = { .zero = zero, .end = last_of(record), .y = TOP };
	int rows = (int)json_object_array_length(vms), bottom;
	long long begin, end;

	for (size_t i = 0; record_phases[i].phase; i++)
		rows++;
	bottom = TOP + rows * ROW + 20;
	if (p.end <= p.zero)
		p.end = p.zero + 1;
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\">\n"
	       "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n<text x=\"10\" y=\"24\" font-size=\"16\">",
	       WIDTH, bottom, WIDTH, bottom, WIDTH, bottom);
	escaped(record_text(record, "from"));
	if (*record_text(record, "to")) {
		fputs(" to ", stdout);
		escaped(record_text(record, "to"));
	}
	fputs(": ", stdout);
	escaped(record_text(record, "outcome"));
	puts("</text>");
	scale(&p, bottom - 16);
	for (size_t i = 0; record_phases[i].phase; i++) {
		if (!record_took(at, &record_phases[i], &begin, &end))
			continue;
		row_name(&p, record_phases[i].phase);
		bar(&p, begin, end, record_phases[i].colour, "");
		p.y += ROW;
	}
	p.y += 10;
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		row_name(&p, record_text(vm, "name"));
		for (size_t j = 0; record_vm_phases[j].phase; j++)
			if (*record_vm_phases[j].colour &&
			    record_took(vm, &record_vm_phases[j], &begin, &end))
				bar(&p, begin, end, record_vm_phases[j].colour,
				    j ? record_vm_phases[j].phase : NULL);
		p.y += ROW;
	}
	puts("</svg>");
}

/* --- waiting --- */

#define POLL_US		200000
#define TIMEOUT_S	600

/* What the exit status says when it is asked for how the update ended. */
static const int status_of[VERDICTS] = {
	[VERDICT_PENDING] = EXIT_PENDING, [VERDICT_COMPLETE] = EXIT_COMPLETE,
	[VERDICT_UNDONE] = EXIT_UNDONE, [VERDICT_PARTLY] = EXIT_PARTLY,
};

/*
 * Is it the record of the update that is asked for? With --boot it is one that began in
 * the boot of that id: in that boot a record that has not gone over, afterwards one that has.
 */
static bool is_meant(const struct options *opt, struct json_object *record)
{
	char *boot = opt->given[OPT_BOOT] ? read_text(opt, "/proc/sys/kernel/random/boot_id") : NULL;
	bool here = boot && !strcmp(boot, opt->given[OPT_BOOT]), over = *record_text(record, "to");

	free(boot);
	return !opt->given[OPT_BOOT] || here == !over;
}

/* NULL if there is none; that is said, unless @quiet. */
static struct json_object *read_record(const struct options *opt, bool quiet, bool *again)
{
	const char *name = opt->given[OPT_RECORD] ?: REPORT_FILE;
	struct json_object *record;
	int err;

	record = record_read(opt, name, &err);
	*again = err == ENOENT;
	if (record && !is_meant(opt, record)) {
		json_object_put(record);
		record = NULL;
		*again = true;
		if (!quiet)
			trouble("%s%s: this is another update than the one of boot %s", opt->root, name,
				opt->given[OPT_BOOT]);
	} else if (err && !(quiet && *again)) {
		trouble("%s%s: %s; the agent writes it when the host is updated", opt->root, name,
			strerror(err));
	}
	return record;
}

static int put_down(const struct options *opt, struct json_object *record)
{
	int ret = opt->given[OPT_KEEP] ? history_keep(opt, record) : EXIT_FINE;

	/* Though the record could not be kept. */
	return opt->given[OPT_METRICS] ? metrics_write(opt, record) ?: ret : ret;
}

/*
 * The record once it is known how the update ended, or as it is when time is up. With --keep
 * it is put down whenever it has changed until then, but for the last time.
 */
static struct json_object *wait_for_it(const struct options *opt, uint32_t timeout_ms)
{
	struct json_object *record;
	char *before = NULL;
	bool again;

	for (long long us = 0; ; us += POLL_US) {
		bool last = us >= timeout_ms * 1000ll;

		record = read_record(opt, !last, &again);
		if (last || (record ? record_verdict(record) != VERDICT_PENDING : !again))
			break;
		if (record && opt->given[OPT_KEEP]) {
			const char *text = json_object_to_json_string(record);

			if (!before || strcmp(text, before)) {
				free(before);
				before = strdup(text);
				put_down(opt, record);
			}
		}
		json_object_put(record);
		usleep(POLL_US);
	}
	free(before);
	return record;
}

static bool is_expected(const char *list, const char *verdict)
{
	size_t n = strlen(verdict);

	for (const char *at = list; (at = strstr(at, verdict)); at += n)
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

static int wrong_expectation(const char *list)
{
	size_t n;

	for (const char *at = list; ; at += n + 1) {
		bool known = false;

		n = strcspn(at, ",");
		for (int i = VERDICT_COMPLETE; i < VERDICTS; i++)
			known |= strlen(record_verdicts[i]) == n && !strncmp(at, record_verdicts[i], n);
		if (!known) {
			trouble("--expect %s: an update is complete, undone or partly, or several of them with commas", list);
			return EXIT_USAGE;
		}
		if (!at[n])
			return EXIT_FINE;
	}
}

/* Who keeps an update from being complete; to be freed. */
static char *who_is_missing(struct json_object *record)
{
	struct json_object *vms = record_get(record, "vm");
	char *text = strdup("");

	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		const char *why = record_text(vm, "why");
		bool idle = !strcmp(record_vm_state(vm), "idle");
		char *longer;

		/* One that has not undone it is idle, and has a reason. */
		if (!strcmp(record_vm_state(vm), "taken over") || (idle && !*why))
			continue;
		if (asprintf(&longer, "%s; VM %s%s%s", text, record_text(vm, "name"), idle ? ": " : " is ",
			     idle ? why : record_vm_state(vm)) < 0)
			abort();
		free(text);
		text = longer;
	}
	return text;
}

/* The exit status, for a script that is to go on or not. */
static int judge(const struct options *opt, struct json_object *record)
{
	const char *expect = opt->given[OPT_EXPECT] ?: "complete";
	enum record_verdict verdict = record_verdict(record);
	char *who;

	if (is_expected(expect, record_verdicts[verdict]))
		return EXIT_FINE;
	who = who_is_missing(record);
	trouble("the update is %s, expected: %s%s%s%s", record_verdicts[verdict], expect,
		*record_text(record, "why") ? "; " : "", record_text(record, "why"), who);
	free(who);
	return status_of[verdict];
}

/* As it was kept: what the kernel printed. A terminal is not to obey it. */
static int failed_log(const struct options *opt)
{
	char *state = back_state(opt), *text = read_text(opt, BACK_FOLDER "/log");
	int ret = EXIT_FINE;

	if (strcmp(state, "came-back"))
		ret = trouble("there is no log: the machine has not come back from another kernel (its way back is '%s')", state);
	else if (!text)
		ret = trouble("%s" BACK_FOLDER "/log: %s", opt->root, strerror(errno));
	for (const char *at = ret ? NULL : text; at && *at; at++)
		putchar(*at == '\n' || *at == '\t' || ((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f) ? *at : '?');
	if (!ret)
		putchar('\n');
	free(state);
	free(text);
	return ret;
}

int cmd_report(const struct options *opt)
{
	/* Who keeps a record waits only to keep all of it. */
	bool asked = opt->given[OPT_EXPECT] || (opt->given[OPT_WAIT] && !opt->given[OPT_KEEP]), again;
	uint32_t timeout = ask_timeout_or(opt, TIMEOUT_S);
	struct json_object *record, *o;
	long long zero;
	int ret;

	if (!timeout || (opt->given[OPT_EXPECT] && wrong_expectation(opt->given[OPT_EXPECT])))
		return EXIT_USAGE;
	if (opt->given[OPT_LIST])
		return history_list(opt);
	if (opt->given[OPT_FAILED_LOG])
		return failed_log(opt);
	record = opt->given[OPT_WAIT] ? wait_for_it(opt, timeout) : read_record(opt, false, &again);
	if (!record)
		return EXIT_TROUBLE;
	if (!record_time(record_get(record, "at"), "begin", &zero))
		zero = 0;
	if (opt->given[OPT_SVG] && !opt->given[OPT_KEEP]) {
		draw(record, zero);
	} else if (!opt->given[OPT_METRICS] && !opt->given[OPT_KEEP]) {
		o = model_of(opt, record, zero);
		model_print(stdout, o, opt->json);
		json_object_put(o);
	}
	ret = put_down(opt, record);
	if (!ret && asked)
		ret = judge(opt, record);
	json_object_put(record);
	return ret;
}
