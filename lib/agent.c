// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
/* Sessions from an agent: docs/agent.md has the protocol. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

#define REPLY_BYTES	4096

int continuo_agent(struct continuo *ctx, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (!path)
		path = CONTINUO_AGENT_SOCKET;
	if (strlen(path) >= sizeof(addr.sun_path))
		return fail(ctx, -ENAMETOOLONG, "%s: a socket's path has %zu bytes at most",
			    path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = errno;
		if (fd >= 0)
			close(fd);
		return fail(ctx, -err, "%s: %s", path,
			    err == EACCES ? "this user may not ask the agent; see its option --group" :
			    err == ENOENT || err == ECONNREFUSED ? "no agent listens there; start continuo-agent" :
								   strerror(err));
	}
	if (ctx->agent >= 0)
		close(ctx->agent);
	ctx->agent = fd;
	return 0;
}

/* The descriptor of a message, or -1. */
static int descriptor_of(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int ask_agent(struct continuo *ctx, const char *verb, const char *name, int *fdp)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char text[REPLY_BYTES];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	char *why;
	ssize_t n;
	long err;
	int fd;

	n = snprintf(text, sizeof(text), "%s %s", verb, name);
	if (send(ctx->agent, text, n, MSG_NOSIGNAL) != n)
		return fail(ctx, -errno, "the agent cannot be asked: %s", strerror(errno));
	do
		n = recvmsg(ctx->agent, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(ctx, -errno, "the agent does not answer: %s", strerror(errno));
	if (!n)
		return fail(ctx, -EPIPE, "the agent has ended; start it again, and connect again");
	text[n] = 0;
	fd = descriptor_of(&msg);
	if (!strcmp(text, "ok\n") && (fd >= 0) == !!fdp) {
		if (fdp)
			*fdp = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (strncmp(text, "error ", 6))
		return fail(ctx, -EPROTO, "the agent's answer is not of the protocol");
	err = strtol(text + 6, &why, 10);
	if (err <= 0 || err > 4095 || *why != ' ')
		return fail(ctx, -EPROTO, "the agent's answer is not of the protocol");
	return fail(ctx, -(int)err, "%s", why + 1);
}
