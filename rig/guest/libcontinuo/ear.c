// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/end.h"
#include "libcontinuo/ear.h"

static struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/%s.ear", name);
	return addr;
}

int ear_open(const char *name)
{
	struct sockaddr_un addr = address_of(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(addr.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("%s: %s", addr.sun_path, strerror(errno));
	return fd;
}

bool ear_hear(int ear, char words[EAR_WORDS])
{
	ssize_t n = recv(ear, words, EAR_WORDS - 1, 0);

	words[n > 0 ? n : 0] = 0;
	return n > 0;
}

void ear_tell(const char *name, const char *words)
{
	struct sockaddr_un addr = address_of(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || sendto(fd, words, strlen(words), 0, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("tell %s to %s: %s", name, words, strerror(errno));
	close(fd);
}

void ear_close(const char *name)
{
	unlink(address_of(name).sun_path);
}

bool ear_is_there(const char *name)
{
	return !access(address_of(name).sun_path, F_OK);
}
