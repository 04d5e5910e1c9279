// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "talk.h"

#define FOLDER		"/run/continuo"
#define LOCK		FOLDER "/agent.lock"

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
