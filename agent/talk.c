// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "talk.h"

static bool vreply(int client, int fd, const char *fmt, va_list args)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	char text[REPLY_BYTES];
	struct iovec iov = { .iov_base = text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int n = vsnprintf(text, sizeof(text), fmt, args);

	iov.iov_len = n < (int)sizeof(text) ? n : (int)sizeof(text) - 1;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(client, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)iov.iov_len;
}

bool reply(int client, int fd, const char *fmt, ...)
{
	va_list args;
	bool sent;

	va_start(args, fmt);
	sent = vreply(client, fd, fmt, args);
	va_end(args);
	return sent;
}

bool reply_or_end(int client, const char *fmt, ...)
{
	va_list args;
	bool sent;

	va_start(args, fmt);
	sent = vreply(client, -1, fmt, args);
	va_end(args);
	if (!sent)
		shutdown(client, SHUT_RDWR);
	return sent;
}

int trouble(const char *fmt, ...)
{
	va_list args;

	fputs("continuo-agent: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return 3;
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}
