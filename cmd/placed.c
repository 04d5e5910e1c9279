// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats.h"
#include "placed.h"
#include "record.h"

#define LOCK	PLACED_FOLDER "/next.lock"
#define BOOT_ID	"/proc/sys/kernel/random/boot_id"
#define ASIDE	PLACED_FILE ".aside"
#define NEXT	PLACED_FILE ".next"

/* --- what is there --- */

/* All that is said of a kernel is text; "kernel" and "append" are said of each. */
static bool is_whole(struct json_object *record)
{
	static const char *const facts[] = {
		"kernel", "sha256", "initrd", "initrd_sha256", "append", "loaded", "formats",
		"back", "back_sha256", "back_initrd", "back_initrd_sha256", "back_append", "confirm_within",
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		struct json_object *fact = record_get(record, facts[i]);

		if (fact && !json_object_is_type(fact, json_type_string))
			return false;
	}
	return *record_text(record, "kernel") && record_get(record, "append");
}

static struct json_object *read_record(const struct options *opt, char **why)
{
	char *text = read_text(opt, PLACED_FILE);
	int err = text ? 0 : errno;
	char *boot = read_text(opt, BOOT_ID);
	struct json_object *o = text ? json_tokener_parse(text) : NULL;

	if (err == EACCES)
		*why = strdup("what was written down of it is for root to read; run this as root");
	else if (!text)
		*why = strdup("this program has not written it down, so nobody knows its command line: another program has loaded it, or one that has not ended well, or yet");
	else if (json_object_get_int(record_get(o, "format_version")) != PLACED_FORMAT_VERSION || !is_whole(o))
		*why = strdup("what was written down of it is no record of this program's version");
	else if (strcmp(record_text(o, "boot"), boot ?: ""))
		*why = strdup("what was written down is of another boot");
	free(boot);
	free(text);
	if (!*why)
		return o;
	json_object_put(o);
	return NULL;
}

struct json_object *placed_for(const struct options *opt, struct json_object *update)
{
	struct json_object *record;
	char *why = NULL;
	long long us;

	if (*record_text(update, "to") || record_verdict(update) != VERDICT_PENDING ||
	    !record_time(record_get(update, "at"), "preserve", &us))
		return NULL;
	record = read_record(opt, &why);
	free(why);
	return record;
}

/*
 * Does the running kernel say the same of the loaded one as when the record was written? NULL,
 * or why not; to be freed.
 */
static char *difference(const struct options *opt, struct json_object *record)
{
	struct json_object *view = model_new("image");
	char *line = view_image(opt, view) ? NULL : formats_line(view), *why = NULL;

	if (!line)
		why = strdup("what the running kernel says of it cannot be read");
	else if (strcmp(line, record_text(record, "formats")))
		why = strdup("it reads other handover formats than the one that was written down: another one has been loaded since");
	free(line);
	json_object_put(view);
	return why;
}

enum placed placed_find(const struct options *opt, struct json_object **record, char **why)
{
	bool is_loaded;
	char *loaded;

	*why = NULL;
	/* In this order: one that is loaded meanwhile is not taken for one that was unloaded. */
	*record = read_record(opt, why);
	loaded = read_text(opt, "/sys/kernel/kexec_loaded") ?:
		 read_text(opt, "/sys/kernel/kexec/loaded");
	is_loaded = loaded && !strcmp(loaded, "1");
	free(loaded);
	if (!is_loaded) {
		free(*why);
		*why = NULL;
		if (*record && asprintf(why, "%s was loaded at %s, and has been unloaded since",
					record_text(*record, "kernel"), record_text(*record, "loaded")) < 0)
			abort();
		json_object_put(*record);
		*record = NULL;
		return PLACED_NONE;
	}
	if (*record)
		*why = difference(opt, *record);
	if (*why) {
		json_object_put(*record);
		*record = NULL;
	}
	return *record ? PLACED_KNOWN : PLACED_UNKNOWN;
}

/* --- and what is to be --- */

bool placed_lock(int *fd)
{
	int err;

	mkdir("/run", 0755);
	mkdir(PLACED_FOLDER, 0755);
	/* Whoever can open it can lock it, and VMs' users can open the folder. */
	*fd = open(LOCK, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0 || !flock(*fd, LOCK_EX | LOCK_NB))
		return true;
	err = errno;
	/* CONFIG_FILE_LOCKING is off, so that nobody has the lock, and nobody can. */
	if (err == ENOSYS)
		return true;
	if (err == EWOULDBLOCK)
		trouble("another continuo is loading or unloading a kernel at this moment; try again");
	else
		trouble(LOCK " cannot be locked, and no two may load at once: %s", strerror(err));
	close(*fd);
	return false;
}

void placed_set_aside(void)
{
	/* One of before, whose program was killed: nobody can say what it is of. */
	unlink(ASIDE);
	rename(PLACED_FILE, ASIDE);
}

void placed_set_back(void)
{
	rename(ASIDE, PLACED_FILE);
}

void placed_forget(void)
{
	unlink(ASIDE);
	unlink(PLACED_FILE);
}

int placed_write(const struct options *opt, struct json_object *record)
{
	char *boot = read_text(opt, BOOT_ID), date[24];
	time_t now = time(NULL);
	struct tm tm = {};
	bool written;
	FILE *f;
	int fd;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	model_int(record, "format_version", PLACED_FORMAT_VERSION);
	model_text(record, "loaded", date);
	model_text(record, "boot", boot ?: "");
	free(boot);
	/* A command line can have secrets in it. */
	fd = open(NEXT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	written = f && fputs(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PRETTY), f) >= 0 &&
		  fputc('\n', f) >= 0;
	if (f && fclose(f))
		written = false;
	unlink(ASIDE);
	if (written && !rename(NEXT, PLACED_FILE))
		return EXIT_FINE;
	trouble(PLACED_FILE ": %s; nobody will know which kernel is loaded", strerror(errno));
	unlink(NEXT);
	return EXIT_TROUBLE;
}
