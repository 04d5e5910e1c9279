// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whatever an agent says, each call ends with what the header allows, a sentence if it has failed, and no
 * descriptor is lost or closed twice. Nor does anything but text of a line go back.
 *
 * The first byte is the call. Then come messages, each with a byte of what comes along in front, and SEPARATOR behind;
 * an agent that has no more to say has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEPARATOR	0xff
#define REQUEST_MOST	512
#define AGENT		1000		/* descriptors of no process: this is the connection */
#define MOST_FILES	1024

/* What comes along with a message. */
enum along { NOTHING, ONE, TWO, NO_ROOM, LATER, ALONGS };

static const uint8_t *at, *end;
static bool is_open[MOST_FILES];
static int files, late;

static void must(bool condition)
{
	if (!condition)
		abort();
}

static int new_file(void)
{
	must(files < MOST_FILES);
	is_open[files] = true;
	return AGENT + files++;
}

static int fuzz_close(int fd)
{
	must(fd >= AGENT && fd < AGENT + files && is_open[fd - AGENT]);
	is_open[fd - AGENT] = false;
	return 0;
}

static void give_files(struct msghdr *msg, int n)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	/* The kernel gives two if there is room for them. */
	while (n && msg->msg_controllen < CMSG_LEN(n * sizeof(fd)))
		n--;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(fd));
	for (int i = 0; i < n; i++) {
		fd = new_file();
		memcpy(CMSG_DATA(c) + i * sizeof(fd), &fd, sizeof(fd));
	}
}

static ssize_t fuzz_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const uint8_t *separator;
	enum along along;
	size_t n;

	must(fd >= AGENT && fd < AGENT + files && is_open[fd - AGENT] && flags & MSG_CMSG_CLOEXEC);
	if (at == end || files > MOST_FILES - 4) {
		msg->msg_controllen = 0;
		return 0;
	}
	along = *at % ALONGS;
	if (along == LATER && !late++) {
		errno = EAGAIN;
		return -1;
	}
	late = 0;
	at++;
	separator = memchr(at, SEPARATOR, end - at);
	n = (separator ?: end) - at;
	n = n < msg->msg_iov->iov_len ? n : msg->msg_iov->iov_len;
	memcpy(msg->msg_iov->iov_base, at, n);
	at = separator ? separator + 1 : end;
	msg->msg_flags = along == NO_ROOM ? MSG_CTRUNC : 0;
	if (along == ONE || along == TWO)
		give_files(msg, along);
	else
		msg->msg_controllen = 0;
	return n;
}

static ssize_t fuzz_send(int fd, const void *text, size_t n, int flags)
{
	must(fd >= AGENT && fd < AGENT + files && is_open[fd - AGENT] && flags & MSG_NOSIGNAL);
	must(n && n <= REQUEST_MOST);
	for (size_t i = 0; i < n; i++)
		must(((const char *)text)[i] >= 0x20 && ((const char *)text)[i] < 0x7f);
	return n;
}

static int fuzz_poll(struct pollfd *on, nfds_t n, int ms)
{
	(void)ms;
	for (nfds_t i = 0; i < n; i++)
		on[i].revents = i ? 0 : on[i].events;
	return 1;
}

/* In one piece with this, above an agent that is made up. */
#define close		fuzz_close
#define recvmsg		fuzz_recvmsg
#define send		fuzz_send
#define poll		fuzz_poll
#define eventfd_read(fd, times)	((void)(fd), (void)(times), -1)
#include "agent.c"
#undef close
#undef recvmsg
#undef send
#undef poll
#undef eventfd_read

static size_t heard;

static void listener(void *arg, const struct continuo_heard *h)
{
	must(arg == &heard);
	heard += strlen(h->name) + strlen(h->state) + strlen(h->why);
}

/* Of a call that does not return a descriptor. */
static void ended(struct continuo *ctx, int ret)
{
	must(ret <= 0 && ret >= -4095 && (!ret || *continuo_why(ctx)));
}

/* Of one that does. */
static void gave(struct continuo *ctx, int ret)
{
	if (ret < 0)
		ended(ctx, ret);
	else
		fuzz_close(ret);
}

static void hear_orders(struct continuo *ctx)
{
	struct continuo_order order;
	int ret;

	while (!(ret = continuo_order(ctx, ctx->agent, &order))) {
		must(order.want >= CONTINUO_WANT_PRESERVE && order.want <= CONTINUO_WANT_UNDO);
		ended(ctx, continuo_answer(ctx, ctx->agent, &order, order.number & 1 ? (const char *)"caf\xc3\xa9\n" : NULL));
	}
	ended(ctx, ret);
}

static void hear_update(struct continuo *ctx, bool go)
{
	int ret = go ? continuo_update_go_start(ctx, 1000, CONTINUO_GO_LEAVE_SILENT) : continuo_update_attach_start(ctx);

	must(ret == ctx->agent);
	while ((ret = continuo_update_hear(ctx, listener, &heard)) == 1)
		;
	ended(ctx, ret);
	must(!ctx->started);
}

static void call(struct continuo *ctx, unsigned int which)
{
	int fd = -1, ret;

	switch (which % 13) {
	case 0:
		/* Whose it is depends on how it ends. */
		fd = new_file();
		ret = continuo_agent_fd(ctx, fd);
		ended(ctx, ret);
		must(ctx->agent == (ret ? AGENT : fd));
		must(continuo_agent_version(ctx) >= 0);
		if (ret)
			fuzz_close(fd);
		break;
	case 1:
		gave(ctx, continuo_connect(ctx, "vm-1"));
		break;
	case 2:
		ret = ask_agent(ctx, "create", "vm-1", &fd);
		must(!ret == (fd >= 0));
		gave(ctx, ret ?: fd);
		break;
	case 3:
		ended(ctx, ask_agent(ctx, "release", "vm-1", NULL));
		break;
	case 4:
		gave(ctx, continuo_register_process(ctx, "vm-1", 77));
		break;
	case 5:
		hear_orders(ctx);
		break;
	case 6:
		ended(ctx, continuo_update_ask(ctx, CONTINUO_WANT_SUSPEND, NULL, 1000, listener, &heard));
		break;
	case 7:
		ended(ctx, continuo_update_go(ctx, 1000, 0, listener, &heard));
		break;
	case 8:
		ended(ctx, continuo_update_attach(ctx, listener, &heard));
		break;
	case 9:
	case 10:
		hear_update(ctx, which % 13 == 9);
		break;
	case 11:
		ended(ctx, continuo_update_vms(ctx, listener, &heard));
		break;
	case 12:
		ended(ctx, wait_with_agent(ctx, "ready", "vm-1"));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct continuo ctx = { .device = -1, .cancel = -1 };

	if (!size)
		return 0;
	files = late = 0;
	ctx.agent = new_file();
	at = data + 1;
	end = data + size;
	call(&ctx, data[0]);
	/* The context's own is left, and nothing else. */
	fuzz_close(ctx.agent);
	for (int i = 0; i < files; i++)
		must(!is_open[i]);
	return 0;
}
