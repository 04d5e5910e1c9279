// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "still.h"

#ifndef SYS_fsconfig
#define SYS_fsconfig	431
#define SYS_fspick	433
#endif

#define MOST		8192		/* file systems; each has a descriptor, of which the agent has no more */

enum state { AS_BEFORE, FROZEN, READ_ONLY };

/* Shared by the process that freezes and the one that waits and thaws. */
struct still {
	unsigned int n;
	/* It is to be undone: what is frozen after this is thawed by who has frozen it. */
	atomic_bool over;
	/* What of them is not as before, for an agent that is started when all of this was killed. */
	int notes;
	struct {
		int fd;
		dev_t dev;
		char *where;		/* is there before there are two processes */
		_Atomic enum state state;
	} fs[MOST];
};

struct still *still_new(void)
{
	struct still *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return s == MAP_FAILED ? NULL : s;
}

bool still_has(const struct still *s, dev_t dev)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->fs[i].dev == dev)
			return true;
	return false;
}

int still_add(struct still *s, int fd, const char *where)
{
	struct stat st;
	char *copy;

	if (fstat(fd, &st))
		return -errno;
	if (still_has(s, st.st_dev))
		return 0;
	if (s->n == MOST)
		return -EMFILE;
	copy = strdup(where);
	if (!copy)
		return -ENOMEM;
	s->fs[s->n].fd = fd;
	s->fs[s->n].dev = st.st_dev;
	s->fs[s->n++].where = copy;
	return 1;
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

static void stays_so(const char *where, const char *how)
{
	fprintf(stderr, "continuo-agent: %s stays %s: %s\n", where, how, strerror(errno));
}

static void go_on(int fd, const char *where, enum state from)
{
	/* EINVAL: somebody else was faster, for example an agent that is started. */
	if (from == FROZEN && ioctl(fd, FITHAW, 0) && errno != EINVAL)
		stays_so(where, "frozen; fsfreeze -u lets it go on");
	else if (from == READ_ONLY && !make(fd, "rw"))
		stays_so(where, "read-only; mount -o remount,rw lets it be written to");
}

static void thaw(struct still *s, unsigned int i)
{
	go_on(s->fs[i].fd, s->fs[i].where, atomic_exchange(&s->fs[i].state, AS_BEFORE));
}

/* A note in one piece: "f" of one to be frozen, "r" read-only, "-" neither; and where it is. */
static bool note(const struct still *s, char what, unsigned int i)
{
	struct iovec parts[] = {
		{ .iov_base = &what, .iov_len = 1 },
		{ .iov_base = s->fs[i].where, .iov_len = strlen(s->fs[i].where) + 1 },
	};

	return writev(s->notes, parts, 2) == (ssize_t)(1 + parts[1].iov_len);
}

/*
 * What has no disk of its own (network and stacked file systems) is no device's, and who uses it
 * shall not get an error: it is not made read-only.
 */
static bool has_device(dev_t dev)
{
	return major(dev);
}

/* One that cannot be frozen (errno), and that is as it should be. */
static bool is_no_matter(dev_t dev)
{
	int err = errno;
	bool is = /* somebody else has frozen it, and it is his */
		  err == EBUSY || ((err == EOPNOTSUPP || err == ENOTTY) && !has_device(dev)) || is_read_only(dev);

	errno = err;
	return is;
}

void still_not(const char *where, const char *why)
{
	fprintf(stderr, "continuo-agent: %s is written back, but does not stand still: %s\n", where, why);
}

static void freeze(struct still *s, unsigned int i)
{
	/* Before it is done: nobody who is killed can say that it was. */
	if (!note(s, 'f', i)) {
		helper_say("failed", s->fs[i].where, "what is frozen cannot be written down");
		_exit(1);
	}
	if (!ioctl(s->fs[i].fd, FIFREEZE, 0)) {
		atomic_store(&s->fs[i].state, FROZEN);
	} else if (is_no_matter(s->fs[i].dev)) {
		note(s, '-', i);
	} else if ((errno == EOPNOTSUPP || errno == ENOTTY) && note(s, 'r', i) && make(s->fs[i].fd, "ro")) {
		atomic_store(&s->fs[i].state, READ_ONLY);
	} else {
		still_not(s->fs[i].where, strerror(errno));
		note(s, '-', i);
	}
	if (atomic_load(&s->over))
		thaw(s, i);
}

static bool is_in_file(dev_t dev)
{
	return major(dev) == LOOP_MAJOR;
}

/*
 * Those in files of others first. Then from the last one: what was mounted later can be above
 * what was mounted before.
 */
static void freeze_all(struct still *s)
{
	for (int in_file = 1; in_file >= 0; in_file--) {
		for (unsigned int i = s->n; i-- > 0 && !atomic_load(&s->over);) {
			if (is_in_file(s->fs[i].dev) != in_file)
				continue;
			helper_say("at", s->fs[i].where, "");
			freeze(s, i);
		}
	}
}

/* What is made writable may take long; nothing that is frozen waits for that. */
static void thaw_all(struct still *s)
{
	atomic_store(&s->over, true);
	for (unsigned int i = 0; i < s->n; i++)
		if (atomic_load(&s->fs[i].state) == FROZEN)
			thaw(s, i);
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

/* --- an agent that is started --- */

/* Of a note that is not the last one of its file system nothing is to be done. */
static bool is_last(const char *line, const char *end)
{
	for (const char *next = line + strlen(line) + 1; next < end; next += strlen(next) + 1)
		if (*next && !strcmp(next + 1, line + 1))
			return false;
	return true;
}

static void as_noted(const char *line)
{
	int fd;

	if (*line != 'f' && *line != 'r')
		return;
	fd = open(line + 1, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	/* One that goes on already, or was not frozen yet: EINVAL. */
	if (fd < 0 || (*line == 'f' && ioctl(fd, FITHAW, 0) && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOTTY))
		stays_so(line + 1, "frozen; fsfreeze -u lets it go on");
	else if (*line == 'r')
		go_on(fd, line + 1, READ_ONLY);
	if (fd >= 0)
		close(fd);
}

void still_again(const char *notes)
{
	FILE *f = fopen(notes, "re");
	char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (!f)
		return;
	if (!fstat(fileno(f), &st))
		text = calloc(1, st.st_size + 1);
	/* Any byte can be in a path. */
	if (text)
		n = fread(text, 1, st.st_size, f);
	for (char *line = text; n && line < text + n; line += strlen(line) + 1)
		if (*line && is_last(line, text + n))
			as_noted(line);
	free(text);
	fclose(f);
	unlink(notes);
}

void still_go_on(const char *notes)
{
	pid_t pid;

	if (access(notes, F_OK))
		return;
	pid = fork();
	if (!pid) {
		if (helper_begin_anew(1))
			still_again(notes);
		_exit(0);
	}
	if (pid < 0)
		stays_so(notes, "there, and what it names frozen");
}

void still_keep(struct still *s, const char *notes, uint32_t ms)
{
	/* Standard output has an error once nobody reads it. */
	struct pollfd ends[2] = { { .fd = 1 }, { .fd = -1, .events = POLLIN } };
	uint64_t until = ms_now() + ms, now;
	bool failed = false;
	int frozen[2];
	pid_t pid = -1, keeper = getpid();
	char all;

	if (s && (s->notes = open(notes, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600)) >= 0 &&
	    !pipe2(frozen, O_CLOEXEC)) {
		live_long();
		pid = fork();
	}
	if (pid < 0) {
		helper_say("failed", "no process can be made that has the file systems stand still", "");
		_exit(1);
	}
	if (!pid) {
		/* Who is left alone would freeze what nobody thaws. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != keeper)
			_exit(1);
		close(frozen[0]);
		freeze_all(s);
		_exit(write(frozen[1], "", 1) != 1);
	}
	close(frozen[1]);
	ends[1].fd = frozen[0];
	while (!failed && (now = ms_now()) < until) {
		if (poll(ends, 2, until - now) <= 0)
			continue;
		if (ends[0].revents)
			break;
		if (ends[1].revents) {
			ends[1].fd = -1;
			/* Its end without a word is not that all stands still. */
			failed = read(frozen[0], &all, 1) != 1;
			if (!failed && write(1, "done\n", 5) < 0)
				break;
		}
	}
	thaw_all(s);
	/* Who freezes can have ended with one frozen, and not have said so. */
	if (failed)
		still_again(notes);
	unlink(notes);
	if (failed)
		helper_say("failed", "the process that has file systems stand still has ended", "");
	_exit(failed);
}
