// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jump. /next holds the next kernel, its initramfs and its command line.
 * That initramfs does not hold /next itself (it would have to hold itself),
 * so that for an update after this one it is given a second archive that does:
 * the kernel unpacks archives that follow each other. With /other, the kernels in
 * /next and there change places in it. The option next=PARAMETER gives that
 * kernel one more parameter. With back=1 the same kernel, without that parameter, is
 * also left for the case that the next one fails; then that is told to resume only
 * after a confirmation (see update/resume.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "interfaces/kexec.h"

#define NEXT_KERNEL	"/next/bzImage"
#define NEXT_INITRAMFS	"/next/initramfs"
#define NEXT_CMDLINE	"/next/cmdline"
#define OTHER_KERNEL	"/other/bzImage"
#define LATER		"/tmp/later"

/* Of linux/kexec.h, which not each C library's headers bring along; the second one ours */
#ifndef KEXEC_FILE_UNLOAD
#define KEXEC_FILE_UNLOAD		0x1ul
#endif
#define KEXEC_FILE_LIVEUPDATE_BACK	0x40000000ul

static void put(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			die("write the next initramfs: %s", strerror(errno));
		p += n;
		len -= n;
	}
}

static void put_pad(int fd)
{
	static const char zero[4];
	off_t at = lseek(fd, 0, SEEK_CUR);

	put(fd, zero, -at & 3);
}

static void put_file(int fd, const char *path)
{
	static char buf[65536];
	int from = open(path, O_RDONLY);
	ssize_t n;

	if (from < 0)
		die("open %s: %s", path, strerror(errno));
	while ((n = read(from, buf, sizeof(buf))) > 0)
		put(fd, buf, n);
	close(from);
}

/* One entry of a cpio archive in the "newc" format. */
static void put_cpio(int fd, const char *path, unsigned int mode,
		     const char *from)
{
	static unsigned int ino = 0x10000;
	char head[160];
	struct stat st = {};
	int len;

	if (S_ISREG(mode) && mode && stat(from, &st))
		die("stat %s: %s", from, strerror(errno));
	len = snprintf(head, sizeof(head),
		       "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		       ino++, mode, 0, 0, 1, 0, (unsigned int)st.st_size, 0, 0,
		       0, 0, (unsigned int)strlen(path) + 1, 0);
	put(fd, head, len);
	put(fd, path, strlen(path) + 1);
	put_pad(fd);
	if (S_ISREG(mode) && mode) {
		put_file(fd, from);
		put_pad(fd);
	}
}

static int next_initramfs(void)
{
	int fd = memfd_create("next-initramfs", MFD_CLOEXEC);

	if (fd < 0)
		die("memfd for the next initramfs: %s", strerror(errno));
	put_file(fd, NEXT_INITRAMFS);
	put_pad(fd);
	put_cpio(fd, "/next", S_IFDIR | 0755, NULL);
	if (access(OTHER_KERNEL, F_OK)) {
		put_cpio(fd, NEXT_KERNEL, S_IFREG | 0644, NEXT_KERNEL);
	} else {
		put_cpio(fd, NEXT_KERNEL, S_IFREG | 0644, OTHER_KERNEL);
		put_cpio(fd, OTHER_KERNEL, S_IFREG | 0644, NEXT_KERNEL);
	}
	put_cpio(fd, NEXT_INITRAMFS, S_IFREG | 0644, NEXT_INITRAMFS);
	put_cpio(fd, NEXT_CMDLINE, S_IFREG | 0644, NEXT_CMDLINE);
	put_cpio(fd, "TRAILER!!!", 0, NULL);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* The command line of /next with this run's options, one stage further. */
static void next_cmdline(char *line, size_t len)
{
	static char given[4096];
	char stage[32], *word, *save = NULL;

	if (read_file(NEXT_CMDLINE, given, sizeof(given)) < 0)
		die("read %s", NEXT_CMDLINE);
	line[0] = 0;
	for (word = strtok_r(given, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (!strncmp(word, "rig.", 4))
			continue;
		if (line[0])
			strncat(line, " ", len - strlen(line) - 1);
		strncat(line, word, len - strlen(line) - 1);
	}
	snprintf(stage, sizeof(stage), "stage=%ld", opt_num("stage", 1) + 1);
	opt_set(stage);
	opt_append_all(line, len);
}

/* The later one of two parameters wins. */
static void append_next(char *line, size_t len)
{
	if (strlen(line) + strlen(opt("next", "")) + 2 > len)
		die("the next kernel's command line is too long");
	strcat(strcat(line, " "), opt("next", ""));
}

static void write_file_of(const char *path, int from)
{
	static char buf[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	while ((n = read(from, buf, sizeof(buf))) > 0)
		put(fd, buf, n);
	close(fd);
}

void kexec_write_later(void)
{
	static char line[2048];
	char stage[32];
	int fd;

	mkdir(LATER, 0755);
	fd = next_initramfs();
	write_file_of(LATER "/initramfs", fd);
	close(fd);
	/* The above takes the options one stage on. */
	snprintf(stage, sizeof(stage), "stage=%ld", opt_num("stage", 1));
	next_cmdline(line, sizeof(line));
	opt_set(stage);
	fd = open(LATER "/cmdline", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		die(LATER "/cmdline: %s", strerror(errno));
	put(fd, line, strlen(line));
	close(fd);
}

static void load(const char *line, unsigned long flags)
{
	int kernel, initrd;

	kernel = open(NEXT_KERNEL, O_RDONLY);
	if (kernel < 0)
		die("open %s: %s", NEXT_KERNEL, strerror(errno));
	/* "stage" is the next kernel's by now. */
	if (opt_num("updates", 1) >= opt_num("stage", 2))
		initrd = next_initramfs();
	else
		initrd = open(NEXT_INITRAMFS, O_RDONLY);
	if (initrd < 0)
		die("open %s: %s", NEXT_INITRAMFS, strerror(errno));
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1,
		    line, flags))
		die("kexec_file_load of %s, flags %#lx: %s", NEXT_KERNEL, flags,
		    strerror(errno));
	close(kernel);
	close(initrd);
}

void kexec_load_next(void)
{
	static char line[2048];

	next_cmdline(line, sizeof(line));
	if (opt_num("back", 0))
		load(line, KEXEC_FILE_LIVEUPDATE_BACK);
	append_next(line, sizeof(line));
	load(line, 0);
}

void kexec_unload_back(void)
{
	if (syscall(SYS_kexec_file_load, -1, -1, 0ul, NULL, KEXEC_FILE_UNLOAD | KEXEC_FILE_LIVEUPDATE_BACK))
		die("unload the image to go back to: %s", strerror(errno));
}

void kexec_load_this_stage(void)
{
	char stage[32];

	/* The above takes the options one stage on. */
	snprintf(stage, sizeof(stage), "stage=%ld", opt_num("stage", 1));
	kexec_load_next();
	opt_set(stage);
}

void kexec_load_crash(const char *more)
{
	static char line[2048];
	size_t end;

	next_cmdline(line, sizeof(line));
	end = strlen(line);
	snprintf(line + end, sizeof(line) - end, " %s", more);
	load(line, KEXEC_FILE_ON_CRASH);
}

void kexec_load_segments(void)
{
	static char page[4096];
	struct kexec_segment segment = {
		.buf = page,
		.bufsz = sizeof(page),
		.mem = (void *)0x4000000,
		.memsz = sizeof(page),
	};

	if (syscall(SYS_kexec_load, 0x4000000ul, 1ul, &segment,
		    (unsigned long)KEXEC_ARCH_DEFAULT))
		die("kexec_load: %s", strerror(errno));
}

int kexec_try(void)
{
	return syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_KEXEC, NULL) ? -errno : 0;
}

void kexec_jump_patiently(void)
{
	unsigned int n = 0;
	int ret;

	do {
		n++;
		ret = kexec_try();
	} while (ret == -EBUSY);
	die("reboot into the next kernel, try %u: %s", n, strerror(-ret));
}

void kexec_jump(void)
{
	tcdrain(ctl_fd());
	/* In the kernel's own time, for a case that counts from here. */
	write_file("/dev/kmsg", "rig: reboot into the next kernel");
	die("reboot into the next kernel: %s", strerror(-kexec_try()));
}
