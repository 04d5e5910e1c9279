// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "core/end.h"
#include "core/files.h"

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		die("open %s for writing: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) < 0)
		die("write \"%s\" to %s: %s", text, path, strerror(errno));
	close(fd);
}

static int copy_file(int from, int to)
{
	ssize_t n;

	while ((n = sendfile(to, from, NULL, 1 << 20)) > 0)
		;
	return n ? -errno : 0;
}

int install_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, ret;
	char beside[256];

	if (in < 0)
		return -errno;
	snprintf(beside, sizeof(beside), "%s.new", to);
	out = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ret = out < 0 ? -errno : copy_file(in, out);
	if (out >= 0)
		close(out);
	close(in);
	if (!ret && rename(beside, to))
		ret = -errno;
	return ret;
}

ssize_t read_file(const char *path, char *buf, size_t len)
{
	size_t got = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY);

	buf[0] = 0;
	if (fd < 0)
		return -errno;
	while (got < len - 1) {
		n = read(fd, buf + got, len - 1 - got);
		if (n <= 0)
			break;
		got += n;
	}
	buf[got] = 0;
	close(fd);
	return n < 0 ? -errno : (ssize_t)got;
}
