// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/control.h"

#define LINE_MAX_LEN	1024
#define NOTED_MS	1000

static int ctl = -1;

/* Phases that are said together with the next event that is none. */
static struct {
	bool wanted;
	char text[4096];
	size_t len;
} kept;

void ctl_keep_phases(void)
{
	kept.wanted = true;
}

int ctl_open(const char *path)
{
	struct termios tio;

	ctl = open(path, O_RDWR | O_NOCTTY);
	if (ctl < 0)
		return -errno;
	if (tcgetattr(ctl, &tio))
		return 0;	/* not a terminal: a test's pipe or socket */
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	tio.c_cflag |= CLOCAL | CREAD;
	tcsetattr(ctl, TCSANOW, &tio);
	return 0;
}

int ctl_fd(void)
{
	return ctl;
}

static void put(const char *text, size_t len)
{
	size_t off = 0;

	while (off < len) {
		ssize_t n = write(ctl < 0 ? 2 : ctl, text + off, len - off);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0)
			off += n;
	}
}

static void put_kept(void)
{
	put(kept.text, kept.len);
	kept.len = 0;
}

static void __attribute__((format(printf, 2, 0)))
vemit(const char *ev, const char *fmt, va_list ap)
{
	uint64_t tsc = cycle();
	char line[4096];
	size_t len;

	len = snprintf(line, sizeof(line),
		       "{\"ev\":\"%s\",\"t_us\":%llu,\"tsc\":%llu", ev,
		       (unsigned long long)now_us(), (unsigned long long)tsc);
	len += vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	if (len > sizeof(line) - 3)
		len = sizeof(line) - 3;
	memcpy(line + len, "}\n", 3);
	len += 2;
	if (kept.wanted && !strcmp(ev, "phase") &&
	    kept.len + len <= sizeof(kept.text)) {
		memcpy(kept.text + kept.len, line, len);
		kept.len += len;
		return;
	}
	put_kept();
	put(line, len);
}

void emit(const char *ev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit(ev, fmt, ap);
	va_end(ap);
}

void emit_noted(const char *ev, const char *fmt, ...)
{
	char more[512], *line;
	va_list ap;

	snprintf(more, sizeof(more), "%s,\"waits\":1", fmt);
	va_start(ap, fmt);
	vemit(ev, more, ap);
	va_end(ap);
	do
		line = ctl_line(NOTED_MS);
	while (!line || strcmp(line, "noted"));
}

void phase(const char *name, const char *edge)
{
	emit("phase", ",\"name\":\"%s\",\"edge\":\"%s\"", name, edge);
}

char *ctl_line(int timeout_ms)
{
	static char buf[LINE_MAX_LEN], line[LINE_MAX_LEN];
	static size_t used;
	uint64_t end = now_us() + timeout_ms * 1000ull;

	for (;;) {
		char *nl = memchr(buf, '\n', used);
		struct pollfd pfd = { .fd = ctl, .events = POLLIN };
		int64_t left = end - now_us();
		ssize_t n;

		if (nl) {
			size_t len = nl - buf;

			memcpy(line, buf, len);
			line[len] = 0;
			used -= len + 1;
			memmove(buf, nl + 1, used);
			return line;
		}
		if (used == sizeof(buf))
			used = 0;	/* not a line of ours: drop it */
		if (poll(&pfd, 1, left > 0 ? left / 1000 : 0) <= 0)
			return NULL;
		n = read(ctl, buf + used, sizeof(buf) - used);
		if (n <= 0)
			return NULL;
		used += n;
	}
}
