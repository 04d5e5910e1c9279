// SPDX-License-Identifier: GPL-2.0-only
/*
 * report --keep and --list: the history of updates.
 *
 * The agent writes the record of the last update into /run, and knows nothing of what is
 * here. A unit of the package (continuo-record.path) runs "report --keep --wait" when that
 * record has changed. It prints a line for each step that it has not printed before, and
 * keeps the record in a folder that lasts, with what the agent does not know: when the
 * update began by the time of day, and the ids of both boots. If there is no room for it,
 * a record is lost, and nothing else.
 *
 * An update has an id: a hash of the release that it began in, and of when it began there.
 * Both kernels' records have these two, so both find the same id.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "placed.h"
#include "record.h"
#include "report.h"

#define KEEP_MOST	100

static const char *folder_of(const struct options *opt)
{
	return opt->given[OPT_HISTORY] ?: REPORT_HISTORY;
}

static uint64_t fnv(uint64_t hash, const void *data, size_t n)
{
	for (const unsigned char *at = data; n--; at++)
		hash = (hash ^ *at) * 0x100000001b3ull;
	return hash;
}

static void id_of(struct json_object *record, char id[17])
{
	const char *from = record_text(record, "from");
	uint64_t hash = 0xcbf29ce484222325ull;
	char begin[32];
	long long us;

	if (!record_time(record_get(record, "at"), "begin", &us))
		us = 0;
	snprintf(begin, sizeof(begin), "%lld", us);
	hash = fnv(fnv(hash, from, strlen(from) + 1), begin, strlen(begin));
	snprintf(id, 17, "%016" PRIx64, hash);
}

static long long now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

/* The time of day at 0 of the record's axis, which is this kernel's clock until it went over. */
static long long zero_of(struct json_object *record)
{
	struct json_object *clock = record_get(record, "clock");
	long long real, us;

	if (record_time(clock, "realtime_us", &real) && record_time(clock, "us", &us))
		return real - us;
	return now_us(CLOCK_REALTIME) - now_us(CLOCK_MONOTONIC);
}

/* --- steps --- */

static void time_text(char text[40], long long us)
{
	time_t s = us / 1000000;
	struct tm tm = {};
	char date[24];

	gmtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, 40, "%s.%06dZ", date, (int)(us % 1000000));
}

/* What a VM says of itself is for root's terminal and journal. */
static void add_safe(struct json_object *o, const char *name, const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; *c; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
			*c = '?';
	if (*copy)
		model_text(o, name, copy);
	free(copy);
}

static struct json_object *new_step(const char *id, long long us)
{
	struct json_object *row = json_object_new_object();
	char text[40];

	time_text(text, us);
	model_text(row, "update", id);
	model_text(row, "time", text);
	return row;
}

static void add_steps(struct json_object *steps, const char *id, long long zero,
		      const struct record_phase *phase, struct json_object *at, const char *vm)
{
	struct json_object *row;
	long long begin, end;

	for (; phase->phase; phase++) {
		if (!record_took(at, phase, &begin, &end))
			continue;
		row = new_step(id, zero + end);
		model_text(row, "step", phase->phase);
		if (vm)
			add_safe(row, "vm", vm);
		model_ms(row, "ms", (end - begin) / 1e3);
		json_object_array_add(steps, row);
	}
}

static long long last_time(struct json_object *at)
{
	long long last = 0, us;

	json_object_object_foreach(at, key, value) {
		(void)value;
		if (record_time(at, key, &us) && us > last)
			last = us;
	}
	return last;
}

static int by_time(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;

	return strcmp(record_text(*x, "time"), record_text(*y, "time"));
}

/* All that there is to say of a record, in order; the same lines of both kernels. */
static struct json_object *steps_of(struct json_object *kept)
{
	struct json_object *steps = json_object_new_array(), *vms = record_get(kept, "vm"), *row;
	struct json_object *at = record_get(kept, "at");
	const char *id = record_text(kept, "id");
	long long zero = 0;

	record_time(kept, "zero_us", &zero);
	add_steps(steps, id, zero, record_phases, at, NULL);
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		add_steps(steps, id, zero, record_vm_phases, vm, record_text(vm, "name"));
	}
	json_object_array_sort(steps, by_time);
	row = new_step(id, zero + last_time(at));
	add_safe(row, "outcome", record_text(kept, "outcome"));
	model_text(row, "ended", record_verdicts[record_verdict(kept)]);
	add_safe(row, "why", record_text(kept, "why"));
	add_safe(row, "from", record_text(kept, "from"));
	add_safe(row, "to", record_text(kept, "to"));
	json_object_array_add(steps, row);
	return steps;
}

static bool has_row(struct json_object *rows, struct json_object *row)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (json_object_equal(json_object_array_get_idx(rows, i), row))
			return true;
	return false;
}

static void print_step(struct json_object *row)
{
	const char *between = "";

	json_object_object_foreach(row, key, value) {
		const char *text = json_object_get_string(value);
		const char *quote = strchr(text, ' ') ? "\"" : "";

		printf("%s%s=%s%s%s", between, key, quote, text, quote);
		between = " ";
	}
	putchar('\n');
}

/* --- the folder --- */

static char *path_of(const struct options *opt, const char *name, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s%s%s%s%s", opt->root, folder_of(opt), *name ? "/" : "", name, suffix) < 0)
		abort();
	return path;
}

static int is_record(const struct dirent *de)
{
	size_t n = strlen(de->d_name);

	return n > 5 && *de->d_name != '.' && !strcmp(de->d_name + n - 5, ".json");
}

/* Whole, or the one before. */
static int write_whole(const char *path, const char *text)
{
	bool written;
	char *next;
	FILE *f;
	int ret = 0;

	if (asprintf(&next, "%s.next", path) < 0)
		abort();
	f = fopen(next, "w");
	written = f && fputs(text, f) >= 0 && fputc('\n', f) >= 0;
	if (f && fclose(f))
		written = false;
	if (!written || chmod(next, 0644) || rename(next, path)) {
		ret = trouble("%s: %s; this record is lost, and nothing else", path, strerror(errno));
		unlink(next);
	}
	free(next);
	return ret;
}

static int by_began(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	long long began[2] = {};

	record_time(*x, "began_us", &began[0]);
	record_time(*y, "began_us", &began[1]);
	return (began[0] > began[1]) - (began[0] < began[1]);
}

/* All that were kept, the oldest first. A file that is none is passed over, which was said. */
static struct json_object *read_folder(const struct options *opt)
{
	struct json_object *all = json_object_new_array(), *record;
	char *path = path_of(opt, "", "");
	struct dirent **list = NULL;
	int n = scandir(path, &list, is_record, alphasort), err;

	for (int i = 0; i < n; i++) {
		char *name;

		if (asprintf(&name, "%s/%s", folder_of(opt), list[i]->d_name) < 0)
			abort();
		record = record_read(opt, name, &err);
		if (record) {
			model_text(record, "file", name);
			json_object_array_add(all, record);
		}
		free(name);
		free(list[i]);
	}
	free(list);
	free(path);
	json_object_array_sort(all, by_began);
	return all;
}

static void forget_old(const struct options *opt)
{
	struct json_object *all = read_folder(opt);
	size_t n = json_object_array_length(all);
	char *path;

	for (size_t i = 0; i + KEEP_MOST < n; i++) {
		if (asprintf(&path, "%s%s", opt->root, record_text(json_object_array_get_idx(all, i), "file")) < 0)
			abort();
		unlink(path);
		free(path);
	}
	json_object_put(all);
}

/* Also what is above it. */
static void make_folder(const char *path)
{
	char *copy = strdup(path);

	for (char *at = copy + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = 0;
		mkdir(copy, 0755);
	}
	mkdir(copy, 0755);
	free(copy);
}

/* --- keep --- */

/* What the agent does not know, into @record; @kept: what was kept of the same update, or NULL. */
static void complete_record(const struct options *opt, struct json_object *record,
			    struct json_object *kept, const char *id)
{
	char *boot = read_text(opt, "/proc/sys/kernel/random/boot_id");
	bool over = *record_text(record, "to");
	long long zero, begin;

	if (!record_time(kept, "zero_us", &zero))
		zero = zero_of(record);
	if (!record_time(record_get(record, "at"), "begin", &begin))
		begin = 0;
	model_text(record, "id", id);
	model_int(record, "zero_us", zero);
	model_int(record, "began_us", zero + begin);
	if (*record_text(kept, "boot_from") || !over)
		model_text(record, "boot_from", *record_text(kept, "boot_from") ? record_text(kept, "boot_from") : boot);
	if (*record_text(kept, "boot_to") || over)
		model_text(record, "boot_to", *record_text(kept, "boot_to") ? record_text(kept, "boot_to") : boot);
	free(boot);
}

/* Which kernel it goes over to, as long as that can be known: /run is a new one after the jump. */
static void complete_next(const struct options *opt, struct json_object *record, struct json_object *kept)
{
	struct json_object *next = placed_for(opt, record);
	const char *kernel = record_text(next, "kernel"), *sum = record_text(next, "sha256");

	if (!next) {
		kernel = record_text(kept, "next_kernel");
		sum = record_text(kept, "next_sha256");
	}
	if (*kernel) {
		model_text(record, "next_kernel", kernel);
		model_text(record, "next_sha256", sum);
	}
	json_object_put(next);
}

static struct json_object *find_kept(const struct options *opt, const char *id)
{
	struct json_object *kept;
	char *name;
	int err;

	if (asprintf(&name, "%s/%s.json", folder_of(opt), id) < 0)
		abort();
	kept = record_read(opt, name, &err);
	free(name);
	return kept;
}

int history_keep(const struct options *opt, struct json_object *record)
{
	struct json_object *kept, *steps, *before, *o, *table;
	char id[17], *path, *folder;
	int ret;

	id_of(record, id);
	kept = find_kept(opt, id);
	complete_record(opt, record, kept, id);
	complete_next(opt, record, kept);
	steps = steps_of(record);
	before = kept ? steps_of(kept) : json_object_new_array();

	o = model_new("report");
	table = model_table(o, "step");
	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		struct json_object *row = json_object_array_get_idx(steps, i);

		if (has_row(before, row))
			continue;
		if (!opt->json)
			print_step(row);
		json_object_array_add(table, json_object_get(row));
	}
	if (opt->json)
		model_print(stdout, o, true);
	/* Where the folder is, file systems may stand still from here until the jump. */
	fflush(stdout);

	path = path_of(opt, id, ".json");
	folder = path_of(opt, "", "");
	make_folder(folder);
	ret = write_whole(path, json_object_to_json_string_ext(record, JSON_C_TO_STRING_PRETTY));
	if (!ret)
		forget_old(opt);
	free(folder);
	free(path);
	json_object_put(o);
	json_object_put(before);
	json_object_put(steps);
	json_object_put(kept);
	return ret;
}

/* --- list --- */

/*
 * How it ended. One that is not over is the agent's last one; of another one nobody will say any
 * more how it ended: the host was reset, or the record was not kept again.
 */
static const char *ended(struct json_object *record, const char *last)
{
	enum record_verdict verdict = record_verdict(record);

	return verdict == VERDICT_PENDING && strcmp(record_text(record, "id"), last) ? "unknown" : record_verdicts[verdict];
}

static void add_update(struct json_object *table, struct json_object *record, const char *last)
{
	struct json_object *row = model_row(table), *vms = record_get(record, "vm");
	long long us, begin, end, longest = -1;
	char text[40];

	add_safe(row, "id", record_text(record, "id"));
	if (record_time(record, "began_us", &us)) {
		time_text(text, us);
		model_text(row, "began", text);
	}
	model_text(row, "ended", ended(record, last));
	add_safe(row, "from", record_text(record, "from"));
	add_safe(row, "to", record_text(record, "to"));
	model_int(row, "vms", json_object_array_length(vms));
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		if (record_time(vm, "suspend", &begin) && record_time(vm, "released", &end) &&
		    end - begin > longest)
			longest = end - begin;
	}
	if (longest >= 0)
		model_ms(row, "longest_blackout_ms", longest / 1e3);
	add_safe(row, "boot_from", record_text(record, "boot_from"));
	add_safe(row, "boot_to", record_text(record, "boot_to"));
}

int history_list(const struct options *opt)
{
	struct json_object *all = read_folder(opt), *o = model_new("report"), *table, *record;
	char last[17];
	int err;

	record = record_read(opt, opt->given[OPT_RECORD] ?: REPORT_FILE, &err);
	id_of(record, last);
	json_object_put(record);
	table = model_table(o, "update");
	for (size_t i = 0; i < json_object_array_length(all); i++)
		add_update(table, json_object_array_get_idx(all, i), last);
	model_print(stdout, o, opt->json);
	json_object_put(o);
	json_object_put(all);
	return EXIT_FINE;
}

static long long jump_of(struct json_object *record)
{
	struct json_object *at = record_get(record, "at");
	long long begin, end;

	return record_time(at, "suspended", &begin) && record_time(at, "agent", &end) && end >= begin ?
	       end - begin : -1;
}

long long history_last_jump(const struct options *opt)
{
	struct json_object *all, *last;
	long long us;
	int err;

	last = record_read(opt, REPORT_FILE, &err);
	us = jump_of(last);
	json_object_put(last);
	if (us >= 0)
		return us;
	all = read_folder(opt);
	for (size_t i = json_object_array_length(all); i-- > 0 && us < 0;)
		us = jump_of(json_object_array_get_idx(all, i));
	json_object_put(all);
	return us;
}
