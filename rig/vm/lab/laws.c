// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into continuo-qemu for the rig's negative twins, and into no other one: breaks in
 * the next kernel what the first line of /host/vm/lab names, from outside of the program.
 *
 *	hole IOVA	that page is left out of the rebuilt IOAS, and nobody compares
 *	again		the state of QEMU is that of the update before
 *	refuse		that which the first two QEMUs get is damaged
 *	moved		for the first take, another file has the name of that with the VM's memory
 *
 * The linker has the program call __wrap_NAME() where it calls NAME().
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi.h"

#define ORDER	"/host/vm/lab"
#define STREAM	"/host/vm/stream"
#define REFUSED	"/host/vm/refused"
#define MEMORY	"/guestmem/vm"
#define MOVED	"/guestmem/moved"
#define PAGE	4096ull

/* What there is to read, with a 0 behind it. */
static void slurp(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, to, size - 1);

	to[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* "continuo-qemu ... take NAME UID": in the next kernel. */
static int takes(void)
{
	char line[1024] = "";

	slurp("/proc/self/cmdline", line, sizeof(line));
	for (char *word = line; *word; word += strlen(word) + 1)
		if (!strcmp(word, "take"))
			return 1;
	return 0;
}

static const char *order(void)
{
	static char line[64];

	if (!line[0] && takes())
		slurp(ORDER, line, sizeof(line) - 1);
	line[strcspn(line, "\n")] = 0;
	if (!line[0])
		strcpy(line, "nothing");
	return line;
}

static int is(const char *what)
{
	return !strncmp(order(), what, strlen(what));
}

static void told(const char *what)
{
	fprintf(stderr, "continuo-qemu-lab: %s\n", what);
}

int __real_ioctl(int fd, unsigned long request, ...);

/* --- memory --- */

static int map_part(int fd, struct uio_ioas_map_file map, uint64_t from, uint64_t end)
{
	map.start += from - map.iova;
	map.iova = from;
	map.length = end - from;
	return from == end ? 0 : __real_ioctl(fd, UIO_IOAS_MAP_FILE, &map);
}

static int map_around(int fd, const struct uio_ioas_map_file *map, uint64_t hole)
{
	told("a page is left out");
	return map_part(fd, *map, map->iova, hole) ?:
	       map_part(fd, *map, hole + PAGE, map->iova + map->length);
}

static int map(int fd, const struct uio_ioas_map_file *map)
{
	uint64_t hole = strtoull(order() + strlen("hole "), NULL, 0) & ~(PAGE - 1);

	if (hole - map->iova < map->length)
		return map_around(fd, map, hole);
	return __real_ioctl(fd, UIO_IOAS_MAP_FILE, map);
}

/* Before the first call of the first process; before that of the next one it has its name again. */
static void move(void)
{
	static int done;
	int fd;

	if (done++)
		return;
	if (!rename(MOVED, MEMORY))
		return;
	told("the memory's file has another name");
	fd = rename(MEMORY, MOVED) ? -1 : open(MEMORY, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	close(fd);
}

/* --- all calls of the kernel --- */

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (is("moved"))
		move();
	if (request == UIO_IOAS_MAP_FILE && is("hole "))
		return map(fd, arg);
	ret = __real_ioctl(fd, request, arg);
	if (request == UIO_HWPT_VERIFY && is("hole "))
		((struct uio_hwpt_verify *)arg)->out_result = 0;
	return ret;
}

/* --- QEMU's state --- */

int __real_sock_send(int fd, const void *bytes, size_t size, uint64_t until);

static void *keep_or_change(const void *bytes, size_t *size)
{
	int fd = open(STREAM, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	off_t kept = lseek(fd, 0, SEEK_END);
	void *old = malloc(kept > 0 ? kept : 1);

	if (fd < 0 || !old)
		abort();
	if (!kept) {
		if (write(fd, bytes, *size) != (ssize_t)*size)
			abort();
		memcpy(old = realloc(old, *size), bytes, *size);
	} else {
		told("the state before is given again");
		if (pread(fd, old, kept, 0) != kept)
			abort();
		*size = kept;
	}
	close(fd);
	return old;
}

/* A stream of QEMU begins so; and version and type of its first section follow. */
static const char magic[4] = { 'Q', 'E', 'V', 'M' };
#define SECTION	8

/* Until as many have refused it, in this process and in others. */
static int refused_twice(void)
{
	int fd = open(REFUSED, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	off_t times = lseek(fd, 0, SEEK_END);

	if (fd < 0 || write(fd, "", 1) != 1)
		abort();
	close(fd);
	return times >= 2;
}

static void *damage(const void *bytes, size_t size)
{
	char *damaged = malloc(size);

	if (!damaged)
		abort();
	told("the stream is damaged");
	memcpy(damaged, bytes, size);
	damaged[SECTION] ^= 0x55;
	return damaged;
}

int __wrap_sock_send(int fd, const void *bytes, size_t size, uint64_t until)
{
	void *given;
	int ret;

	if (size <= SECTION || memcmp(bytes, magic, sizeof(magic)))
		return __real_sock_send(fd, bytes, size, until);
	if (is("again"))
		given = keep_or_change(bytes, &size);
	else if (is("refuse") && !refused_twice())
		given = damage(bytes, size);
	else
		return __real_sock_send(fd, bytes, size, until);
	ret = __real_sock_send(fd, given, size, until);
	free(given);
	return ret;
}
