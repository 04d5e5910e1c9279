// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi.h"
#include "interfaces/luo.h"

static int luo_session(unsigned long cmd, const char *name)
{
	struct ulu_session arg = { .size = sizeof(arg), .fd = -1 };
	int dev, ret;

	dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	ret = ioctl(dev, cmd, &arg) ? -errno : arg.fd;
	close(dev);
	return ret;
}

int luo_session_create(const char *name)
{
	return luo_session(ULU_CREATE_SESSION, name);
}

int luo_session_retrieve(const char *name)
{
	return luo_session(ULU_RETRIEVE_SESSION, name);
}

int luo_preserve(int session, int fd, uint64_t token)
{
	struct ulu_fd arg = { .size = sizeof(arg), .fd = fd, .token = token };

	return ioctl(session, ULU_PRESERVE_FD, &arg) ? -errno : 0;
}

int luo_retrieve(int session, uint64_t token)
{
	struct ulu_fd arg = { .size = sizeof(arg), .fd = -1, .token = token };

	return ioctl(session, ULU_RETRIEVE_FD, &arg) ? -errno : arg.fd;
}

int luo_finish(int session)
{
	struct ulu_finish arg = { .size = sizeof(arg) };

	return ioctl(session, ULU_FINISH, &arg) ? -errno : 0;
}
