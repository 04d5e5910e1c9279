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

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
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

/*
 * Tell who we are ready for: a byte. Exits with 0 if the signal is the one, and its address, too; with NOT_TOLD if
 * somebody has sent SIGUSR1 before it came.
 */
static void wait_for_signal(int memfd, unsigned long offset, int ready)
{
	volatile uint8_t *p = map_block(memfd, offset);
	struct timespec enough = { .tv_sec = 20 };
	siginfo_t info = {};
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0))
		die("ask to be told early: %s", strerror(errno));
	if (write(ready, "", 1) != 1)
		_exit(1);
	/* SIGBUS first, if there are both. */
	got = sigtimedwait(&set, &info, &enough);
	if (got != SIGBUS)
		_exit(got == SIGUSR1 ? NOT_TOLD : 1);
	_exit(info.si_code != BUS_MCEERR_AO ? 2 : info.si_addr != (void *)p ? 3 : 0);
}

/* A process that has the block at @offset mapped, and waits. */
static pid_t start_waiting(int memfd, unsigned long offset)
{
	int pipes[2];
	char byte;
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
	return pid;
}

static int end_of(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid)
		die("wait for a process: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int say_bad(unsigned long long phys)
{
	char text[32];
	int err = 0, fd;

	snprintf(text, sizeof(text), "%#llx", phys);
	fd = open(HARD_OFFLINE, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

int bad_memory_told(int memfd, unsigned long offset, int *child)
{
	unsigned long long phys = bad_memory_where(memfd, offset);
	pid_t pid = start_waiting(memfd, offset);
	int err = say_bad(phys);

	*child = end_of(pid);
	return err;
}

static volatile uint8_t *touched;

static void on_bus(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	_exit(info->si_addr != (void *)touched ? 2 : info->si_code == BUS_MCEERR_AR ? 0 : 3);
}

/* Read there, as somebody who has it mapped only now. */
static int touch(int memfd, unsigned long offset)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		touched = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, memfd, offset);
		if (touched == MAP_FAILED || sigaction(SIGBUS, &action, NULL))
			_exit(1);
		(void)*touched;
		_exit(NOT_TOLD);
	}
	return end_of(pid);
}

static unsigned long corrupted_kb(void)
{
	char text[8192], *line;

	if (read_file("/proc/meminfo", text, sizeof(text)) <= 0)
		die("read /proc/meminfo");
	line = strstr(text, "HardwareCorrupted:");
	if (!line)
		die("the kernel does not count bad memory");
	return strtoul(line + strlen("HardwareCorrupted:"), NULL, 10);
}

void bad_memory_among_others(int memfd, unsigned long offset)
{
	unsigned long long phys = bad_memory_where(memfd, offset);
	unsigned long before = corrupted_kb(), after;
	pid_t other = start_waiting(memfd, offset - BLOCK);
	int err, told, later;

	err = bad_memory_told(memfd, offset, &told);
	kill(other, SIGUSR1);
	after = corrupted_kb();
	later = touch(memfd, offset);
	emit("among_others", ",\"phys\":%llu,\"errno\":%d,\"told\":%d,\"other\":%d,\"later\":%d,\"beside\":%d,\"kb\":%lu,\"kb_before\":%lu",
	     phys, err, told, end_of(other), later, touch(memfd, offset - BLOCK), after, before);
}
