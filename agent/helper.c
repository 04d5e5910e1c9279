// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

#ifndef SYS_close_range
#define SYS_close_range	436
#endif

static struct {
	int fd;
	bool done, killed;
	pid_t pid;
	uint32_t number;
	size_t n;
	char text[1024];
} helper = { .fd = -1 };

/* --- in the process --- */

void helper_path(char *to, size_t size, const char *path)
{
	size_t n = 0;

	for (; *path && n + 5 < size; path++) {
		unsigned char c = *path;

		if (c <= ' ' || c >= 0x7f || strchr("\\,'", c))
			n += snprintf(to + n, size - n, "\\%03o", c);
		else
			to[n++] = c;
	}
	to[n] = 0;
}

void helper_say(const char *word, const char *what, const char *why)
{
	char line[900], path[500];
	int n;

	if (*what == '/') {
		helper_path(path, sizeof(path), what);
		what = path;
	}
	n = snprintf(line, sizeof(line), "%s %s%s%s\n", word, what, *why ? ": " : "", why);
	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	/* Nor can anything else have a line in it that would be taken for one of ours. */
	for (int i = 0; i < n - 1; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	if (write(1, line, n) < 0)
		_exit(1);
}

bool helper_begin_anew(int out)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	/* It may never end: then it must not keep a session, or the lock of device.c. */
	if (nothing < 0 || dup2(out, 1) < 0 || dup2(nothing, 0) < 0 ||
	    syscall(SYS_close_range, 3u, ~0u, 0u))
		return false;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	return true;
}

/*
 * An agent that is killed cannot kill anybody, and the kernel does it for a process, not for those
 * that it has started: so this process waits, the work is its child's, and all of the group ends when the
 * agent does.
 */
static void __attribute__((noreturn)) watch(pid_t agent, void (*work)(void))
{
	pid_t worker, self = getpid();
	sigset_t news;
	int sig;

	sigemptyset(&news);
	sigaddset(&news, SIGTERM);
	sigaddset(&news, SIGCHLD);
	sigprocmask(SIG_BLOCK, &news, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != agent)
		_exit(1);
	worker = fork();
	if (!worker) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		sigprocmask(SIG_UNBLOCK, &news, NULL);
		work();
		_exit(1);
	}
	while (worker > 0 && waitpid(worker, NULL, WNOHANG) != worker)
		if (!sigwait(&news, &sig) && sig == SIGTERM)
			kill(0, SIGKILL);
	_exit(worker < 0);
}

/* --- in the agent --- */

int helper_begin(uint32_t number, bool killed, void (*work)(void))
{
	pid_t pid, agent = getpid();
	int ends[2];

	helper_left();
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	pid = fork();
	if (!pid) {
		if (killed)
			setpgid(0, 0);
		if (!helper_begin_anew(ends[1]))
			_exit(1);
		if (killed)
			watch(agent, work);
		work();
		_exit(1);
	}
	close(ends[1]);
	if (pid < 0) {
		int err = errno;

		close(ends[0]);
		return -err;
	}
	/* Whoever comes first of the two. */
	if (killed)
		setpgid(pid, pid);
	helper.fd = ends[0];
	helper.done = false;
	helper.killed = killed;
	helper.pid = pid;
	helper.number = number;
	helper.n = 0;
	return 0;
}

void helper_left(void)
{
	if (helper.fd < 0)
		return;
	/* One that is not killed ends at the next thing that it says; if it hangs, nothing ends it. */
	close(helper.fd);
	helper.fd = -1;
	if (helper.killed && helper.pid)
		kill(-helper.pid, SIGKILL);
	helper.pid = 0;
}

bool helper_is_gone(void)
{
	struct pollfd said = { .fd = helper.fd };

	/* Nobody else can write there. */
	return helper.fd < 0 || (poll(&said, 1, 0) == 1 && said.revents & (POLLHUP | POLLERR));
}

bool helper_reaped(pid_t pid)
{
	if (pid != helper.pid)
		return false;
	helper.pid = 0;
	return true;
}

int helper_fd(void)
{
	return helper.done ? -1 : helper.fd;
}

static void end_with(void (*end)(uint32_t number, const char *why), const char *why)
{
	uint32_t number = helper.number;

	helper_left();
	end(number, why);
}

void helper_news(void (*at)(uint32_t number, const char *where, bool can_leave),
		 void (*end)(uint32_t number, const char *why))
{
	ssize_t n;
	char *line;

	if (helper_fd() < 0)
		return;
	n = read(helper.fd, helper.text + helper.n, sizeof(helper.text) - 1 - helper.n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_with(end, "the process that does it has ended");
		return;
	}
	helper.n += n;
	helper.text[helper.n] = 0;
	while ((line = memchr(helper.text, '\n', helper.n))) {
		char first[sizeof(helper.text)];
		size_t used = line + 1 - helper.text;

		*line = 0;
		strcpy(first, helper.text);
		memmove(helper.text, helper.text + used, helper.n + 1 - used);
		helper.n -= used;
		if (!strncmp(first, "done", 4)) {
			/* What it keeps up it keeps up until it is left. */
			helper.done = true;
			end(helper.number, NULL);
			return;
		}
		if (!strncmp(first, "failed ", 7)) {
			end_with(end, first + 7);
			return;
		}
		if (!strncmp(first, "at ", 3))
			at(helper.number, first + 3, true);
		if (!strncmp(first, "doing ", 6))
			at(helper.number, first + 6, false);
	}
	/* A line that is longer than any that is said. */
	if (helper.n == sizeof(helper.text) - 1)
		helper.n = 0;
}
