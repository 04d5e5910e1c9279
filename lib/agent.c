// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
/* Sessions from an agent, and updates by way of one: docs/agent.md has the protocol. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define REPLY_BYTES	4096
/* The agent reads no more of a request. */
#define REQUEST_BYTES	512
#define PROTOCOL_VERSION 1

/* So long connect(2) waits at once. */
#define CONNECT_MS	20

#define NEVER		UINT64_MAX

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* When @ms from now are over; 0: never. */
static uint64_t deadline_of(uint32_t ms)
{
	return ms ? now_ms() + ms : NEVER;
}

static int too_late(struct continuo *ctx)
{
	return fail(ctx, -ETIMEDOUT, "the agent has not answered within %u ms", ctx->timeout_ms);
}

/* Is it to be waited for any longer? continuo_cancel() ends one call. */
static int go_on(struct continuo *ctx, uint64_t until)
{
	eventfd_t times;

	if (!eventfd_read(ctx->cancel, &times))
		return fail(ctx, -EINTR, "the call was ended by continuo_cancel()");
	return now_ms() >= until ? too_late(ctx) : 0;
}

/* Until @fd has one of @events. A signal makes it neither shorter nor longer. */
static int await(struct continuo *ctx, int fd, short events, uint64_t until)
{
	struct pollfd on[] = { { .fd = fd, .events = events }, { .fd = ctx->cancel, .events = POLLIN } };
	int ret;

	do {
		uint64_t now = now_ms(), left = until > now ? until - now : 0;
		int n = poll(on, 2, left < INT_MAX ? (int)left : INT_MAX);

		if (n > 0 && !on[1].revents)
			return 0;
		if (n < 0 && errno != EINTR)
			return fail(ctx, -errno, "the agent cannot be waited for: %s", strerror(errno));
		ret = go_on(ctx, until);
	} while (!ret);
	return ret;
}

/* How long connect(2) waits for an agent that has many to accept; 0: as long as it takes. */
static void connect_for(int fd, int ms)
{
	struct timeval time = { .tv_usec = ms * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

static int dial(struct continuo *ctx, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t until = deadline_of(ctx->timeout_ms);
	int fd, err, ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return fail(ctx, -ENAMETOOLONG, "%s: a socket's path has %zu bytes at most",
			    path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(ctx, -errno, "%s: %s", path, strerror(errno));
	connect_for(fd, CONNECT_MS);
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		/* It accepts nobody, or a signal came: nothing has begun. */
		if (errno == EAGAIN || errno == EINTR) {
			ret = go_on(ctx, until);
		} else {
			err = errno;
			ret = fail(ctx, -err, "%s: %s", path,
				   err == EACCES ? "this user may not ask the agent; see its option --group" :
				   err == ENOENT || err == ECONNREFUSED ? "no agent listens there; start continuo-agent" :
									  strerror(err));
		}
		if (ret) {
			close(fd);
			return ret;
		}
	}
	connect_for(fd, 0);
	return fd;
}

/* The descriptor of a message, or -1. No message has two: then none is kept. */
static int descriptor_of(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t n;
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
	for (size_t i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (n == 1)
			return fd;
		close(fd);
	}
	return -1;
}

static int not_of_protocol(struct continuo *ctx)
{
	return fail(ctx, -EPROTO, "the agent's answer is not of the protocol; is it of another version?");
}

/* In place of how long a message is waited for: it is not. hear() returns 1 if there is none. */
#define NO_WAIT		UINT64_MAX

/*
 * A message of the agent's. @fd: where its descriptor is stored, -1 if it has none; @ms: for
 * how long it is waited for, 0: as long as it takes; or NO_WAIT.
 */
static int hear(struct continuo *ctx, int agent, uint64_t ms, char text[REPLY_BYTES], int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = text, .iov_len = REPLY_BYTES - 1 };
	uint64_t until = deadline_of(ms);
	unsigned int reset = 0;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int ret;

	/* An agent that closes without having read all has said before why. */
	while ((n = recvmsg(agent, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) < 0) {
		if (errno == EINTR || (errno == ECONNRESET && !reset++))
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			break;
		if (ms == NO_WAIT)
			return 1;
		ret = await(ctx, agent, POLLIN, until);
		if (ret)
			return ret;
	}
	if (n < 0 && errno != ECONNRESET)
		return fail(ctx, -errno, "the agent does not answer: %s", strerror(errno));
	*fd = n < 0 ? -1 : descriptor_of(&msg);
	/* An empty message looks like the end, and can have a descriptor. */
	if (n <= 0 && *fd >= 0)
		close(*fd);
	if (n <= 0)
		return fail(ctx, -EPIPE, "the agent has ended; start it again, and connect again");
	text[n] = 0;
	/* The kernel drops a descriptor that there is no room for. */
	if (*fd < 0 && msg.msg_flags & MSG_CTRUNC)
		return fail(ctx, -EMFILE, "the agent's descriptor has no room: this process has too many files open (RLIMIT_NOFILE)");
	return 0;
}

/* "error ERRNO SENTENCE" */
static int refusal(struct continuo *ctx, const char *text)
{
	char *why;
	long err;

	if (strncmp(text, "error ", 6))
		return not_of_protocol(ctx);
	err = strtol(text + 6, &why, 10);
	/* Without a sentence, nobody could say why. */
	if (err <= 0 || err > 4095 || *why != ' ' || !why[1])
		return not_of_protocol(ctx);
	return fail(ctx, -(int)err, "%s", why + 1);
}

static int is_behind(struct continuo *ctx)
{
	return fail(ctx, -EPIPE, "an answer of the agent's was not waited for, and can still come over this connection; connect again");
}

static int __attribute__((format(printf, 3, 4)))
tell(struct continuo *ctx, int agent, const char *fmt, ...)
{
	uint64_t until = deadline_of(ctx->timeout_ms);
	char text[REPLY_BYTES];
	va_list args;
	ssize_t n;
	int fd, err, ret;

	if (ctx->behind && agent == ctx->agent)
		return is_behind(ctx);
	if (ctx->started && agent == ctx->agent)
		return fail(ctx, -EBUSY, "an update was started on this connection; continuo_update_hear() until it ends, or connect again");
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n > REQUEST_BYTES)
		return fail(ctx, -ENAMETOOLONG, "a request of the agent has %d bytes at most, and this one %zd", REQUEST_BYTES, n);
	while (send(agent, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			goto err;
		/* It does not read what it is asked. */
		ret = await(ctx, agent, POLLOUT, until);
		if (ret)
			return ret;
	}
	return 0;

err:
	err = errno;
	/* One that was turned away has been told why: before, or not at all. */
	if (err == EPIPE && !hear(ctx, agent, NO_WAIT, text, &fd)) {
		if (fd >= 0)
			close(fd);
		return refusal(ctx, text);
	}
	return fail(ctx, err == ECONNRESET ? -EPIPE : -err,
		    "the agent cannot be asked: %s", strerror(err));
}

/* "step NAME" */
static void pass_on_step(const char *step, continuo_listener *listener, void *arg)
{
	struct continuo_heard heard = { .name = "", .state = step, .why = "" };

	if (listener)
		listener(arg, &heard);
}

/* "vm NAME STATE US WHY" */
static int pass_on(struct continuo *ctx, char *text, continuo_listener *listener, void *arg)
{
	struct continuo_heard heard;
	char *save = NULL, *us, *end;

	heard.name = strtok_r(text, " ", &save);
	heard.state = strtok_r(NULL, " ", &save);
	us = strtok_r(NULL, " ", &save);
	if (!us)
		return not_of_protocol(ctx);
	heard.us = strtoull(us, &end, 10);
	if (*end)
		return not_of_protocol(ctx);
	heard.why = save;
	if (listener)
		listener(arg, &heard);
	return 0;
}

/* The last message of an answer. @fdp: as ask_agent(). */
static int verdict(struct continuo *ctx, char *text, int fd, int *fdp)
{
	if (!strcmp(text, "ok\n") && (fd >= 0) == !!fdp) {
		if (fdp)
			*fdp = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return refusal(ctx, text);
}

/* A word and a space begin what comes in between; anything else has to be the end. */
static bool is_last(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return !n || text[n] != ' ' || !strncmp(text, "error ", 6);
}

/* One that no int can be is none that we know. */
static unsigned int version_in(const char *text)
{
	unsigned long version = strtoul(text, NULL, 10);

	return version > INT_MAX ? INT_MAX : version;
}

/* What is heard next would be taken for the answer to another request. */
static void not_to_its_end(struct continuo *ctx, int agent)
{
	ctx->behind = ctx->behind || agent == ctx->agent;
}

/* @ms: as hear(). */
static int answer_within(struct continuo *ctx, int agent, uint64_t ms, int *fdp,
			 continuo_listener *listener, void *arg)
{
	char text[REPLY_BYTES];
	int fd, ret;

	for (;;) {
		ret = hear(ctx, agent, ms, text, &fd);
		if (ret == -ETIMEDOUT || ret == -EINTR)
			not_to_its_end(ctx, agent);
		if (ret)
			return ret;
		if (fd >= 0 || is_last(text))
			return verdict(ctx, text, fd, fdp);
		if (!strncmp(text, "step ", 5))
			pass_on_step(text + 5, listener, arg);
		else if (!strncmp(text, "version ", 8))
			ctx->version = version_in(text + 8);
		else if (!strncmp(text, "vm ", 3))
			ret = pass_on(ctx, text + 3, listener, arg);
		/* What else comes in between is of a newer agent. */
		if (ret)
			return ret;
	}
}

static int answer_of(struct continuo *ctx, int agent, int *fdp,
		     continuo_listener *listener, void *arg)
{
	return answer_within(ctx, agent, ctx->timeout_ms, fdp, listener, arg);
}

static int need_agent(struct continuo *ctx)
{
	if (ctx->agent >= 0)
		return 0;
	return fail(ctx, -ENOTCONN, "there is no agent to ask; call continuo_agent() first");
}

/*
 * Behind a blank the agent would find another word or a field, and in a word with "=" a field
 * in place of a name. What else a name can be it says itself.
 */
static int check_name(struct continuo *ctx, const char *name)
{
	if (strlen(name) >= CONTINUO_SESSION_NAME)
		return fail(ctx, -ENAMETOOLONG, "session %.16s...: a name has %d bytes at most", name,
			    CONTINUO_SESSION_NAME - 1);
	if (!*name || strpbrk(name, " ="))
		return fail(ctx, -EINVAL, "session \"%s\": a name consists of letters, digits and . _ -, and has 1 at least", name);
	return 0;
}

/* An agent of before 0.2 takes a verb that it does not know for no request. */
static int unknown_verb(struct continuo *ctx, int ret)
{
	if (ret != -EBADMSG)
		return ret;
	return fail(ctx, -EOPNOTSUPP, "the agent is older than this program, and cannot do that; upgrade it");
}

/* The protocol begins with versions. An agent of before that does not know the verb. */
static int greet(struct continuo *ctx, int agent)
{
	int ret;

	ctx->version = 0;
	ret = tell(ctx, agent, "hello %u", PROTOCOL_VERSION);
	if (!ret)
		ret = answer_of(ctx, agent, NULL, NULL, NULL);
	return ret == -EBADMSG ? 0 : ret;
}

static int use(struct continuo *ctx, int fd)
{
	unsigned int before = ctx->version;
	int ret;

	ret = greet(ctx, fd);
	if (ret) {
		ctx->version = before;
		return ret;
	}
	if (ctx->agent >= 0)
		close(ctx->agent);
	ctx->agent = fd;
	ctx->started = ctx->behind = false;
	return 0;
}

int continuo_agent(struct continuo *ctx, const char *path)
{
	int fd, ret;

	if (!path)
		path = CONTINUO_AGENT_SOCKET;
	fd = dial(ctx, path);
	if (fd < 0)
		return fd;
	ret = use(ctx, fd);
	if (ret)
		close(fd);
	else
		strcpy(ctx->path, path);
	return ret;
}

int continuo_agent_fd(struct continuo *ctx, int fd)
{
	int ret;

	if (fd < 0)
		return fail(ctx, -EINVAL, "connection %d: this is no descriptor", fd);
	if (fd == ctx->agent)
		return fail(ctx, -EINVAL, "connection %d: the context has it already", fd);
	ret = use(ctx, fd);
	if (ret)
		return ret;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	ctx->path[0] = 0;
	return 0;
}

int continuo_agent_version(struct continuo *ctx)
{
	int ret = need_agent(ctx);

	if (!ret && ctx->behind)
		ret = is_behind(ctx);
	return ret ? ret : (int)ctx->version;
}

int continuo_deadline(struct continuo *ctx, uint32_t timeout_ms)
{
	ctx->timeout_ms = timeout_ms;
	return 0;
}

int continuo_connect(struct continuo *ctx, const char *name)
{
	int ret = need_agent(ctx), fd;

	if (!ret && name)
		ret = check_name(ctx, name);
	if (!ret)
		ret = tell(ctx, ctx->agent, "connect%s%s", name ? " " : "", name ? name : "");
	if (!ret)
		ret = answer_of(ctx, ctx->agent, &fd, NULL, NULL);
	return ret ? unknown_verb(ctx, ret) : fd;
}

int ask_agent(struct continuo *ctx, const char *verb, const char *name, int *fdp)
{
	int ret = check_name(ctx, name);

	if (!ret)
		ret = tell(ctx, ctx->agent, "%s %s", verb, name);
	return ret ? ret : answer_of(ctx, ctx->agent, fdp, NULL, NULL);
}

int ask_agent_for(struct continuo *ctx, const char *verb)
{
	int ret = need_agent(ctx);

	if (!ret)
		ret = tell(ctx, ctx->agent, "%s", verb);
	return ret ? ret : unknown_verb(ctx, answer_of(ctx, ctx->agent, NULL, NULL, NULL));
}

int wait_with_agent(struct continuo *ctx, const char *verb, const char *name)
{
	int ret = check_name(ctx, name);

	if (!ret)
		ret = tell(ctx, ctx->agent, "%s %s", verb, name);
	return ret ? ret : unknown_verb(ctx, answer_within(ctx, ctx->agent, 0, NULL, NULL, NULL));
}

/* --- being asked --- */

/* @fields: What follows the name, or "". */
static int enlist(struct continuo *ctx, const char *name, const char *fields)
{
	int ret = need_agent(ctx), fd;

	if (!ret)
		ret = check_name(ctx, name);
	if (ret)
		return ret;
	/* Of its own, so that an order never comes between a question and its answer. */
	fd = *ctx->path ? dial(ctx, ctx->path) : continuo_connect(ctx, NULL);
	if (fd < 0)
		return fd;
	ret = tell(ctx, fd, "register %s%s", name, fields);
	if (!ret)
		ret = answer_of(ctx, fd, NULL, NULL, NULL);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int continuo_register(struct continuo *ctx, const char *name)
{
	return enlist(ctx, name, "");
}

int continuo_register_process(struct continuo *ctx, const char *name, pid_t process)
{
	char field[32] = "";

	if (process)
		snprintf(field, sizeof(field), " process=%d", (int)process);
	return enlist(ctx, name, field);
}

int continuo_register_kept(struct continuo *ctx, const char *name)
{
	return enlist(ctx, name, " kept=1");
}

static const char *const wants[] = {
	[CONTINUO_WANT_PRESERVE] = "preserve",
	[CONTINUO_WANT_SUSPEND] = "suspend",
	[CONTINUO_WANT_UNDO] = "undo",
};

#define WANTS	(sizeof(wants) / sizeof(wants[0]))

/* What a program has that was built with the header of 0.1. */
#define ORDER_SIZE_0_1	(offsetof(struct continuo_order, timeout_ms) + sizeof(uint32_t))

/* The order that a message is; @known: or one that this library does not know. */
static int parse_order(struct continuo *ctx, const char *text, struct continuo_order *order,
		       bool *known)
{
	char word[16];
	int end = 0;

	if (sscanf(text, "%15s %u %u%n", word, &order->number, &order->timeout_ms, &end) != 3 ||
	    *text == ' ' || (text[end] && text[end] != ' '))
		return not_of_protocol(ctx);
	/* What follows are fields of a newer agent. */
	*known = false;
	for (uint32_t i = CONTINUO_WANT_PRESERVE; i < WANTS; i++) {
		if (strcmp(wants[i], word))
			continue;
		order->want = i;
		*known = true;
	}
	return 0;
}

int continuo_order_sized(struct continuo *ctx, int fd, struct continuo_order *order, size_t size)
{
	struct continuo_order mine = {};
	char text[REPLY_BYTES];
	int with = -1, ret;
	bool known = false;

	if (size < ORDER_SIZE_0_1)
		return fail(ctx, -EINVAL, "an order has %zu bytes at least", ORDER_SIZE_0_1);
	while (!known) {
		/* An order comes when it comes. */
		ret = hear(ctx, fd, 0, text, &with);
		if (ret)
			return ret;
		if (with >= 0)
			close(with);
		ret = with >= 0 ? not_of_protocol(ctx) : parse_order(ctx, text, &mine, &known);
		if (!ret && !known)
			ret = tell(ctx, fd, "failed %u this VM's library does not know the order", mine.number);
		if (ret)
			return ret;
	}
	memset(order, 0, size);
	memcpy(order, &mine, size < sizeof(mine) ? size : sizeof(mine));
	return 0;
}

int continuo_order(struct continuo *ctx, int fd, struct continuo_order *order)
{
	return continuo_order_sized(ctx, fd, order, ORDER_SIZE_0_1);
}

int continuo_answer(struct continuo *ctx, int fd, const struct continuo_order *order,
		    const char *why)
{
	char line[256];

	if (!why)
		return tell(ctx, fd, "done %u", order->number);
	/* A line of text, whatever it was. */
	snprintf(line, sizeof(line), "%s", why);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			*at = '?';
	return tell(ctx, fd, "failed %u %s", order->number, line);
}

/* --- asking --- */

int continuo_update_begin(struct continuo *ctx)
{
	int ret = need_agent(ctx);

	if (!ret)
		ret = tell(ctx, ctx->agent, "update");
	return ret ? ret : answer_of(ctx, ctx->agent, NULL, NULL, NULL);
}

int continuo_update_ask(struct continuo *ctx, enum continuo_want want, const char *name,
			uint32_t timeout_ms, continuo_listener *listener, void *arg)
{
	int ret = need_agent(ctx);

	if (!ret && name)
		ret = check_name(ctx, name);
	if (ret)
		return ret;
	if (want < CONTINUO_WANT_PRESERVE || want >= WANTS)
		return fail(ctx, -EINVAL, "want=%d: it is preserve, suspend or undo", want);
	ret = tell(ctx, ctx->agent, "%s %u%s%s", wants[want], timeout_ms,
		   name ? " " : "", name ? name : "");
	return ret ? ret : answer_of(ctx, ctx->agent, NULL, listener, arg);
}

int continuo_update_leave(struct continuo *ctx, const char *name)
{
	int ret = need_agent(ctx);

	/* Mount points can have blanks, but what looks as a field at their end is taken for one. */
	for (const char *at = strchr(name, ' '); at && !ret; at = strchr(at + 1, ' '))
		if (at[1 + strspn(at + 1, "abcdefghijklmnopqrstuvwxyz-")] == '=')
			ret = fail(ctx, -EINVAL, "%s: the agent would take what is behind the blank for a field; write the blank as \\040", name);
	if (!ret)
		ret = tell(ctx, ctx->agent, "leave %s", name);
	return ret ? ret : answer_of(ctx, ctx->agent, NULL, NULL, NULL);
}

int continuo_update_vms(struct continuo *ctx, continuo_listener *listener, void *arg)
{
	int ret = need_agent(ctx);

	if (!ret)
		ret = tell(ctx, ctx->agent, "vms");
	return ret ? ret : answer_of(ctx, ctx->agent, NULL, listener, arg);
}

int continuo_update_seal(struct continuo *ctx)
{
	int ret = need_agent(ctx);

	if (!ret)
		ret = tell(ctx, ctx->agent, "seal");
	return ret ? ret : answer_of(ctx, ctx->agent, NULL, NULL, NULL);
}

int continuo_update_services(struct continuo *ctx, uint32_t timeout_ms)
{
	int ret = need_agent(ctx);

	if (!ret)
		ret = tell(ctx, ctx->agent, "services %u", timeout_ms);
	return ret ? ret : unknown_verb(ctx, answer_of(ctx, ctx->agent, NULL, NULL, NULL));
}

static int ask_to_go(struct continuo *ctx, uint32_t timeout_ms, uint32_t flags)
{
	int ret = need_agent(ctx);

	if (ret)
		return ret;
	if (flags & ~CONTINUO_GO_LEAVE_SILENT)
		return fail(ctx, -EINVAL, "flags=%#x: there is no such flag", flags);
	return tell(ctx, ctx->agent, "go %u%s", timeout_ms,
		    flags & CONTINUO_GO_LEAVE_SILENT ? " silent=leave" : "");
}

static int ask_to_attach(struct continuo *ctx)
{
	int ret = need_agent(ctx);

	return ret ? ret : tell(ctx, ctx->agent, "attach");
}

int continuo_update_go(struct continuo *ctx, uint32_t timeout_ms, uint32_t flags,
		       continuo_listener *listener, void *arg)
{
	int ret = ask_to_go(ctx, timeout_ms, flags);

	return ret ? ret : unknown_verb(ctx, answer_of(ctx, ctx->agent, NULL, listener, arg));
}

int continuo_update_attach(struct continuo *ctx, continuo_listener *listener, void *arg)
{
	int ret = ask_to_attach(ctx);

	return ret ? ret : unknown_verb(ctx, answer_of(ctx, ctx->agent, NULL, listener, arg));
}

/* @ret: of what was asked. */
static int started(struct continuo *ctx, int ret)
{
	ctx->started = !ret || ctx->started;
	return ret ? ret : ctx->agent;
}

int continuo_update_go_start(struct continuo *ctx, uint32_t timeout_ms, uint32_t flags)
{
	return started(ctx, ask_to_go(ctx, timeout_ms, flags));
}

int continuo_update_attach_start(struct continuo *ctx)
{
	return started(ctx, ask_to_attach(ctx));
}

int continuo_update_hear(struct continuo *ctx, continuo_listener *listener, void *arg)
{
	int ret;

	if (!ctx->started)
		return fail(ctx, -EINVAL, "no update was started, or it has come to its end; call continuo_update_go_start() first");
	ret = answer_within(ctx, ctx->agent, NO_WAIT, NULL, listener, arg);
	if (ret == 1)
		return 1;
	ctx->started = false;
	return unknown_verb(ctx, ret);
}

int continuo_update_abort(struct continuo *ctx)
{
	return ask_agent_for(ctx, "abort");
}

int continuo_update_running(struct continuo *ctx)
{
	return ask_agent_for(ctx, "running");
}
