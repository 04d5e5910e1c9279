// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes bad. A file in /sys/devices/system/memory says so to the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/end.h"
#include "devices/dma_memory.h"
#include "interfaces/guestmem.h"
#include "scenarios/bad_memory.h"

#define HARD_OFFLINE	"/sys/devices/system/memory/hard_offline_page"
/* Of a word in pagemap: the kernel's Documentation/admin-guide/mm/pagemap.rst. */
#define FRAME_BITS	55
/* Also of huge pages, of which all of one has to be mapped. */
#define BLOCK		(2ul << 20)

static volatile uint8_t *map_block(int memfd, unsigned long offset)
{
	volatile uint8_t *p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, offset);

	if (p == MAP_FAILED)
		die("map the DMA memory at %#lx: %s", offset, strerror(errno));
	/* So that the tables have it. */
	p[0] = p[0];
	return p;
}

static uint64_t phys_of(const volatile void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t word = 0;

	if (fd < 0 || pread(fd, &word, sizeof(word), (uintptr_t)p / PAGE * sizeof(word)) != sizeof(word))
		die("read /proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return (word & ((1ull << FRAME_BITS) - 1)) * PAGE;
}

void bad_memory_of_stranger(void)
{
	size_t size = sysconf(_SC_PAGESIZE);
	int status;
	char *page;

	/* The kernel kills whose page it is. */
	if (!fork()) {
		page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			_exit(1);
		*page = 1;
		_exit(madvise(page, size, MADV_HWPOISON) ? 2 : 0);
	}
	if (wait(&status) < 0 || (WIFEXITED(status) && WEXITSTATUS(status)))
		die("no page of a stranger goes bad: %#x", status);
}

uint64_t bad_memory_where(int memfd, unsigned long offset)
{
	volatile uint8_t *p = map_block(memfd, offset);
	uint64_t phys = phys_of(p);

	munmap((void *)p, BLOCK);
	/* The kernel does not say it of what has no struct page. */
	return phys ? phys : guestmem_base() + offset;
}

/* Tell who we are ready for: a byte. Exits with 0 if the signal is the one, and its address, too. */
static void wait_for_signal(int memfd, unsigned long offset, int ready)
{
	volatile uint8_t *p = map_block(memfd, offset);
	struct timespec enough = { .tv_sec = 20 };
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0))
		die("ask to be told early: %s", strerror(errno));
	if (write(ready, "", 1) != 1 || sigtimedwait(&set, &info, &enough) != SIGBUS)
		_exit(1);
	_exit(info.si_code != BUS_MCEERR_AO ? 2 : info.si_addr != (void *)p ? 3 : 0);
}

int bad_memory_told(int memfd, unsigned long offset, int *child)
{
	unsigned long long phys = bad_memory_where(memfd, offset);
	int pipes[2], err = 0, fd, status = 0;
	char text[32], byte;
	pid_t pid;

	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		wait_for_signal(memfd, offset, pipes[1]);
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		die("the child is not ready");
	close(pipes[0]);
	snprintf(text, sizeof(text), "%#llx", phys);
	fd = open(HARD_OFFLINE, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	waitpid(pid, &status, 0);
	*child = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	return err;
}
