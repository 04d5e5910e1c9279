// SPDX-License-Identifier: GPL-2.0-only
/*
 * report: what happened when in the last update, from the record that the agents of both
 * kernels have kept. Text, JSON and picture are made from one model.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "report.h"

static struct json_object *read_record(const struct options *opt)
{
	const char *name = opt->given[OPT_RECORD] ?: REPORT_FILE;
	struct json_object *record;
	int err;

	record = record_read(opt, name, &err);
	if (err)
		trouble("%s%s: %s; the agent writes it when the host is updated", opt->root, name,
			strerror(err));
	return record;
}

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

static struct json_object *model_of(struct json_object *record, long long zero)
{
	struct json_object *o = model_new("report"), *vms = record_get(record, "vm"), *table;

	model_text(o, "outcome", record_text(record, "outcome"));
	model_text(o, "why", *record_text(record, "why") ? record_text(record, "why") : NULL);
	model_text(o, "from", record_text(record, "from"));
	model_text(o, "to", *record_text(record, "to") ? record_text(record, "to") : NULL);
	model_text(o, "axis", *record_text(record, "axis") ? record_text(record, "axis") : NULL);
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

int cmd_report(const struct options *opt)
{
	struct json_object *record = read_record(opt), *o;
	long long zero;

	if (!record)
		return EXIT_TROUBLE;
	if (!record_time(record_get(record, "at"), "begin", &zero))
		zero = 0;
	if (opt->given[OPT_SVG]) {
		draw(record, zero);
	} else {
		o = model_of(record, zero);
		model_print(stdout, o, opt->json);
		json_object_put(o);
	}
	json_object_put(record);
	return EXIT_FINE;
}
