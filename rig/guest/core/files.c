// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
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
