// SPDX-License-Identifier: GPL-2.0-only
/* Memory without struct pages, and a disk: what reads and writes past the page cache, and through it */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "hypervisor/disk.h"
#include "interfaces/guestmem.h"
#include "scenarios/direct_io.h"

#define MEMORY	GUESTMEM_DIR "/vm"
#define TARGET	HOST "/direct"
#define SIZE	4096

/* 0 if all of it was written, or an errno. */
static int try(int how, const void *from)
{
	int fd = open(TARGET, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600), err;
	ssize_t n;

	if (fd < 0)
		die("open %s: %s", TARGET, strerror(errno));
	n = pwrite(fd, from, SIZE, 0);
	err = n == SIZE ? 0 : n < 0 ? errno : EIO;
	close(fd);
	return err;
}

void direct_io(void)
{
	int fd = open(MEMORY, O_RDONLY | O_CLOEXEC), direct, cached, other;
	void *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	void *ordinary = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || ordinary == MAP_FAILED)
		die("map %s: %s", MEMORY, strerror(errno));
	direct = try(O_DIRECT, memory);
	cached = try(0, memory);
	other = try(O_DIRECT, ordinary);
	munmap(ordinary, SIZE);
	munmap(memory, SIZE);
	close(fd);
	unlink(TARGET);
	emit("direct", ",\"direct\":%d,\"cached\":%d,\"ordinary\":%d", direct, cached, other);
}
