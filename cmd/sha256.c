// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sha2.h>
#include <unistd.h>

#include "sha256.h"

int sha256_file(int fd, char text[SHA256_TEXT])
{
	unsigned char data[1 << 16];
	SHA2_CTX sum;
	off_t at = 0;
	ssize_t n;

	SHA256Init(&sum);
	while ((n = pread(fd, data, sizeof(data), at)) > 0) {
		SHA256Update(&sum, data, n);
		at += n;
	}
	if (n < 0)
		return -errno;
	SHA256End(&sum, text);
	return 0;
}
