// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "say.h"
#include "sock.h"

#define RETRY_US	2000

static int address(const char *path, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(addr->sun_path))
		return fail("%s: a socket's path has %zu bytes at most", path, sizeof(addr->sun_path) - 1);
	strcpy(addr->sun_path, path);
	return 0;
}

int sock_dial(const char *path, uint64_t until)
{
	struct sockaddr_un addr;
	int fd, err;

	if (address(path, &addr))
		return -1;
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return fail("a socket cannot be made: %s", strerror(errno));
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		err = errno;
		close(fd);
		if ((err != ENOENT && err != ECONNREFUSED && err != EINTR) || !left_ms(until))
			return fail("%s: %s", path, err == ENOENT || err == ECONNREFUSED ?
				    "nobody listens there" : strerror(err));
		usleep(RETRY_US);
	}
}

int sock_listen(const char *path)
{
	struct sockaddr_un addr;
	int fd;

	if (address(path, &addr))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail("a socket cannot be made: %s", strerror(errno));
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1)) {
		fail("%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int sock_accept(int listener, uint64_t until)
{
	int fd;

	do {
		if (!wait_readable(listener, until))
			return fail("QEMU does not connect in time");
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN));
	return fd < 0 ? fail("QEMU's connection: %s", strerror(errno)) : fd;
}

static bool wait_writable(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, left_ms(until));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* False if it cannot be sent, which errno has. */
static bool may_try_again(int fd, uint64_t until)
{
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return false;
	errno = ETIMEDOUT;
	return wait_writable(fd, until);
}

int sock_send(int fd, const void *bytes, size_t size, uint64_t until)
{
	const char *at = bytes;

	while (size) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && !may_try_again(fd, until))
			return fail("QEMU does not read: %s", strerror(errno));
		if (n > 0) {
			at += n;
			size -= n;
		}
	}
	return 0;
}

int sock_send_fd(int fd, uint8_t byte, int carried, uint64_t until)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)),
	} };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	memcpy(CMSG_DATA(&control.head), &carried, sizeof(carried));
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && may_try_again(fd, until));
	return n == 1 ? 0 : fail("a descriptor cannot be given to QEMU: %s", strerror(errno));
}
