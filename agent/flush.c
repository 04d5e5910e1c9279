// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flush.h"

#ifndef SYS_close_range
#define SYS_close_range	436
#endif

#define MOST_LEFT	16
#define MOST_PATH	256

static char left[MOST_LEFT][MOST_PATH];
static unsigned int nr_left;

static struct {
	int fd;
	uint32_t number;
	size_t n;
	char text[1024];
} flush = { .fd = -1 };

bool flush_leave(const char *path)
{
	if (nr_left == MOST_LEFT || strlen(path) >= MOST_PATH)
		return false;
	strcpy(left[nr_left++], path);
	return true;
}

void flush_forget(void)
{
	nr_left = 0;
}

static bool is_left(const char *path)
{
	for (unsigned int i = 0; i < nr_left; i++)
		if (!strcmp(left[i], path))
			return true;
	return false;
}

/* --- in the process that does it --- */

static void say(int to, const char *word, const char *path, const char *why)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "%s %s%s%s\n", word, path, *why ? ": " : "", why);

	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (write(to, line, n) < 0)
		_exit(1);
}

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

static void write_back(int to)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *m;

	while (mounts && (m = getmntent(mounts))) {
		int fd;

		if (has_no_disk(m->mnt_type) || is_left(m->mnt_dir))
			continue;
		say(to, "at", m->mnt_dir, "");
		/* One that something else is mounted over is the last sync()'s. */
		fd = open(m->mnt_dir, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (syncfs(fd)) {
			say(to, "failed", m->mnt_dir, strerror(errno));
			_exit(1);
		}
		close(fd);
	}
	if (!nr_left) {
		say(to, "at", "what is mounted nowhere", "");
		sync();
	}
	say(to, "done", "", "");
	_exit(0);
}

/* --- in the agent --- */

int flush_begin(uint32_t number)
{
	int ends[2];
	pid_t pid;

	flush_left();
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	pid = fork();
	if (!pid) {
		sigset_t none;

		/*
		 * It may never end: then it must not keep a session, or /dev/liveupdate. What it
		 * writes on is 0, all else is closed.
		 */
		if (dup2(ends[1], 0) < 0 || syscall(SYS_close_range, 3u, ~0u, 0u))
			_exit(1);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		write_back(0);
	}
	close(ends[1]);
	if (pid < 0) {
		int err = errno;

		close(ends[0]);
		return -err;
	}
	flush.fd = ends[0];
	flush.number = number;
	flush.n = 0;
	return flush.fd;
}

void flush_left(void)
{
	/* The process ends at the next thing that it says; it cannot be ended if it hangs. */
	if (flush.fd >= 0)
		close(flush.fd);
	flush.fd = -1;
}

int flush_fd(void)
{
	return flush.fd;
}

static void end_with(void (*end)(uint32_t number, const char *why), const char *why)
{
	uint32_t number = flush.number;

	flush_left();
	end(number, why);
}

void flush_news(void (*at)(uint32_t number, const char *where),
		void (*end)(uint32_t number, const char *why))
{
	ssize_t n;
	char *line;

	if (flush.fd < 0)
		return;
	n = read(flush.fd, flush.text + flush.n, sizeof(flush.text) - 1 - flush.n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_with(end, "files are not written back: the process that does it has ended");
		return;
	}
	flush.n += n;
	flush.text[flush.n] = 0;
	while ((line = memchr(flush.text, '\n', flush.n))) {
		char why[700], first[sizeof(flush.text)];
		size_t used = line + 1 - flush.text;

		*line = 0;
		strcpy(first, flush.text);
		memmove(flush.text, flush.text + used, flush.n + 1 - used);
		flush.n -= used;
		if (!strncmp(first, "done", 4)) {
			end_with(end, NULL);
			return;
		}
		if (!strncmp(first, "failed ", 7)) {
			snprintf(why, sizeof(why), "files are not written back: %.600s; see to it, or go on without it (--leave)",
				 first + 7);
			end_with(end, why);
			return;
		}
		if (!strncmp(first, "at ", 3))
			at(flush.number, first + 3);
	}
	/* A line that is longer than any that is said. */
	if (flush.n == sizeof(flush.text) - 1)
		flush.n = 0;
}
