// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "still.h"

#ifndef SYS_fsconfig
#define SYS_fsconfig	431
#define SYS_fspick	433
#endif

#define MOST		1024		/* file systems */

enum state { AS_BEFORE, FROZEN, READ_ONLY };

/* Shared by the process that freezes and the one that waits and thaws. */
struct still {
	unsigned int n;
	/* It is to be undone: what is frozen after this is thawed by who has frozen it. */
	atomic_bool over;
	struct {
		int fd;
		dev_t dev;
		char where[256];
		_Atomic enum state state;
	} fs[MOST];
};

struct still *still_new(void)
{
	struct still *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return s == MAP_FAILED ? NULL : s;
}

bool still_add(struct still *s, int fd, const char *where)
{
	struct stat st;

	if (s->n == MOST || fstat(fd, &st))
		return false;
	for (unsigned int i = 0; i < s->n; i++)
		if (s->fs[i].dev == st.st_dev)
			return false;
	s->fs[s->n].fd = fd;
	s->fs[s->n].dev = st.st_dev;
	snprintf(s->fs[s->n++].where, sizeof(s->fs[0].where), "%s", where);
	return true;
}

/* --- read-only, for what cannot be frozen --- */

/* Of the file system, wherever it is mounted, and however there. */
static bool is_read_only(dev_t dev)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int major, minor;
	bool is = true, known = false;
	char *line = NULL, *at;
	size_t size = 0;

	while (f && !known && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2 || makedev(major, minor) != dev)
			continue;
		at = strstr(line, " - ");
		/* Type, device, options: "rw" or "ro" comes first. */
		for (int i = 0; at && i < 3; i++)
			at = strchr(at + 1, ' ');
		known = at;
		is = at && !strncmp(at + 1, "ro", 2);
	}
	free(line);
	if (f)
		fclose(f);
	return is;
}

static bool make(int fd, const char *how)
{
	int fs = syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	bool made;

	if (fs < 0)
		return false;
	made = !syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, how, NULL, 0) &&
	       !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	close(fs);
	return made;
}

/* --- both --- */

static void thaw(struct still *s, unsigned int i)
{
	switch (atomic_exchange(&s->fs[i].state, AS_BEFORE)) {
	case FROZEN:
		ioctl(s->fs[i].fd, FITHAW, 0);
		break;
	case READ_ONLY:
		make(s->fs[i].fd, "rw");
		break;
	default:
		break;
	}
}

static void freeze(struct still *s, unsigned int i)
{
	if (!ioctl(s->fs[i].fd, FIFREEZE, 0))
		atomic_store(&s->fs[i].state, FROZEN);
	/* One that somebody else has frozen is his (EBUSY). */
	else if ((errno == EOPNOTSUPP || errno == ENOTTY) && !is_read_only(s->fs[i].dev) && make(s->fs[i].fd, "ro"))
		atomic_store(&s->fs[i].state, READ_ONLY);
	if (atomic_load(&s->over))
		thaw(s, i);
}

/* What was mounted later can be in a file of what was mounted before: from the last one. */
static void freeze_all(struct still *s)
{
	for (unsigned int i = s->n; i-- > 0 && !atomic_load(&s->over);) {
		helper_say("at", s->fs[i].where, "");
		freeze(s, i);
	}
}

static void thaw_all(struct still *s)
{
	atomic_store(&s->over, true);
	for (unsigned int i = 0; i < s->n; i++)
		thaw(s, i);
}

static uint64_t ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* Nobody else thaws: so memory that runs short ends others first. */
static void live_long(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-1000", 5) < 0)
		perror("continuo-agent: oom_score_adj");
	if (fd >= 0)
		close(fd);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

void still_keep(struct still *s, uint32_t ms)
{
	/* Standard output has an error once nobody reads it. */
	struct pollfd ends[2] = { { .fd = 1 }, { .fd = -1, .events = POLLIN } };
	uint64_t until = ms_now() + ms, now;
	int frozen[2];
	pid_t pid = -1;

	if (s && !pipe2(frozen, O_CLOEXEC)) {
		live_long();
		pid = fork();
	}
	if (pid < 0) {
		helper_say("failed", "no process can be made that has the file systems stand still", "");
		_exit(1);
	}
	if (!pid) {
		close(frozen[0]);
		freeze_all(s);
		_exit(0);
	}
	close(frozen[1]);
	ends[1].fd = frozen[0];
	while ((now = ms_now()) < until) {
		if (poll(ends, 2, until - now) <= 0)
			continue;
		if (ends[0].revents)
			break;
		if (ends[1].revents) {
			ends[1].fd = -1;
			if (write(1, "done\n", 5) < 0)
				break;
		}
	}
	thaw_all(s);
	_exit(0);
}
