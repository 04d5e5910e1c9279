// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "talk.h"

#define DEVICE		"/dev/liveupdate"
#define FOLDER		"/run/continuo"
#define LOCK		FOLDER "/agent.lock"
#define SAY_US		1000000ull	/* a wait that is no longer is not worth a line */
#define PAUSE_US	500000ull	/* in which nobody has tried: what comes then is another wait */
#define MOST_LOOKS	50000		/* at descriptors in /proc: everybody waits for that, */
#define LOOKED_US	1000000ull	/* so it is not done again, for all who wait, within that time */

/* Since when it cannot be had, and when it was tried last; 0: never. */
static uint64_t since_us, last_us;
static bool said;
/* When it was looked who has it; 0: not since it could be had. */
static uint64_t looked_us;

bool device_lock(void)
{
	char other[16] = "";
	int fd;

	/* What is wrong with it, if anything, open(2) says. */
	mkdir("/run", 0755);
	mkdir(FOLDER, 0755);
	/* Whoever can open it can lock it. */
	fd = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/*
	 * It stays open, and locked, until this process ends: those that it starts do not get it. Without
	 * CONFIG_FILE_LOCKING nobody can lock anything, and nobody is kept off.
	 */
	if (fd >= 0 && (!flock(fd, LOCK_EX | LOCK_NB) || errno == ENOSYS)) {
		if (!ftruncate(fd, 0))
			dprintf(fd, "%d\n", (int)getpid());
		return true;
	}
	if (fd >= 0 && errno == EWOULDBLOCK) {
		if (pread(fd, other, sizeof(other) - 1, 0) <= 0)
			*other = 0;
		other[strcspn(other, "\n")] = 0;
		trouble("another agent runs already, process %s, and one of them decides about an update", *other ? other : "?");
	} else {
		trouble("%s: it cannot be locked: %m", LOCK);
	}
	if (fd >= 0)
		close(fd);
	return false;
}

/* --- who has it --- */

/* False, too, if we may not know. */
static bool has_it(const char *pid, unsigned int *looks)
{
	char path[300], target[sizeof(DEVICE) + 1];
	struct dirent *entry;
	bool found = false;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (*looks)++ < MOST_LOOKS && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.10s/fd/%.10s", pid, entry->d_name);
		n = readlink(path, target, sizeof(target));
		found = n == (ssize_t)strlen(DEVICE) && !memcmp(target, DEVICE, n);
	}
	closedir(dir);
	return found;
}

static void name_of(const char *pid, char *name, size_t size)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.10s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, size - 1);
	if (fd >= 0)
		close(fd);
	name[n < 0 ? 0 : n] = 0;
	name[strcspn(name, "\n")] = 0;
	/* It is its own choice. */
	for (char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.:/+", *at))
			*at = '?';
}

/*
 * systemd, and whoever else has rights that the agent's unit does not leave to the agent, is not to be
 * seen from there.
 */
static const char *holder(void)
{
	unsigned int looks = 0;
	static char text[64];
	char name[20];
	struct dirent *entry;
	DIR *dir;

	if (looked_us && now_us() - looked_us < LOOKED_US)
		return text;
	dir = opendir("/proc");
	strcpy(text, "another process");
	while (dir && looks < MOST_LOOKS && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name) || !has_it(entry->d_name, &looks))
			continue;
		name_of(entry->d_name, name, sizeof(name));
		snprintf(text, sizeof(text), "process %.10s (%s)", entry->d_name, name);
		break;
	}
	if (dir)
		closedir(dir);
	looked_us = now_us();
	return text;
}

/* --- the wait --- */

void device_busy(const char *what)
{
	uint64_t now = now_us();

	if (!since_us || now - last_us > PAUSE_US) {
		since_us = now;
		said = false;
	}
	last_us = now;
	if (said || now - since_us < SAY_US)
		return;
	said = true;
	trouble("%s waits for " DEVICE ", which %s has open", what, holder());
}

void device_free(void)
{
	if (since_us && said)
		trouble(DEVICE " can be had again");
	since_us = 0;
	looked_us = 0;
	said = false;
}

const char *device_why(const char *what)
{
	static char text[300];
	const char *who = holder();

	snprintf(text, sizeof(text), "%s: " DEVICE " could not be had for %u s: %s has it open, and one at a time can; %s", what,
		 since_us ? (unsigned int)((now_us() - since_us) / 1000000) : 0, who,
		 strncmp(who, "process", 7) ? "'fuser -v " DEVICE "' tells root which; end that one, or try again" :
		 "end that one, or try again");
	return text;
}
