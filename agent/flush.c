// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "flush.h"
#include "helper.h"
#include "request.h"
#include "still.h"

/* As long as one can be named. */
#define MOST_PATH	(REQUEST_MOST + 1)

#define MOUNTS		"/proc/self/mounts"
#define MOUNTINFO	"/proc/self/mountinfo"

static char left[FLUSH_MOST_LEFT][MOST_PATH];
/* The same as helper_path() writes them. */
static char left_as[FLUSH_MOST_LEFT][4 * MOST_PATH + 2];
static unsigned int nr_left;

/* From what helper_path() or /proc/self/mountinfo writes; any other backslash is one. */
static void decode(char *to, const char *path)
{
	unsigned int byte;
	int n;

	while (*path) {
		n = 0;
		if (*path == '\\' && strspn(path + 1, "01234567") >= 3 && path[1] <= '3' &&
		    sscanf(path + 1, "%3o%n", &byte, &n) == 1 && byte) {
			*to++ = byte;
			path += 1 + n;
		} else {
			*to++ = *path++;
		}
	}
	*to = 0;
}

bool flush_leave(const char *path)
{
	if (nr_left == FLUSH_MOST_LEFT || strlen(path) >= MOST_PATH)
		return false;
	decode(left[nr_left], path);
	helper_path(left_as[nr_left], sizeof(left_as[0]), left[nr_left]);
	nr_left++;
	return true;
}

void flush_forget(void)
{
	nr_left = 0;
}

const char *flush_left(unsigned int i)
{
	return i < nr_left ? left_as[i] : NULL;
}

static bool is_left(const char *path)
{
	for (unsigned int i = 0; i < nr_left; i++)
		if (!strcmp(left[i], path))
			return true;
	return false;
}

/* --- in the process that does it --- */

/* They have no disk, or nothing that is to be found after the jump. */
static bool has_no_disk(const char *type)
{
	static const char *const types[] = {
		"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs",
		"devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs",
		"proc", "pstore", "ramfs", "securityfs", "sysfs", "tmpfs", "tracefs",
	};

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i], type))
			return true;
	return false;
}

static void fail(const char *where, int err)
{
	helper_say("failed", where, strerror(err));
	_exit(1);
}

/* Those with a device that are not among the ones that were opened: there is no way to them. */
static void say_hidden(const struct still *still)
{
	FILE *f = fopen(MOUNTINFO, "re");
	unsigned int major, minor;
	char *line = NULL, *where, *type, *rest, *save;
	size_t size = 0;

	if (!f)
		fail(MOUNTINFO, errno);
	while (getline(&line, &size, f) > 0) {
		rest = strstr(line, " - ");
		if (!rest || sscanf(line, "%*d %*d %u:%u %*s %ms", &major, &minor, &where) != 3)
			continue;
		decode(where, where);
		type = strtok_r(rest + 3, " ", &save);
		strtok_r(NULL, " ", &save);
		/* Nobody can write to one that is read-only. */
		rest = strtok_r(NULL, "\n", &save);
		if (major && type && rest && strncmp(rest, "ro", 2) && !has_no_disk(type) && !is_left(where) &&
		    !still_has(still, makedev(major, minor)))
			still_not(where, "it cannot be opened, or something else is mounted over it");
		free(where);
	}
	free(line);
	fclose(f);
}

static void write_back(struct still *still)
{
	FILE *mounts = setmntent(MOUNTS, "r");
	struct mntent *m;

	if (!mounts)
		fail(MOUNTS, errno);
	while ((m = getmntent(mounts))) {
		int fd, added = 0;

		if (has_no_disk(m->mnt_type) || is_left(m->mnt_dir))
			continue;
		helper_say("at", m->mnt_dir, "");
		/* One that something else is mounted over is the last sync()'s. */
		fd = open(m->mnt_dir, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
			fail(m->mnt_dir, errno);
		if (fd < 0)
			continue;
		if (syncfs(fd))
			fail(m->mnt_dir, errno);
		if (still)
			added = still_add(still, fd, m->mnt_dir);
		if (added < 0)
			fail(m->mnt_dir, -added);
		if (!added)
			close(fd);
	}
	if (still)
		say_hidden(still);
	if (!nr_left) {
		/* It has no name that could be left out. */
		helper_say("doing", "what is mounted nowhere", "");
		sync();
	}
}

static void work(void)
{
	write_back(NULL);
	helper_say("done", "", "");
	_exit(0);
}

static uint32_t still_ms;

static void work_and_keep_still(void)
{
	struct still *still = still_new();

	write_back(still);
	still_keep(still, STILL_FILE, still_ms);
}

/* --- in the agent --- */

int flush_begin(uint32_t number, uint32_t ms)
{
	/* Later than the agent gives up: it is for an agent that is stopped, or it could thaw before the jump. */
	still_ms = ms + 10000;
	return helper_begin(number, false, ms ? work_and_keep_still : work);
}
