// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "record.h"
#include "request.h"
#include "talk.h"

#define TOKEN		1u		/* of the memfd in the agent's own session */
#define PAGE		4096
#define MOST_BYTES	(1 << 20)
#define LATEST_US	(1ll << 53)
#define BOOT_ID		"/proc/sys/kernel/random/boot_id"

static const char *file;
static struct json_object *record;
/* The one of the update before, which says what unit a VM was in before it came here. */
static struct json_object *earlier;
/* From this kernel's CLOCK_MONOTONIC to the axis, which is that of the first kernel. */
static int64_t offset_us;

/* --- time --- */

/* A counter that goes on over a kexec; 0 if there is none. */
static uint64_t counter(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t n;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r" (n));
	return n;
#else
	return 0;
#endif
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static struct {
	uint64_t counter, us;
} began;

static double counter_hz(void)
{
	uint64_t us = now_us() - began.us;

	return us ? (counter() - began.counter) * 1e6 / us : 0;
}

/* --- the object --- */

static void set(struct json_object *o, const char *key, struct json_object *value)
{
	json_object_object_add(o, key, value);
}

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = get(o, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static bool changed;

static void save(void)
{
	changed = true;
}

/* Whole, or the one before. */
void record_write(void)
{
	bool written;
	char *next;
	FILE *f;

	if (!file || !changed)
		return;
	changed = false;
	if (asprintf(&next, "%s.next", file) < 0)
		return;
	f = fopen(next, "w");
	written = f && fputs(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PRETTY), f) >= 0 &&
		  fputc('\n', f) >= 0;
	if (f && fclose(f))
		written = false;
	if (!written || chmod(next, 0644) || rename(next, file))
		trouble("%s: the record cannot be written: %m", file);
	free(next);
}

static void set_now(struct json_object *o, const char *key)
{
	set(o, key, json_object_new_int64(now_us() + offset_us));
}

static struct json_object *row_in(struct json_object *o, const char *name)
{
	struct json_object *rows = get(o, "vm");

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(text_of(row, "name"), name))
			return row;
	}
	return NULL;
}

static struct json_object *row_of(const char *name)
{
	return row_in(record, name);
}

/* "" if there is none, also of records of older agents. */
static const char *unit_in(struct json_object *row)
{
	const char *unit = text_of(row, "unit");

	return request_is_unit(unit) && *unit != '-' ? unit : "";
}

/* "" if the kernel does not say it. */
static void boot_id(char id[40])
{
	FILE *f = fopen(BOOT_ID, "re");

	if (!f || !fgets(id, 40, f))
		*id = 0;
	id[strcspn(id, "\n")] = 0;
	if (f)
		fclose(f);
}

void record_begin(void)
{
	struct utsname uts;
	char boot[40];

	json_object_put(earlier);
	earlier = record;
	record = json_object_new_object();
	offset_us = 0;
	uname(&uts);
	set(record, "format_version", json_object_new_int(RECORD_FORMAT_VERSION));
	set(record, "outcome", json_object_new_string("begun"));
	set(record, "why", json_object_new_string(""));
	set(record, "from", json_object_new_string(uts.release));
	boot_id(boot);
	set(record, "boot", json_object_new_string(boot));
	set(record, "at", json_object_new_object());
	set(record, "vm", json_object_new_array());
	record_at("begin");
}

void record_at(const char *what)
{
	if (!record)
		return;
	set_now(get(record, "at"), what);
	save();
}

void record_vm_at(const char *name, const char *what)
{
	struct json_object *row = record ? row_of(name) : NULL;

	if (!row)
		return;
	set_now(row, what);
	save();
}

bool record_vm(const char *name, uid_t uid, const char *state, const char *why)
{
	struct json_object *row;
	bool is_new;

	if (!record)
		return false;
	row = row_of(name);
	is_new = !row;
	if (is_new) {
		row = json_object_new_object();
		set(row, "name", json_object_new_string(name));
		set(row, "uid", json_object_new_int64(uid));
		json_object_array_add(get(record, "vm"), row);
	}
	set(row, "state", json_object_new_string(state));
	set(row, "why", json_object_new_string(why));
	save();
	return is_new;
}

/* Is it one of packaging/takeover? In the next kernel nobody knows it. */
static bool is_of_takeover(const char *unit, const char *name, uid_t uid)
{
	char its[64 + CONTINUO_SESSION_NAME];

	snprintf(its, sizeof(its), "continuo-vm-%u-%s.service", (unsigned int)uid, request_own(name, uid) ?: name);
	return !strcmp(unit, its);
}

void record_unit(const char *name, uid_t uid, const char *unit)
{
	struct json_object *row = record ? row_of(name) : NULL;

	if (!unit || is_of_takeover(unit, name, uid))
		unit = earlier ? unit_in(row_in(earlier, name)) : "";
	if (!row || !*unit)
		return;
	set(row, "unit", json_object_new_string(unit));
	save();
}

void record_outcome(const char *outcome, const char *why)
{
	if (!record)
		return;
	set(record, "outcome", json_object_new_string(outcome));
	if (why)
		set(record, "why", json_object_new_string(why));
	save();
}

/* --- over --- */

int record_seal(struct continuo *ctx, int session, const char **why)
{
	struct json_object *clock = json_object_new_object();
	const char *text;
	size_t size;
	int fd, ret = -EIO;

	set(clock, "counter", json_object_new_uint64(counter()));
	set(clock, "us", json_object_new_int64(now_us()));
	set(clock, "realtime_us", json_object_new_int64(clock_us(CLOCK_REALTIME)));
	set(clock, "hz", json_object_new_double(counter_hz()));
	set(record, "clock", clock);
	record_outcome("jumping", "");
	record_at("sealed");
	record_write();

	text = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN);
	size = strlen(text);
	fd = memfd_create("continuo-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* The rest of the last page is zero, which ends the text. */
	if (fd < 0 || ftruncate(fd, (size / PAGE + 1) * PAGE) ||
	    pwrite(fd, text, size, 0) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
		*why = "the record cannot be written into a memfd";
	} else {
		ret = continuo_preserve(ctx, session, fd, TOKEN);
		*why = continuo_why(ctx);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Where this kernel's times are on the axis. */
static const char *find_offset(struct json_object *clock)
{
	uint64_t then = json_object_get_uint64(get(clock, "counter")), now = counter();
	int64_t us = json_object_get_int64(get(clock, "us"));
	int64_t real = clock_us(CLOCK_REALTIME) -
		       json_object_get_int64(get(clock, "realtime_us"));
	double hz = json_object_get_double(get(clock, "hz")), by_counter;

	by_counter = hz > 0 && now > then ? (now - then) / hz * 1e6 : -1;
	/* The time of day comes from a clock that has whole seconds. */
	if (by_counter >= 0 && by_counter - real < 2e6 && real - by_counter < 2e6) {
		offset_us = us + (int64_t)by_counter - (int64_t)now_us();
		return "counter";
	}
	offset_us = us + real - (int64_t)now_us();
	return "time of day";
}

/* One that can be added to another. */
static bool has_time(struct json_object *o, const char *key)
{
	int64_t us = json_object_get_int64(get(o, key));

	return json_object_is_type(get(o, key), json_type_int) && us >= 0 && us <= LATEST_US;
}

/* Since the seal. */
static bool has_clock(struct json_object *o)
{
	return has_time(get(o, "clock"), "us") && has_time(get(o, "clock"), "realtime_us");
}

static bool has_name(struct json_object *row)
{
	int64_t uid = json_object_get_int64(get(row, "uid"));

	return uid >= 0 && uid <= UINT32_MAX && request_is_name(text_of(row, "name"), uid);
}

static struct json_object *parse(const char *text)
{
	struct json_object *o = json_tokener_parse(text), *rows = get(o, "vm");

	if (json_object_get_int(get(o, "format_version")) == RECORD_FORMAT_VERSION &&
	    json_object_is_type(get(o, "at"), json_type_object) && json_object_is_type(rows, json_type_array)) {
		size_t i, n = json_object_array_length(rows);

		for (i = 0; i < n; i++)
			if (!has_name(json_object_array_get_idx(rows, i)))
				break;
		if (i == n)
			return o;
	}
	json_object_put(o);
	return NULL;
}

/* Of a memfd or a file; NULL if it is none. */
static struct json_object *read_record(int fd)
{
	struct json_object *o = NULL;
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) || st.st_size <= 0 || st.st_size > MOST_BYTES)
		return NULL;
	text = calloc(1, st.st_size + 1);
	if (text && pread(fd, text, st.st_size, 0) == st.st_size)
		o = parse(text);
	free(text);
	return o;
}

void record_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	file = path;
	began.us = now_us();
	began.counter = counter();
	/* Of an agent that has ended: of this kernel, or while VMs were still to come back. */
	record = read_record(fd);
	if (get(record, "to") && !has_clock(record)) {
		json_object_put(record);
		record = NULL;
	} else if (get(record, "to")) {
		find_offset(get(record, "clock"));
	}
	if (fd >= 0)
		close(fd);
}

/* Has each VM gone on as before, or never been asked? */
static bool all_go_on(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		const char *state = text_of(json_object_array_get_idx(rows, i), "state");

		if (strcmp(state, "idle") && strcmp(state, "away"))
			return false;
	}
	return true;
}

void record_leftover(void)
{
	static const char *const unfinished[] = { "begun", "stuck", "jumping" };
	const char *outcome = text_of(record, "outcome"), *before = text_of(record, "why");
	char boot[40], why[700];
	bool here;

	for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
		if (strcmp(outcome, unfinished[i]))
			continue;
		boot_id(boot);
		here = !*text_of(record, "boot") || !strcmp(boot, text_of(record, "boot"));
		snprintf(why, sizeof(why), "%.500s%s%s", before, *before ? "; and " : "", here ?
			 "the agent has ended before the update was over; VMs undo by themselves then, and nobody has waited for them" :
			 "the host was booted anew before the update was over, and no record of it has come over");
		record_outcome(here && all_go_on(get(record, "vm")) ? "undone" : "partly", why);
		return;
	}
}

/* After all that the failed kernel has cost: are all VMs below a kernel again? */
static void undone_by_way_back(struct json_object *rows)
{
	bool all = true;
	char why[500];

	for (size_t i = 0; i < json_object_array_length(rows); i++)
		all &= !!get(json_object_array_get_idx(rows, i), "released");
	snprintf(why, sizeof(why), "the machine came back: %.400s", text_of(record, "back_why"));
	record_outcome(all ? "undone" : "partly", why);
}

/* Have all of them come back, and finished? Then the update is complete. */
static void check_complete(void)
{
	struct json_object *rows = record ? get(record, "vm") : NULL;

	if (!rows || strcmp(text_of(record, "outcome"), "arrived"))
		return;
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(text_of(row, "state"), "suspended") && !get(row, "released"))
			return;
	}
	record_at("complete");
	if (!strcmp(text_of(record, "back"), "came-back"))
		undone_by_way_back(rows);
	else
		record_outcome("complete", "");
}

void record_way_back(const char *state, const char *why)
{
	if (!record)
		return;
	set(record, "back", json_object_new_string(state));
	set(record, "back_why", json_object_new_string(why));
	save();
}

bool record_came(void (*each)(const char *name))
{
	struct json_object *rows = record ? get(record, "vm") : NULL;

	if (!*text_of(record, "to"))
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(text_of(row, "state"), "suspended") && !get(row, "released"))
			each(text_of(row, "name"));
	}
	return true;
}

void record_back(const char *name, const char *what)
{
	struct json_object *row;

	if (!record || strcmp(text_of(record, "outcome"), "arrived"))
		return;
	row = row_of(name);
	/* What somebody did to look at it, before its VM came, does not count. */
	if (row && !get(row, "released"))
		record_vm_at(name, what);
	check_complete();
}

void record_not_started(const char *name)
{
	struct json_object *row = record ? row_of(name) : NULL;

	if (!row || get(row, "retrieved"))
		return;
	set(row, "why", json_object_new_string("what was to start it has failed; the agent's log says how"));
	save();
}

void record_left(const char *name)
{
	struct json_object *row = record ? row_of(name) : NULL;

	if (!row || strcmp(text_of(record, "outcome"), "arrived"))
		return;
	set(row, "state", json_object_new_string("left"));
	save();
	check_complete();
}

int record_arrive(struct continuo *ctx, int session, const char *back, const char *why,
		  void (*each)(const char *name, uid_t uid, const char *unit))
{
	int fd = continuo_retrieve(ctx, session, TOKEN);
	struct json_object *o, *rows;
	struct utsname uts;

	if (fd < 0)
		return fd;
	o = read_record(fd);
	close(fd);
	if (!has_clock(o)) {
		json_object_put(o);
		return -EBADMSG;
	}
	json_object_put(record);
	record = o;
	uname(&uts);
	set(o, "axis", json_object_new_string(find_offset(get(o, "clock"))));
	set(o, "to", json_object_new_string(uts.release));
	set(get(o, "at"), "kernel", json_object_new_int64(now_us() + offset_us -
							   clock_us(CLOCK_BOOTTIME)));
	set_now(get(o, "at"), "agent");
	record_outcome("arrived", "");
	if (*back)
		record_way_back(back, why);
	rows = get(o, "vm");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(text_of(row, "state"), "suspended"))
			each(text_of(row, "name"), json_object_get_int64(get(row, "uid")), unit_in(row));
	}
	check_complete();
	return 0;
}
