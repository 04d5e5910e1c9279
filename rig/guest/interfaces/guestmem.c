// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/end.h"
#include "interfaces/guestmem.h"

int guestmem_mount(void)
{
	mkdir(GUESTMEM_DIR, 0755);
	if (mount("guestmemfs", GUESTMEM_DIR, "guestmemfs", 0, NULL) && errno != EBUSY)
		return errno;
	return 0;
}

int guestmem_make(const char *path, unsigned long size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size))
		die("make %s of %lu bytes: %s", path, size, strerror(errno));
	return fd;
}
