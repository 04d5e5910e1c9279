// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules of the kernel under test. The runner puts them into /modules and their names
 * into /modules/order, each after those that it needs; a kernel without modules has
 * none of it. What the kernel's command line says of a module is given to it, as modprobe does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/files.h"
#include "core/modules.h"
#include "core/control.h"
#include "core/end.h"

/* The kernel takes a dash for an underscore. */
static bool same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i] && (!strchr("-_", a[i]) || !strchr("-_", b[i])))
			return false;
	return true;
}

/* "NAME.PARAMETER=VALUE" of the command line as "PARAMETER=VALUE"; @file is NAME.ko. */
static void parameters_of(const char *file, char *out, size_t room)
{
	size_t len = strcspn(file, "."), used = 0;
	char line[4096], *save = NULL, *word;

	out[0] = 0;
	read_file("/proc/cmdline", line, sizeof(line));
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (strlen(word) > len && word[len] == '.' && same_name(word, file, len) && used < room)
			used += snprintf(out + used, room - used, " %s", word + len + 1);
}

void modules_load(void)
{
	char name[128], path[160], parameters[512];
	FILE *order = fopen("/modules/order", "re");

	if (!order)
		return;
	phase("modules", "begin");
	while (fscanf(order, "%127s", name) == 1) {
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die("open the module %s", name);
		/* A processor has one of KVM's two. */
		parameters_of(name, parameters, sizeof(parameters));
		if (syscall(SYS_finit_module, fd, parameters, 0) &&
		    errno != EEXIST && errno != EOPNOTSUPP && errno != ENODEV)
			die("load the module %s: %s", name, strerror(errno));
		close(fd);
	}
	fclose(order);
	phase("modules", "end");
}
