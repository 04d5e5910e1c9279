// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"
#include "say.h"
#include "sock.h"

#define MOST_CONTROL	(CMSG_SPACE(64 * sizeof(int)))
#define CANCEL_US	5000000

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void capture_init(struct capture *c)
{
	memset(c, 0, sizeof(*c));
	c->conn = c->stream = -1;
}

static void forget(struct capture *c)
{
	for (unsigned int i = 0; i < c->nr; i++)
		close_one(&c->fd[i]);
	free(c->bytes);
	c->bytes = NULL;
	c->size = c->nr = 0;
	c->channel.fds = c->channel.devices = 0;
}

void capture_free(struct capture *c)
{
	forget(c);
	close_one(&c->conn);
	close_one(&c->stream);
}

int capture_find(const struct capture *c, const char *name, int32_t id)
{
	for (unsigned int i = 0; i < c->channel.fds; i++)
		if (!strcmp(c->channel.fd[i].name, name) && c->channel.fd[i].id == id)
			return i;
	return -1;
}

/* Descriptors come with the last byte of what is read at once. */
static int keep_fds(struct capture *c, struct msghdr *msg)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		const unsigned char *data = CMSG_DATA(h);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, data + i * sizeof(int), sizeof(int));
			if (c->nr == CHANNEL_FDS) {
				close(fd);
				return fail("QEMU's CPR channel carries more than %d descriptors", CHANNEL_FDS);
			}
			c->fd[c->nr] = fd;
			c->at[c->nr++] = c->size - 1;
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		return fail("a descriptor of QEMU's CPR channel has no room: this process has too many files open (RLIMIT_NOFILE)");
	return 0;
}

/* 1 at its end, 0 if there is more, -1 with why(). */
static int take_some(struct capture *c)
{
	union {
		struct cmsghdr head;
		char room[MOST_CONTROL];
	} control;
	struct iovec iov = { .iov_base = c->bytes + c->size, .iov_len = CHANNEL_BYTES - c->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	if (!iov.iov_len)
		return fail("QEMU's CPR channel has more than %u bytes", CHANNEL_BYTES);
	n = recvmsg(c->conn, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return fail("QEMU's CPR channel: %s", strerror(errno));
	c->size += n;
	return n ? keep_fds(c, &msg) : 1;
}

/* QEMU writes the channel before it answers, and waits if nobody reads it. */
static int take_all(struct capture *c, struct qmp *q, unsigned int id, int listener, uint64_t until)
{
	bool answered = false, whole = false;

	while (!answered || !whole) {
		struct pollfd p[2] = {
			{ .fd = answered ? -1 : q->fd, .events = POLLIN },
			{ .fd = whole ? -1 : c->conn >= 0 ? c->conn : listener, .events = POLLIN },
		};
		int n = poll(p, 2, left_ms(until));

		if (n < 0 && errno != EINTR)
			return fail("poll: %s", strerror(errno));
		if (!n)
			return fail("QEMU has not written its CPR channel in time");
		if (p[0].revents) {
			n = qmp_poll(q, id, "migrate");
			if (n < 0)
				return -1;
			answered = n;
		}
		if (!p[1].revents)
			continue;
		if (c->conn < 0) {
			c->conn = sock_accept(listener, until);
			if (c->conn < 0)
				return -1;
			continue;
		}
		n = take_some(c);
		if (n < 0)
			return -1;
		whole = n;
	}
	return 0;
}

static struct json_object *channel_to(const char *type, const char *path)
{
	struct json_object *o = json_object_new_object(), *addr = json_object_new_object();

	json_put_text(o, "channel-type", type);
	json_put_text(addr, "transport", "socket");
	json_put_text(addr, "type", "unix");
	json_put_text(addr, "path", path);
	json_object_object_add(o, "addr", addr);
	return o;
}

static int parse(struct capture *c, const struct channel_format *format)
{
	struct channel_why not;

	if (channel_parse(format, c->bytes, c->size, c->at, c->nr, &c->channel, &not))
		return fail("%s", not.text);
	return 0;
}

int capture_begin(struct capture *c, struct qmp *q, const struct channel_format *format,
		  const char *cpr_path, const char *stream_path, uint64_t until)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	int listener = sock_listen(cpr_path), ret = -1;
	char said[WHY_MOST];
	unsigned int id;

	capture_free(c);
	json_object_array_add(list, channel_to("main", stream_path));
	json_object_array_add(list, channel_to("cpr", cpr_path));
	json_object_object_add(o, "channels", list);
	c->bytes = malloc(CHANNEL_BYTES);
	if (!c->bytes)
		abort();
	c->stream = listener < 0 ? -1 : sock_listen(stream_path);
	if (c->stream < 0) {
		json_object_put(o);
	} else {
		id = qmp_begin(q, until, "migrate", o);
		ret = !id || take_all(c, q, id, listener, until) || parse(c, format) ? -1 : 0;
	}
	close_one(&listener);
	unlink(cpr_path);
	if (ret) {
		/* The reason of this failure is what counts. */
		strcpy(said, why());
		capture_cancel(c, q, now_us() + CANCEL_US);
		capture_free(c);
		fail("%s", said);
	}
	return ret;
}

int capture_over(struct qmp *q, uint64_t until)
{
	for (;;) {
		struct json_object *o = qmp_ask(q, until, "query-migrate", NULL);
		const char *status;
		bool over;

		if (!o)
			return -1;
		status = json_text(o, "status");
		over = !*status || !strcmp(status, "none") || !strcmp(status, "cancelled") ||
		       !strcmp(status, "failed") || !strcmp(status, "completed");
		json_object_put(o);
		if (over)
			return 0;
		if (!left_ms(until))
			return fail("QEMU does not end its migration");
		usleep(2000);
	}
}

int capture_cancel(struct capture *c, struct qmp *q, uint64_t until)
{
	int ret = qmp_do(q, until, "migrate_cancel", NULL) ?: capture_over(q, until);

	/* Not before: QEMU would take it for the word to go on. */
	close_one(&c->conn);
	close_one(&c->stream);
	return ret;
}

int capture_go_on(struct capture *c, uint64_t until)
{
	int fd;

	close_one(&c->conn);
	fd = sock_accept(c->stream, until);
	close_one(&c->stream);
	return fd;
}
