// SPDX-License-Identifier: GPL-2.0-only
/* CONTRIBUTING.md, "Libraries": why this is not libsystemd. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "systemd.h"
#include "talk.h"

#define FIRST_FD	3			/* SD_LISTEN_FDS_START */
#define PATIENCE_MS	5000			/* with systemd, which may be busy */
#define SESSION		"session-"		/* before the name of what is kept */

void systemd_inherit(void (*each)(const char *name, int fd))
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	const char *given = getenv("LISTEN_FDNAMES");
	char *names, *name, *rest;
	int fds;

	if (!pid || !n || !given || atoi(pid) != getpid())
		return;
	fds = atoi(n);
	rest = names = strdup(given);
	for (int i = 0; i < fds && names; i++) {
		int fd = FIRST_FD + i;

		name = strsep(&rest, ":");
		if (!name)
			break;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (!strncmp(name, SESSION, strlen(SESSION)))
			each(name + strlen(SESSION), fd);
		else
			close(fd);
	}
	free(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

/* What is not heard is a session that ends too early, or never: so this waits. */
static bool tell(int systemd, const char *text, int with)
{
	struct pollfd room = { .fd = systemd, .events = POLLOUT };

	while (!reply(systemd, with, "%s", text))
		if (errno != EAGAIN || poll(&room, 1, PATIENCE_MS) <= 0)
			return false;
	return true;
}

static void notify(const char *text, int with)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t size;
	int fd;

	if (!path || !*path || strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	size = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (*path == '@')
		addr.sun_path[0] = 0;
	else
		size++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, size) ||
	    !tell(fd, text, with))
		trouble("%s: systemd cannot be told: %m", path);
	if (fd >= 0)
		close(fd);
}

/* Until systemd has done what it was told before: it closes what comes with this then. */
void systemd_barrier(void)
{
	struct pollfd end = {};
	int ends[2];

	if (!getenv("NOTIFY_SOCKET") || pipe2(ends, O_CLOEXEC))
		return;
	notify("BARRIER=1", ends[1]);
	close(ends[1]);
	end.fd = ends[0];
	if (poll(&end, 1, PATIENCE_MS) != 1)
		trouble("systemd does not say that it has let go of a session");
	close(ends[0]);
}

void systemd_keep(const char *name, int fd)
{
	char text[160];

	/* Without FDPOLL=0 it would be dropped at once: a session has nothing to poll. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=" SESSION "%s", name);
	notify(text, fd);
}

void systemd_forget(const char *name)
{
	char text[160];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=" SESSION "%s", name);
	notify(text, -1);
}

void systemd_ready(void)
{
	notify("READY=1", -1);
}
