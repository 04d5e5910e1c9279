// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules of the kernel under test. The runner puts them into /modules and their names
 * into /modules/order, each after those that it needs; a kernel without modules has
 * none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/modules.h"
#include "core/end.h"

void modules_load(void)
{
	char name[128], path[160];
	FILE *order = fopen("/modules/order", "re");

	if (!order)
		return;
	while (fscanf(order, "%127s", name) == 1) {
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die("open the module %s", name);
		/* A processor has one of KVM's two. */
		if (syscall(SYS_finit_module, fd, "", 0) &&
		    errno != EEXIST && errno != EOPNOTSUPP && errno != ENODEV)
			die("load the module %s: %s", name, strerror(errno));
		close(fd);
	}
	fclose(order);
}
