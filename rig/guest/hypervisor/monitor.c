// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "hypervisor/monitor.h"

#define MONITOR		"/run/own.qmp"		/* as rig/lib/vm.py has it */
#define PATIENCE_US	120000000ull

/* The next line that is no event; the last one has no newline. */
static const char *answer(FILE *from)
{
	static char line[4096];

	do {
		if (!fgets(line, sizeof(line), from))
			die("QEMU says nothing on " MONITOR);
	} while (!strncmp(line, "{\"timestamp\"", 12) || strstr(line, "\"event\": "));
	line[strcspn(line, "\r\n")] = 0;
	return line;
}

static const char *ask(FILE *from, int to, const char *command)
{
	if (dprintf(to, "%s\n", command) < 0)
		die("write to " MONITOR ": %s", strerror(errno));
	return answer(from);
}

void monitor_tell(const char *command)
{
	const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = MONITOR };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t end = now_us() + PATIENCE_US;
	FILE *from;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	/* A QEMU that has just been started makes it first. */
	while (connect(fd, (const void *)&at, sizeof(at))) {
		if ((errno != ENOENT && errno != ECONNREFUSED) || now_us() > end)
			die("connect to " MONITOR ": %s", strerror(errno));
		usleep(10000);
	}
	from = fdopen(fd, "r");
	if (!from)
		die("fdopen: %s", strerror(errno));
	answer(from);
	ask(from, fd, "{\"execute\": \"qmp_capabilities\"}");
	emit("qmp", ",\"answer\":%s", ask(from, fd, command));
	fclose(from);
}
