// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

unsigned long guestmem_base(void)
{
	unsigned long from, end, base = 0, longest = 0;
	FILE *f = fopen("/proc/iomem", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx", &from, &end) != 2 || !strstr(line, "Guest memory") || end - from < longest)
			continue;
		base = from;
		longest = end - from;
	}
	if (!f || !longest)
		die("there is no memory of guestmemfs in /proc/iomem");
	fclose(f);
	return base;
}

int guestmem_make(const char *path, unsigned long size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size))
		die("make %s of %lu bytes: %s", path, size, strerror(errno));
	return fd;
}
