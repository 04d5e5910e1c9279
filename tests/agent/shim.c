// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOAD: the calls of the agent and of the command that need a kernel of ours are
 * answered by the test (tests/agent/races) over a socket, FAKE_KERNEL; and what they read of
 * the machine is read below FAKE_ROOT. Both programs are those that ship.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi.h"

#define REAL(name)	((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, getenv("FAKE_KERNEL"), sizeof(addr.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Asks, and waits for the answer: 0 or an errno, and what else there is. */
static int ask(int fd, const char *what, char *text, size_t size, int *with)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = text, .iov_len = size - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	if (send(fd, what, strlen(what), MSG_NOSIGNAL) < 0)
		return EIO;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return EIO;
	text[n] = 0;
	if (with)
		*with = -1;
	if (with && CMSG_FIRSTHDR(&msg))
		memcpy(with, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return atoi(text);
}

static int ask_once(const char *what, char *text, size_t size)
{
	int fd = dial(), err;

	if (fd < 0)
		return EIO;
	err = ask(fd, what, text, size, NULL);
	close(fd);
	return err;
}

/* --- the kernel --- */

int ioctl(int fd, unsigned long request, ...)
{
	char text[256], what[128];
	va_list args;
	void *arg;
	int err, with = -1;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == ULU_CREATE_SESSION || request == ULU_RETRIEVE_SESSION) {
		struct ulu_session *s = arg;

		snprintf(what, sizeof(what), "%s %s", request == ULU_CREATE_SESSION ? "create" : "retrieve",
			 (char *)s->name);
		err = ask(fd, what, text, sizeof(text), &with);
		s->fd = with;
	} else if (request == ULU_PRESERVE_FD) {
		struct ulu_fd *f = arg;

		snprintf(what, sizeof(what), "preserve %llu", (unsigned long long)f->token);
		err = ask(fd, what, text, sizeof(text), NULL);
	} else if (request == ULU_RETRIEVE_FD) {
		struct ulu_fd *f = arg;

		snprintf(what, sizeof(what), "file %llu", (unsigned long long)f->token);
		err = ask(fd, what, text, sizeof(text), &with);
		f->fd = with;
	} else if (request == ULU_FINISH) {
		err = ask(fd, "finish", text, sizeof(text), NULL);
	} else if (request == UIO_HWPT_MARK_PRESERVE) {
		err = ENOENT;
	} else if (request == FIFREEZE || request == FITHAW) {
		/* Those of this machine go on in any case. */
		err = ask_once(request == FIFREEZE ? "freeze" : "thaw", text, sizeof(text));
	} else {
		return REAL(ioctl)(fd, request, arg);
	}
	errno = err;
	return err ? -1 : 0;
}

void sync(void)
{
	char text[64];

	ask_once("sync", text, sizeof(text));
}

int syncfs(int fd)
{
	char text[64];

	(void)fd;
	errno = ask_once("sync", text, sizeof(text));
	return errno ? -1 : 0;
}

long syscall(long number, ...)
{
	char text[64];
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_reboot) {
		errno = ask_once("reboot", text, sizeof(text));
		return -1;
	}
	/* fspick(2), which is newer than some headers: nothing is made read-only here. */
	if (number == 433) {
		errno = ENOSYS;
		return -1;
	}
	if (number == SYS_kexec_file_load) {
		bool back = (unsigned long)a[4] & 0x40000000;

		errno = ask_once((unsigned long)a[4] & 1 ? back ? "unload back" : "unload" : back ? "load back" : "load",
				 text, sizeof(text));
		return errno ? -1 : 0;
	}
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- the machine --- */

static const char *below(const char *path, char room[512])
{
	static const char *const made_up[] = {
		"/proc/cmdline", "/proc/sys/kernel/kexec", "/proc/config.gz", "/sys/", "/dev/iommu", "/boot/",
		"/run/continuo",
	};

	if (getenv("FAKE_ROOT") && !strcmp(path, "/dev/liveupdate")) {
		snprintf(room, 512, "%s%s", getenv("FAKE_ROOT"), path);
		return room;
	}
	for (size_t i = 0; i < sizeof(made_up) / sizeof(made_up[0]); i++) {
		if (!getenv("FAKE_ROOT") || strncmp(path, made_up[i], strlen(made_up[i])))
			continue;
		snprintf(room, 512, "%s%s", getenv("FAKE_ROOT"), path);
		return room;
	}
	return path;
}

static int view(void)
{
	static char text[1 << 17];
	int fd = memfd_create("view", MFD_CLOEXEC);

	ask_once("view", text, sizeof(text));
	/* Behind the errno. */
	if (write(fd, text + 2, strlen(text + 2)) < 0 || lseek(fd, 0, SEEK_SET))
		return -1;
	return fd;
}

int open(const char *path, int flags, ...)
{
	char room[512], text[64];
	va_list args;
	int mode, fd, err;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (!strcmp(path, "/dev/liveupdate-view"))
		return view();
	if (strcmp(path, "/dev/liveupdate"))
		return REAL(open)(below(path, room), flags, mode);
	fd = dial();
	err = fd < 0 ? EIO : ask(fd, "device", text, sizeof(text), NULL);
	if (err && fd >= 0)
		close(fd);
	errno = err;
	return err ? -1 : fd;
}

/* What is mounted is this machine's, unless the test makes it up. */
static const char *mounted(const char *path, char room[512])
{
	if (!getenv("FAKE_ROOT") || strncmp(path, "/proc/self/mount", strlen("/proc/self/mount")))
		return path;
	snprintf(room, 512, "%s%s", getenv("FAKE_ROOT"), path);
	return REAL(access)(room, F_OK) ? path : room;
}

FILE *setmntent(const char *path, const char *how)
{
	char room[512];

	return REAL(setmntent)(mounted(path, room), how);
}

FILE *fopen(const char *path, const char *mode)
{
	char room[512];

	if (!strcmp(path, "/dev/liveupdate-view"))
		return fdopen(view(), mode);
	return REAL(fopen)(mounted(below(path, room), room), mode);
}

int access(const char *path, int how)
{
	char room[512];

	if (!strcmp(path, "/dev/liveupdate-view"))
		return 0;
	return REAL(access)(below(path, room), how);
}

int mkdir(const char *path, mode_t mode)
{
	char room[512];

	return REAL(mkdir)(below(path, room), mode);
}

int unlink(const char *path)
{
	char room[512];

	return REAL(unlink)(below(path, room));
}

int rename(const char *from, const char *to)
{
	char room[512], other[512];
	const char *name = strrchr(to, '/');

	/* How often the list of VMs is written: a byte each time. */
	if (getenv("FAKE_ROOT") && name && !strcmp(name, "/vms")) {
		int fd;

		snprintf(other, sizeof(other), "%s/lists", getenv("FAKE_ROOT"));
		fd = REAL(open)(other, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, "x", 1) != 1)
			return -1;
		close(fd);
	}
	return REAL(rename)(below(from, room), below(to, other));
}

int flock(int fd, int how)
{
	const char *err = getenv("FAKE_FLOCK");

	if (!err)
		return REAL(flock)(fd, how);
	errno = atoi(err);
	return -1;
}

DIR *opendir(const char *path)
{
	char room[512];

	return REAL(opendir)(below(path, room));
}

/* Who has the file that is there in place of the device has the device. */
ssize_t readlink(const char *path, char *to, size_t size)
{
	const char *root = getenv("FAKE_ROOT");
	char room[512], target[512];
	size_t n = root ? strlen(root) : 0;
	ssize_t got = REAL(readlink)(below(path, room), target, sizeof(target));

	if (got < 0)
		return got;
	if (n && (size_t)got > n && !memcmp(target, root, n) && !strncmp(path, "/proc/", 6)) {
		got -= n;
		memmove(target, target + n, got);
	}
	if ((size_t)got > size)
		got = size;
	memcpy(to, target, got);
	return got;
}

char *realpath(const char *path, char *to)
{
	char room[512];

	return REAL(realpath)(below(path, room), to);
}

int scandir(const char *path, struct dirent ***list, int (*filter)(const struct dirent *),
	    int (*compare)(const struct dirent **, const struct dirent **))
{
	char room[512];

	return REAL(scandir)(below(path, room), list, filter, compare);
}
