// SPDX-License-Identifier: GPL-2.0-only
/*
 * report --metrics: the last update in the text format of Prometheus, for the textfile
 * collector of its node exporter. Names carry their unit. Times are points in time, not
 * ages: the file is not written anew while nothing happens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "record.h"

static void head(FILE *to, const char *name, const char *what)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s gauge\n", name, what, name);
}

/* A label's value; bytes that are no ASCII might be no UTF-8. */
static void label(FILE *to, const char *name, const char *text)
{
	fprintf(to, "%s=\"", name);
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			fputc('\\', to);
		fputc(*text < 0x20 || *text > 0x7e ? '?' : *text, to);
	}
	fputc('"', to);
}

static void kernel(FILE *to, const struct options *opt)
{
	char *stat = read_text(opt, "/proc/stat"), *at = stat ? strstr(stat, "\nbtime ") : NULL;
	struct utsname uts;

	if (at) {
		head(to, "continuo_kernel_boot_time_seconds", "When the running kernel was booted; time() minus this is its age.");
		fprintf(to, "continuo_kernel_boot_time_seconds %lld\n", strtoll(at + 7, NULL, 10));
	}
	if (!uname(&uts)) {
		head(to, "continuo_kernel_info", "The running kernel.");
		fputs("continuo_kernel_info{", to);
		label(to, "release", uts.release);
		fputs("} 1\n", to);
	}
	free(stat);
}

static void phases(FILE *to, struct json_object *record)
{
	long long begin, end;

	head(to, "continuo_update_phase_seconds", "How long each phase of the last update was.");
	for (size_t i = 0; record_phases[i].phase; i++) {
		if (!record_took(record_get(record, "at"), &record_phases[i], &begin, &end))
			continue;
		fputs("continuo_update_phase_seconds{", to);
		label(to, "phase", record_phases[i].phase);
		fprintf(to, "} %.6f\n", (end - begin) / 1e6);
	}
}

/* How long a phase was, for each VM that had it. */
static void of_vms(FILE *to, struct json_object *record, const char *phase, const char *name,
		   const char *what)
{
	struct json_object *vms = record_get(record, "vm");
	const struct record_phase *p = record_vm_phases;
	long long begin, end;

	while (strcmp(p->phase, phase))
		p++;
	head(to, name, what);
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		if (!record_took(vm, p, &begin, &end))
			continue;
		fprintf(to, "%s{", name);
		label(to, "vm", record_text(vm, "name"));
		fprintf(to, "} %.6f\n", (end - begin) / 1e6);
	}
}

static void print(FILE *to, const struct options *opt, struct json_object *record)
{
	enum record_verdict verdict = record_verdict(record);
	long long real, us, begin;

	kernel(to, opt);
	head(to, "continuo_update_outcome", "How the last update ended: 1 for what it is, 0 for what it is not.");
	for (int i = 0; i < VERDICTS; i++)
		fprintf(to, "continuo_update_outcome{outcome=\"%s\"} %d\n", record_verdicts[i], i == (int)verdict);
	if (record_time(record_get(record, "clock"), "realtime_us", &real) &&
	    record_time(record_get(record, "clock"), "us", &us) &&
	    record_time(record_get(record, "at"), "begin", &begin)) {
		head(to, "continuo_update_begin_time_seconds", "When the last update began.");
		fprintf(to, "continuo_update_begin_time_seconds %.6f\n", (real - us + begin) / 1e6);
	}
	phases(to, record);
	of_vms(to, record, "preserve", "continuo_vm_preserve_seconds", "How long each VM took to preserve; it runs meanwhile.");
	of_vms(to, record, "blackout", "continuo_vm_blackout_seconds", "From when a VM was asked to suspend until it had been taken over.");
}

int metrics_write(const struct options *opt, struct json_object *record)
{
	const char *file = opt->given[OPT_METRICS];
	char *next = NULL;
	bool written;
	int ret = 0;
	FILE *f;

	if (!strcmp(file, "-")) {
		print(stdout, opt, record);
		return EXIT_FINE;
	}
	/* The collector takes files whose names end in .prom; it must not see half of one. */
	if (asprintf(&next, "%s.next", file) < 0)
		abort();
	f = fopen(next, "w");
	if (f)
		print(f, opt, record);
	written = f && !ferror(f);
	if (f && fclose(f))
		written = false;
	if (!written || chmod(next, 0644) || rename(next, file)) {
		ret = trouble("%s: %s; the metrics are those of before", file, strerror(errno));
		unlink(next);
	}
	free(next);
	return ret;
}
