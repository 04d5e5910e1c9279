// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi.h"
#include "internal.h"

static int open_device(struct continuo *ctx)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return fail(ctx, -errno,
			    "/dev/liveupdate: this kernel has no live update; it takes CONFIG_LIVEUPDATE, and kho=on liveupdate=on on its command line");
	case EBUSY:
		return fail(ctx, -EBUSY,
			    "/dev/liveupdate: another process has it, and one at a time can; ask that one for the session");
	case EACCES:
	case EPERM:
		return fail(ctx, -errno,
			    "/dev/liveupdate: only root may open it; ask root, or a process that has it, for the session");
	}
	return fail(ctx, -errno, "/dev/liveupdate: %s", strerror(errno));
}

int continuo_hold(struct continuo *ctx)
{
	int fd = ctx->device < 0 ? open_device(ctx) : ctx->device;

	if (fd < 0)
		return fd;
	ctx->device = fd;
	return 0;
}

int continuo_session_release(struct continuo *ctx, const char *name)
{
	if (ctx->agent < 0)
		return fail(ctx, -ENOTCONN, "session %s: there is no agent to release it; close its descriptor", name);
	return ask_agent(ctx, "release", name, NULL);
}

static int session(struct continuo *ctx, const char *name, unsigned long request,
		   const char *verb)
{
	struct ulu_session arg = { .size = sizeof(arg) };
	size_t n = strnlen(name, CONTINUO_SESSION_NAME);
	int dev, ret, fd;

	if (!n)
		return fail(ctx, -EINVAL, "a session's name must not be empty");
	if (n >= CONTINUO_SESSION_NAME)
		return fail(ctx, -ENAMETOOLONG,
			    "session %.16s...: a name has %d bytes at most", name,
			    CONTINUO_SESSION_NAME - 1);
	memcpy(arg.name, name, n);
	if (ctx->agent >= 0) {
		ret = ask_agent(ctx, verb, name, &fd);
		return ret ? ret : fd;
	}

	dev = ctx->device < 0 ? open_device(ctx) : ctx->device;
	if (dev < 0)
		return dev;
	ret = ioctl(dev, request, &arg) ? -errno : arg.fd;
	/* The session lives by its own descriptor. */
	if (dev != ctx->device)
		close(dev);
	switch (ret) {
	case -EEXIST:
		return fail(ctx, ret, "session %s: there is one of that name; choose another name, or close that one", name);
	case -ENOENT:
		return fail(ctx, ret, "session %s: none of that name came from the previous kernel", name);
	case -EINVAL:
		return fail(ctx, ret, "session %s: it cannot be %sd; was it before?", name, verb);
	}
	if (ret < 0)
		return fail(ctx, ret, "session %s: cannot %s it: %s", name, verb,
			    strerror(-ret));
	return ret;
}

int continuo_session_create(struct continuo *ctx, const char *name)
{
	return session(ctx, name, ULU_CREATE_SESSION, "create");
}

int continuo_session_retrieve(struct continuo *ctx, const char *name)
{
	return session(ctx, name, ULU_RETRIEVE_SESSION, "retrieve");
}

int continuo_preserve(struct continuo *ctx, int session, int fd, uint64_t token)
{
	struct ulu_fd arg = { .size = sizeof(arg), .fd = fd, .token = token };
	const char *why;
	int err;

	if (!ioctl(session, ULU_PRESERVE_FD, &arg))
		return 0;
	err = errno;
	switch (err) {
	case EEXIST:
		why = "another file of the session has the token; tokens are unique";
		break;
	case ENOENT:
		why = "the kernel cannot preserve a file of this kind, or one that it needs is not in the session yet: memfds come first, then the iommufd, then devices, and of these a physical function before its virtual ones";
		break;
	case EBUSY:
		why = "it is in a session already, or in use in a way that does not allow it";
		break;
	case EOPNOTSUPP:
		why = "this one cannot be preserved; the kernel log says why";
		break;
	case EINVAL:
		why = "it is not as it has to be; the kernel log says what is wrong";
		break;
	default:
		why = strerror(err);
	}
	return fail(ctx, -err, "file %d with token %#llx: %s", fd,
		    (unsigned long long)token, why);
}

int continuo_retrieve(struct continuo *ctx, int session, uint64_t token)
{
	struct ulu_fd arg = { .size = sizeof(arg), .fd = -1, .token = token };
	int err;

	if (!ioctl(session, ULU_RETRIEVE_FD, &arg))
		return arg.fd;
	err = errno;
	if (err == ENOENT)
		return fail(ctx, -err, "token %#llx: no file of the session has it",
			    (unsigned long long)token);
	return fail(ctx, -err, "token %#llx: its file cannot be retrieved: %s; the kernel log may say why",
		    (unsigned long long)token, strerror(err));
}

int continuo_finish(struct continuo *ctx, int session)
{
	struct ulu_finish arg = { .size = sizeof(arg) };
	int err;

	if (!ioctl(session, ULU_FINISH, &arg))
		return 0;
	err = errno;
	if (err == EBUSY)
		return fail(ctx, -err, "the session cannot be finished yet: every file has to be retrieved, every HWPT restored, and every device moved to a new HWPT first, and an update that has a way back confirmed");
	return fail(ctx, -err, "the session cannot be finished: %s", strerror(err));
}
