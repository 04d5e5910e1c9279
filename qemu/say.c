// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

static const char *vm = "-";
static char reason[WHY_MOST];

void say_name(const char *name)
{
	vm = name;
}

/* Names of other people's can be in it. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void say(const char *step, const char *fmt, ...)
{
	uint64_t us = now_us();
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	clean(text);
	fprintf(stderr, "continuo-qemu %s %llu.%06llu %s%s%s\n", vm,
		(unsigned long long)us / 1000000, (unsigned long long)us % 1000000,
		step, *text ? " " : "", text);
}

void say_step(const char *step)
{
	say(step, "%s", "");
}

int fail(const char *fmt, ...)
{
	char text[WHY_MOST];
	va_list args;

	/* The reason before can be part of the new one. */
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	clean(text);
	strcpy(reason, text);
	return -1;
}

const char *why(void)
{
	return reason;
}

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

int left_ms(uint64_t until)
{
	uint64_t now = now_us(), ms;

	if (now >= until)
		return 0;
	ms = (until - now + 999) / 1000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

bool wait_readable(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, left_ms(until));
	while (n < 0 && errno == EINTR);
	return n > 0;
}
