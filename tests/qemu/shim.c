// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOAD: a session, an iommufd and a VFIO device are sockets, and the calls of a kernel
 * of ours are answered by the test at their other ends (tests/qemu/world.py). Each call is a
 * line of words; the answer is an errno and numbers. What is in the folder "guestmem" of the test is
 * said to be on guestmemfs, and its folder "pci" is that of PCI devices in sysfs. Everything else is the real kernel's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "abi.h"

#define REAL(name)	((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MOST_NUMBERS	8
#define GET_HW_INFO	UIO(0x8a)

static int is_fake(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISSOCK(st.st_mode);
}

/* 0 or an errno; @number: those behind it. @give: goes along, @get: what came along; or NULL. */
static int ask(int fd, const char *what, unsigned long long number[MOST_NUMBERS], const int *give,
	       size_t nr_give, int *get)
{
	char room[CMSG_SPACE(2048 * sizeof(int))] __attribute__((aligned(8))) = {}, text[512];
	struct iovec iov = { .iov_base = (void *)what, .iov_len = strlen(what) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	char *at;
	ssize_t n;

	if (give) {
		msg.msg_control = room;
		msg.msg_controllen = CMSG_SPACE(nr_give * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nr_give * sizeof(int));
		memcpy(CMSG_DATA(c), give, nr_give * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return EIO;
	iov = (struct iovec){ .iov_base = text, .iov_len = sizeof(text) - 1 };
	msg = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return EIO;
	text[n] = 0;
	if (get && CMSG_FIRSTHDR(&msg))
		memcpy(get, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	n = strtol(text, &at, 0);
	for (int i = 0; number && i < MOST_NUMBERS; i++)
		number[i] = strtoull(at, &at, 0);
	return n;
}

static int set_irqs(int fd, const struct vfio_irq_set *s)
{
	int kept[2048], has[2048];
	size_t given = 0;
	char what[8192];
	int n;

	n = snprintf(what, sizeof(what), "irqs %u %u", s->index, s->flags);
	memcpy(has, s->data, s->count * sizeof(int));
	for (unsigned int i = 0; i < s->count && n < (int)sizeof(what) - 8; i++) {
		n += snprintf(what + n, sizeof(what) - n, " %d", has[i] < 0 ? -1 : 0);
		if (has[i] >= 0)
			kept[given++] = has[i];
	}
	return ask(fd, what, NULL, given ? kept : NULL, given, NULL);
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long long n[MOST_NUMBERS] = {};
	char what[256] = "";
	const int *give = NULL;
	int get = -1, err;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!is_fake(fd))
		return REAL(ioctl)(fd, request, arg);
	switch (request) {
	case ULU_PRESERVE_FD:
		snprintf(what, sizeof(what), "preserve %#llx", (unsigned long long)((struct ulu_fd *)arg)->token);
		give = &((struct ulu_fd *)arg)->fd;
		break;
	case ULU_RETRIEVE_FD:
		snprintf(what, sizeof(what), "retrieve %#llx", (unsigned long long)((struct ulu_fd *)arg)->token);
		break;
	case ULU_FINISH:
		strcpy(what, "finish");
		break;
	case UIO_DESTROY:
		snprintf(what, sizeof(what), "destroy %u", ((struct uio_destroy *)arg)->id);
		break;
	case UIO_IOAS_ALLOC:
		strcpy(what, "ioas");
		break;
	case UIO_HWPT_ALLOC: {
		struct uio_hwpt_alloc *a = arg;

		snprintf(what, sizeof(what), "hwpt %u %u %u", a->dev_id, a->pt_id, a->flags);
		break;
	}
	case UIO_IOAS_MAP_FILE: {
		struct uio_ioas_map_file *a = arg;

		snprintf(what, sizeof(what), "map %u %#llx %#llx %#llx %u", a->ioas_id, (unsigned long long)a->start,
			 (unsigned long long)a->length, (unsigned long long)a->iova, a->flags);
		give = &a->fd;
		break;
	}
	case UIO_HWPT_MARK_PRESERVE: {
		struct uio_hwpt_mark_preserve *a = arg;

		snprintf(what, sizeof(what), "mark %u %#llx %u", a->hwpt_id, (unsigned long long)a->hwpt_token, a->flags);
		break;
	}
	case UIO_HWPT_RESTORE:
		snprintf(what, sizeof(what), "restore %#llx", (unsigned long long)((struct uio_hwpt_restore *)arg)->hwpt_token);
		break;
	case UIO_HWPT_VERIFY: {
		struct uio_hwpt_verify *a = arg;

		snprintf(what, sizeof(what), "verify %u %u", a->restored_id, a->hwpt_id);
		break;
	}
	case UIO_HWPT_ADOPT:
		strcpy(what, "adopt");
		break;
	case GET_HW_INFO:
		snprintf(what, sizeof(what), "info %u", ((__u32 *)arg)[2]);
		break;
	case UVFIO_BIND_IOMMUFD:
		strcpy(what, "bind");
		give = &((struct uvfio_bind *)arg)->iommufd;
		break;
	case UVFIO_ATTACH_PT:
		snprintf(what, sizeof(what), "attach %u", ((struct uvfio_attach *)arg)->pt_id);
		break;
	case VFIO_DEVICE_GET_INFO:
		strcpy(what, "device");
		break;
	case VFIO_DEVICE_GET_REGION_INFO:
		((struct vfio_region_info *)arg)->offset = 0;
		return 0;
	case VFIO_DEVICE_FEATURE:
		snprintf(what, sizeof(what), "feature %u",
			 ((struct vfio_device_feature *)arg)->flags & VFIO_DEVICE_FEATURE_MASK);
		break;
	case VFIO_DEVICE_SET_IRQS:
		errno = set_irqs(fd, arg);
		return errno ? -1 : 0;
	default:
		errno = ENOTTY;
		return -1;
	}
	err = ask(fd, what, n, give, 1, &get);
	switch (err ? 0 : request) {
	case ULU_RETRIEVE_FD:
		((struct ulu_fd *)arg)->fd = get;
		break;
	case UIO_IOAS_ALLOC:
		((struct uio_ioas_alloc *)arg)->out_ioas_id = n[0];
		break;
	case UIO_HWPT_ALLOC:
		((struct uio_hwpt_alloc *)arg)->out_hwpt_id = n[0];
		break;
	case UIO_HWPT_RESTORE:
		((struct uio_hwpt_restore *)arg)->out_hwpt_id = n[0];
		break;
	case UIO_HWPT_VERIFY:
		((struct uio_hwpt_verify *)arg)->out_result = n[0];
		break;
	case UVFIO_BIND_IOMMUFD:
		((struct uvfio_bind *)arg)->out_devid = n[0];
		break;
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->flags = VFIO_DEVICE_FLAGS_PCI | (n[0] ? VFIO_DEVICE_FLAGS_RESET : 0);
		break;
	case GET_HW_INFO:
		/* Dirty tracking. */
		((__u64 *)arg)[4] = n[0];
		break;
	}
	errno = err;
	return err ? -1 : 0;
}

#define PCI_DIR "/sys/bus/pci/devices"

static const char *as_sysfs(const char *path, char there[512])
{
	if (strncmp(path, PCI_DIR "/", sizeof(PCI_DIR)))
		return path;
	snprintf(there, 512, "%s/pci%s", getenv("STANDIN") ?: "", path + sizeof(PCI_DIR) - 1);
	return there;
}

int access(const char *path, int mode)
{
	char there[512];

	return REAL(access)(as_sysfs(path, there), mode);
}

FILE *fopen(const char *path, const char *mode)
{
	char there[512];

	return REAL(fopen)(as_sysfs(path, there), mode);
}

static int as_guestmemfs(const char *path, struct statfs *fs)
{
	char there[512];

	snprintf(there, sizeof(there), "%s/guestmem", getenv("STANDIN") ?: "");
	if (!strncmp(path, there, strlen(there)) && strchr("/", path[strlen(there)]))
		fs->f_type = GUESTMEMFS_MAGIC;
	return 0;
}

int statfs(const char *path, struct statfs *fs)
{
	return REAL(statfs)(path, fs) ?: as_guestmemfs(path, fs);
}

int fstatfs(int fd, struct statfs *fs)
{
	char path[64], to[512] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return REAL(fstatfs)(fd, fs) ?: readlink(path, to, sizeof(to) - 1) < 0 ? -1 : as_guestmemfs(to, fs);
}

/* A device's configuration space. */
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	unsigned long long n[MOST_NUMBERS] = {};
	char what[64];

	if (!is_fake(fd))
		return REAL(pread)(fd, to, size, at);
	snprintf(what, sizeof(what), "config %lld %zu", (long long)at, size);
	errno = ask(fd, what, n, NULL, 0, NULL);
	if (errno)
		return -1;
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = n[i];
	return size;
}
