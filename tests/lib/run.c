// SPDX-License-Identifier: GPL-2.0-only
/*
 * Manifests, good ones and ones with one thing wrong; what can be wrong with a VM before
 * anything is asked of a kernel; and what agents could answer, or not answer at all.
 *
 *   run               all of it; names what is not as expected
 *   run --corpus DIR  write each manifest into a file of DIR, for the fuzzer
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "abi.h"
#include "manifest.h"

#define PAGE	MANIFEST_PAGE

static int failures, checks;
static const char *corpus;

/* Two memories, one of which is mapped, two address spaces, two HWPTs, three devices, of which two have a token. */
struct sample {
	struct manifest_header head;
	struct manifest_memory memory[2];
	struct manifest_mapping mapping[3];
	struct manifest_hwpt hwpt[2];
	struct manifest_device device[3];
	struct manifest_vf_token vf_token[2];
	char tail[PAGE];
};

static const struct sample good = {
	.head = {
		.magic = MANIFEST_MAGIC,
		.version = MANIFEST_VERSION,
		.size = offsetof(struct sample, tail),
		.iommufd_token = 1,
		.memories = 2,
		.spaces = 2,
		.mappings = 3,
		.hwpts = 2,
		.devices = 3,
		.vf_tokens = 2,
	},
	.memory = {
		{ .token = 2, .size = 64 * PAGE, .name = "ram" },
		{ .token = 3, .size = PAGE, .name = "state" },
	},
	.mapping = {
		{ 0, 32 * PAGE, 0, 0, 0, CONTINUO_READ | CONTINUO_WRITE, 0 },
		{ 32 * PAGE, 32 * PAGE, 32 * PAGE, 0, 0, CONTINUO_READ, 0 },
		{ 0, 64 * PAGE, 1ull << 40, 0, 1, CONTINUO_READ | CONTINUO_WRITE, 0 },
	},
	.hwpt = { { 2, 0, 0 }, { 3, 1, 0 } },
	.device = {
		{ .token = 4, .hwpt = 0, .name = "nic" },
		{ .token = 5, .hwpt = 1, .name = "disk" },
		{ .token = 6, .hwpt = 1, .name = "gpu" },
	},
	.vf_token = {
		{ .device = 0, .token = { 1, 2, 3 } },
		{ .device = 2, .token = { 255 } },
	},
};

static void __attribute__((format(printf, 2, 3)))
expect(int ok, const char *fmt, ...)
{
	va_list args;

	checks++;
	if (ok)
		return;
	failures++;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static void save(const char *name, const void *data, size_t size)
{
	char path[4096];
	FILE *f;

	if (!corpus)
		return;
	snprintf(path, sizeof(path), "%s/%s", corpus, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
		perror(path);
		exit(2);
	}
}

/* @err: 0, or what a reader has to return; @says: a part of the reason. */
static void judge(const char *name, struct sample *s, size_t size, int err,
		  const char *says)
{
	struct manifest_why why = {};
	struct manifest m;
	int ret;

	save(name, s, size);
	ret = manifest_read(s, size, &m, &why);
	if (!ret)
		ret = manifest_check(&m, &why);
	expect(ret == err, "%s: %d (%s), expected %d", name, ret, why.text, err);
	expect(!err || strstr(why.text, says), "%s: says '%s', expected '%s'", name,
	       why.text, says);
}

#define BAD(name, change, err, says) do {				\
	struct sample s = good;						\
									\
	change;								\
	judge(name, &s, sizeof(s), err, says);				\
} while (0)

static void manifests(void)
{
	struct sample s = good;

	judge("good", &s, sizeof(s), 0, "");
	judge("good-exact", &s, offsetof(struct sample, tail), 0, "");
	judge("cut-header", &s, sizeof(s.head) - 1, -EBADMSG, "not even a header");
	judge("cut-records", &s, offsetof(struct sample, tail) - 1, -EBADMSG, "its records take");
	BAD("magic", s.head.magic++, -EBADMSG, "does not begin");
	BAD("version", s.head.version++, -EPROTO, "version 2");
	BAD("size-more", s.head.size++, -EBADMSG, "its records take");
	BAD("size-huge", s.head.size = UINT64_MAX, -EBADMSG, "its records take");
	BAD("newer", s.head.version++; s.head.oldest = MANIFEST_VERSION, 0, "");
	BAD("newer, for newer ones", s.head.version += 2; s.head.oldest = MANIFEST_VERSION + 1, -EPROTO, "version 3");
	BAD("oldest", s.head.oldest = 1, -EBADMSG, "it says that it has");
	BAD("tokens-many", s.head.vf_tokens = MANIFEST_DEVICES + 1, -EBADMSG, "tokens of virtual functions; there are");
	BAD("tokens-more", s.head.vf_tokens++, -EBADMSG, "its records take");
	BAD("token-no-device", s.vf_token[1].device = 3, -EBADMSG, "1, is of device 3: of none");
	BAD("token-device-twice", s.vf_token[1].device = 0, -EBADMSG, "1, is of device 0: of none, out of order");
	BAD("token-order", s.vf_token[0].device = 2; s.vf_token[1].device = 1, -EBADMSG, "1, is of device 1: of none, out of order");
	BAD("token-reserved", s.vf_token[0].reserved = 1, -EBADMSG, "0, is of device 0: of none, out of order, or with its reserved field in use");
	BAD("memories-many", s.head.memories = MANIFEST_MEMORIES + 1, -EBADMSG, "memories; there are");
	BAD("spaces-many", s.head.spaces = MANIFEST_SPACES + 1, -EBADMSG, "address spaces; there are");
	BAD("mappings-many", s.head.mappings = MANIFEST_MAPPINGS + 1, -EBADMSG, "mappings; there are");
	BAD("hwpts-many", s.head.hwpts = UINT32_MAX, -EBADMSG, "HWPTs; there are");
	BAD("devices-many", s.head.devices = MANIFEST_DEVICES + 1, -EBADMSG, "devices; there are");
	BAD("devices-more", s.head.devices++, -EBADMSG, "its records take");
	BAD("memory-unnamed", s.memory[0].name[0] = 0, -EBADMSG, "memory 0 has no proper name");
	BAD("memory-name-endless", memset(s.memory[1].name, 'x', CONTINUO_NAME), -EBADMSG, "memory 1 has no proper name");
	BAD("memory-name-control", s.memory[1].name[1] = '\n', -EBADMSG, "memory 1 has no proper name");
	BAD("memory-name-hidden", s.memory[1].name[20] = 'x', -EBADMSG, "memory 1 has no proper name");
	BAD("memory-name-twice", memcpy(s.memory[1].name, s.memory[0].name, CONTINUO_NAME), -EBADMSG, "two memories have the same name");
	BAD("memory-empty", s.memory[1].size = 0, -EBADMSG, "memory 1 has 0 bytes");
	BAD("memory-uneven", s.memory[1].size++, -EBADMSG, "memory 1 has 4097 bytes");
	BAD("memory-huge", s.memory[1].size = 1ull << 63, -EBADMSG, "memory 1 has 9223372036854775808 bytes");
	BAD("map-no-memory", s.mapping[1].memory = 2, -EBADMSG, "mapping 1 is of memory 2");
	BAD("map-no-space", s.mapping[1].space = 2, -EBADMSG, "in address space 2");
	BAD("map-prot-none", s.mapping[1].prot = 0, -EBADMSG, "mapping 1 has permissions 0");
	BAD("map-prot-odd", s.mapping[1].prot = 4, -EBADMSG, "mapping 1 has permissions 0x4");
	BAD("map-reserved", s.mapping[1].reserved = 1, -EBADMSG, "reserved field 0x1");
	BAD("map-offset-uneven", s.mapping[1].offset++, -EBADMSG, "mapping 1 is not of whole pages");
	BAD("map-length-uneven", s.mapping[1].length++, -EBADMSG, "mapping 1 is not of whole pages");
	BAD("map-iova-uneven", s.mapping[1].iova++, -EBADMSG, "mapping 1 is not of whole pages");
	BAD("map-empty", s.mapping[1].length = 0, -EBADMSG, "mapping 1 is not of whole pages");
	BAD("map-beyond", s.mapping[1].length += PAGE, -EBADMSG, "beyond the end of memory 0");
	BAD("map-offset-beyond", s.mapping[1].offset = -(uint64_t)PAGE, -EBADMSG, "beyond the end of memory 0");
	BAD("map-iova-last", s.mapping[2].iova = -(uint64_t)(63 * PAGE), -EBADMSG, "beyond the last IOVA");
	BAD("map-iova-to-last", s.mapping[2].iova = -(uint64_t)(64 * PAGE), 0, "");
	BAD("map-overlap", s.mapping[1].iova -= PAGE, -EBADMSG, "address space 0 is mapped twice");
	BAD("map-same", s.mapping[1].iova = 0, -EBADMSG, "address space 0 is mapped twice");
	BAD("hwpt-no-space", s.hwpt[1].space = 2, -EBADMSG, "HWPT 1 is of address space 2");
	BAD("hwpt-flags", s.hwpt[1].flags = 4, -EBADMSG, "HWPT 1 is of");
	BAD("hwpt-dirty", s.hwpt[1].flags = CONTINUO_HWPT_DIRTY_TRACKING, 0, "");
	BAD("hwpt-unused", s.device[0].hwpt = 1, -EBADMSG, "no device is on HWPT 0");
	BAD("hwpt-token-twice", s.hwpt[1].token = 2, -EBADMSG, "two HWPTs have the same token");
	BAD("device-no-hwpt", s.device[2].hwpt = 2, -EBADMSG, "device 2 is on HWPT 2");
	BAD("device-reserved", s.device[2].reserved = 1, -EBADMSG, "device 2 has no proper name, or its reserved");
	BAD("device-unnamed", memset(s.device[2].name, 0, CONTINUO_NAME), -EBADMSG, "device 2 has no proper name");
	BAD("device-name-twice", strcpy(s.device[2].name, "nic"), -EBADMSG, "two devices have the same name");
	BAD("token-twice", s.device[2].token = 2, -EBADMSG, "two files have the same token");
	BAD("token-iommufd", s.memory[0].token = 1, -EBADMSG, "two files have the same token");
	BAD("token-manifest", s.memory[0].token = MANIFEST_TOKEN, -EBADMSG, "two files have the same token");
	BAD("empty", memset(&s.head.memories, 0, 6 * sizeof(uint32_t)); s.head.size = sizeof(s.head), 0, "");
}

static void written(void)
{
	struct sample s = good;
	struct manifest_why why;
	struct manifest m;
	char *again;

	expect(!manifest_read(&s, sizeof(s), &m, &why), "the good one is not read");
	m.head.size = 0;
	expect(manifest_size(&m) == good.head.size, "its size changed");
	again = malloc(good.head.size);
	manifest_write(&m, again);
	expect(!memcmp(again, &good, good.head.size), "written again, it is another one");
	free(again);
}

/* What the kernel says to the ioctls of iommufd and VFIO, in the order of the calls. */
static struct {
	unsigned long request[8];
	int err[8];
	uint32_t flags[8];
	unsigned int n;
} kernel;

/* Of the first HWPT of a VM, as continuo_vm_hwpt() makes it. */
#define ADOPTED_TOKEN	0x434f4e0400000000ull

/* A kernel that does what it is asked: a session that keeps files, and objects that have ids. */
static struct {
	bool is_there;
	struct { uint64_t token; int fd; } file[8];
	unsigned int files, calls, fails_at;	/* 0: no call fails */
	int err;				/* how */
	uint32_t id, objects, finished, moved, adopts;
	/* With which flags HWPTs were made since this was 0: those of the first, and of the second. */
	uint32_t hwpts, hwpt_flags[2];
	/* With which tokens devices were bound since this was 0. */
	uint32_t bound;
	bool asks_for_none;
	struct { bool is; uint8_t byte[CONTINUO_VF_TOKEN]; } token[3];
	/* A process has died that had adopted what has this token, and no device was on it yet. */
	struct { uint64_t token; uint32_t restored, ioas, hwpt; bool gone; } adopted;
} world;

static void note_flags(uint32_t flags)
{
	if (world.hwpts < 2)
		world.hwpt_flags[world.hwpts] = flags;
	world.hwpts++;
}

static void note_token(const struct uvfio_bind *bind)
{
	if (world.bound < 3) {
		world.token[world.bound].is = bind->flags == UVFIO_BIND_TOKEN;
		if (world.token[world.bound].is)
			memcpy(world.token[world.bound].byte, (void *)(uintptr_t)bind->token_uuid_ptr, CONTINUO_VF_TOKEN);
	}
	world.bound++;
}

static int world_says(unsigned long request, void *at)
{
	struct ulu_fd *file = at;

	if (++world.calls == world.fails_at)
		return world.err;
	if (request == ULU_PRESERVE_FD) {
		world.file[world.files].token = file->token;
		world.file[world.files++].fd = dup(file->fd);
	} else if (request == ULU_RETRIEVE_FD) {
		for (unsigned int i = 0; i < world.files; i++)
			if (world.file[i].token == file->token) {
				file->fd = fcntl(world.file[i].fd, F_DUPFD_CLOEXEC, 0);
				return 0;
			}
		return ENOENT;
	} else if (request == ULU_FINISH) {
		world.finished++;
	} else if (request == UVFIO_BIND_IOMMUFD) {
		if (world.asks_for_none && ((struct uvfio_bind *)at)->flags)
			return EINVAL;
		((struct uvfio_bind *)at)->out_devid = ++world.id;
		note_token(at);
	} else if (request == UIO_HWPT_RESTORE) {
		((struct uio_hwpt_restore *)at)->out_hwpt_id = ++world.id;
		if (((struct uio_hwpt_restore *)at)->hwpt_token == world.adopted.token)
			world.adopted.restored = world.id;
		world.objects++;
	} else if (request == UIO_IOAS_ALLOC) {
		((struct uio_ioas_alloc *)at)->out_ioas_id = ++world.id;
		world.objects++;
	} else if (request == UIO_HWPT_ALLOC) {
		((struct uio_hwpt_alloc *)at)->out_hwpt_id = ++world.id;
		world.objects++;
		note_flags(((struct uio_hwpt_alloc *)at)->flags);
	} else if (request == UIO_HWPT_ADOPT) {
		struct uio_hwpt_adopt *adopt = at;
		bool is = world.adopted.restored && adopt->restored_id == world.adopted.restored;

		if (!adopt->ioas_id) {
			if (!is || world.adopted.gone)
				return ENOENT;
			adopt->out_ioas_id = world.adopted.ioas;
			adopt->out_hwpt_id = world.adopted.hwpt;
			return 0;
		}
		if (is && !world.adopted.gone)
			return EBUSY;
		adopt->out_hwpt_id = ++world.id;
		world.objects++;
		world.adopts++;
		note_flags(adopt->hwpt_flags);
	} else if (request == UVFIO_ATTACH_PT) {
		world.moved++;
	} else if (request == ULU_GET_NAME) {
		strcpy((char *)((struct ulu_name *)at)->name, "u7.vm");
	} else if (request == UIO_DESTROY) {
		const struct uio_destroy *destroy = at;

		world.adopted.gone |= world.adopted.token &&
				      (destroy->id == world.adopted.ioas || destroy->id == world.adopted.hwpt);
		world.objects--;
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...);

int ioctl(int fd, unsigned long request, ...)
{
	unsigned int i;
	va_list args;

	if (world.is_there) {
		va_start(args, request);
		errno = world_says(request, va_arg(args, void *));
		va_end(args);
		return errno ? -1 : 0;
	}
	i = kernel.n++;

	(void)fd;
	if (i >= 8)
		exit(2);
	kernel.request[i] = request;
	if (request == UIO_HWPT_MARK_PRESERVE) {
		va_start(args, request);
		kernel.flags[i] = va_arg(args, struct uio_hwpt_mark_preserve *)->flags;
		va_end(args);
	}
	errno = kernel.err[i];
	return kernel.err[i] ? -1 : 0;
}

/* What the kernel says of the way back; NULL: it knows of none. And what it was told. */
static const char *back_says;
static int back_told = -1;

int open(const char *path, int flags, ...);

int open(const char *path, int flags, ...)
{
	va_list args;
	int mode, fd;

	if (!strcmp(path, "/sys/kernel/liveupdate_back/state")) {
		errno = ENOENT;
		fd = back_says ? memfd_create("state", 0) : -1;
		if (fd >= 0 && (write(fd, back_says, strlen(back_says)) < 0 || lseek(fd, 0, SEEK_SET)))
			exit(2);
		return fd;
	}
	if (!strcmp(path, "/sys/kernel/liveupdate_back/confirm")) {
		errno = ENOENT;
		return back_told < 0 ? -1 : dup(back_told);
	}
	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	return openat(AT_FDCWD, path, flags, mode);
}

/* A file that is said to be on guestmemfs. */
static int on_guestmemfs = -1;

int fstatfs(int fd, struct statfs *fs)
{
	int ret = syscall(SYS_fstatfs, fd, fs);

	if (!ret && fd == on_guestmemfs)
		fs->f_type = GUESTMEMFS_MAGIC;
	return ret;
}

static void kernel_says(int first, int second, int third)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.err[0] = first;
	kernel.err[1] = second;
	kernel.err[2] = third;
}

static int memfd(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size)) {
		perror("memfd");
		exit(2);
	}
	return fd;
}

/* @ret: what a call returned; @says: a part of the reason, if it has to fail. */
static void call(struct continuo *ctx, const char *what, int ret, int want,
		 const char *says)
{
	expect(ret == want, "%s: %d (%s), expected %d", what, ret,
	       continuo_why(ctx), want);
	expect(want >= 0 || strstr(continuo_why(ctx), says),
	       "%s: says '%s', expected '%s'", what, continuo_why(ctx), says);
}

static void vms(void)
{
	int ram = memfd(64 * PAGE), odd = memfd(100), null = open("/dev/null", O_RDWR);
	struct continuo_vm *vm;
	struct continuo *ctx;
	char name[16];

	if (continuo_new(&ctx) || continuo_vm_new(ctx, &vm))
		exit(2);
	expect(!continuo_why(ctx)[0], "there is a reason before anything has failed");
	call(ctx, "iommufd", continuo_vm_iommufd(vm, null), 0, "");
	call(ctx, "second iommufd", continuo_vm_iommufd(vm, null), -EEXIST, "has an iommufd already");
	call(ctx, "memory", continuo_vm_memory(vm, "ram", ram), 0, "");
	call(ctx, "memory again", continuo_vm_memory(vm, "ram", ram), -EEXIST, "\"ram\": there is one of that name");
	call(ctx, "no memory", continuo_vm_memory(vm, "x", null), -EINVAL, "neither a memfd nor a file of guestmemfs");
	call(ctx, "odd size", continuo_vm_memory(vm, "x", odd), -EINVAL, "100 bytes are no multiple");
	call(ctx, "no name", continuo_vm_memory(vm, "", ram), -EINVAL, "1 to 31 bytes");
	call(ctx, "long name", continuo_vm_memory(vm, "0123456789abcdef0123456789abcdef", ram), -EINVAL, "1 to 31 bytes");
	call(ctx, "control", continuo_vm_memory(vm, "a\tb", ram), -EINVAL, "control character at byte 1");
	call(ctx, "hwpt of nothing", continuo_vm_hwpt(vm, 0, 7), -EINVAL, "no address space 0");
	call(ctx, "space", continuo_vm_space(vm), 0, "");
	call(ctx, "hwpt", continuo_vm_hwpt(vm, 0, 7), 0, "");
	call(ctx, "device of nothing", continuo_vm_device(vm, "nic", null, 1), -EINVAL, "no HWPT of index 1");
	call(ctx, "map", continuo_vm_map(vm, 0, 0, 0, 64 * PAGE, 0, CONTINUO_READ), 0, "");
	call(ctx, "incomplete", continuo_vm_preserve(vm, -1), -EINVAL, "no device is on HWPT 0");
	call(ctx, "device", continuo_vm_device(vm, "nic", null, 0), 0, "");
	call(ctx, "device again", continuo_vm_device(vm, "nic", null, 0), -EEXIST, "\"nic\": there is one of that name");
	kernel_says(EBADF, 0, 0);
	call(ctx, "no session", continuo_vm_preserve(vm, -1), -EBADF, "Bad file descriptor");
	call(ctx, "find memory", continuo_vm_find_memory(vm, "ram"), ram, "");
	call(ctx, "find no memory", continuo_vm_find_memory(vm, "rom"), -ENOENT, "\"rom\": the VM has none");
	call(ctx, "find no device", continuo_vm_find_device(vm, "x", NULL, NULL), -ENOENT, "\"x\": the VM has none");
	call(ctx, "overlap", continuo_vm_map(vm, 0, 0, 0, PAGE, PAGE, CONTINUO_READ), 0, "");
	call(ctx, "overlapping", continuo_vm_preserve(vm, -1), -EINVAL, "IOVA 0x1000 of address space 0 is mapped twice");
	continuo_vm_free(vm);

	/* As many as there can be, and one more. */
	if (continuo_vm_new(ctx, &vm))
		exit(2);
	for (int i = 0; i < MANIFEST_MEMORIES; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		call(ctx, name, continuo_vm_memory(vm, name, ram), i, "");
	}
	call(ctx, "one more memory", continuo_vm_memory(vm, "more", ram), -E2BIG, "1024 memories at most");
	continuo_vm_free(vm);
	continuo_vm_free(NULL);

	call(ctx, "session without a name", continuo_session_create(ctx, ""), -EINVAL, "must not be empty");
	call(ctx, "session with a long name",
	     continuo_session_retrieve(ctx, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
	     -ENAMETOOLONG, "63 bytes at most");
	call(ctx, "take by no way", continuo_vm_take(ctx, -1, 7, &vm), -EINVAL, "how=7");
	kernel_says(EBADF, 0, 0);
	call(ctx, "take from nothing", continuo_vm_take(ctx, -1, CONTINUO_REPLACE, &vm), -EBADF, "Bad file descriptor");
	continuo_free(ctx);
	close(ram);
	close(odd);
	close(null);
}

/* With @n descriptors, 2 at most. */
static void give(int client, const char *answer, const int *fds, unsigned int n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(n * sizeof(int)) } };
	struct iovec iov = { .iov_base = (char *)answer, .iov_len = strlen(answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (*answer)
		sendmsg(client, &msg, 0);
}

static void give_answer(int client, const char *answer, bool with_fd)
{
	give(client, answer, (const int[]){ 2 }, with_fd);
}

/* What an agent could answer, and what it is not to be taken for. */
static void agents(void)
{
	static const struct {
		const char *answer;
		bool fd;
		int err;	/* of create */
		const char *says;
	} tries[] = {
		{ "ok\n", true, 0, "" },
		{ "ok\n", false, -EPROTO, "not of the protocol" },
		{ "ok", true, -EPROTO, "not of the protocol" },
		{ "error 17 there is one", false, -EEXIST, "there is one" },
		{ "error 0 nothing", false, -EPROTO, "not of the protocol" },
		{ "error -1 nothing", false, -EPROTO, "not of the protocol" },
		{ "error 99999 nothing", false, -EPROTO, "not of the protocol" },
		{ "error 17", false, -EPROTO, "not of the protocol" },
		{ "hello", true, -EPROTO, "not of the protocol" },
		{ "hello", false, -EPROTO, "not of the protocol" },
		{ "", false, -EPIPE, "the agent has ended" },
	};
	char folder[] = "/tmp/continuo-XXXXXX", path[64], asked[64];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	struct continuo *ctx;

	if (!mkdtemp(folder) || continuo_new(&ctx))
		exit(2);
	snprintf(path, sizeof(path), "%s/agent", folder);
	strcpy(addr.sun_path, path);
	call(ctx, "no agent", continuo_agent(ctx, path), -ENOENT, "no agent listens there");
	call(ctx, "release without an agent", continuo_session_release(ctx, "vm"), -ENOTCONN, "no agent to release it");
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1))
		exit(2);
	for (unsigned int i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		pid_t pid = fork();
		int fd;

		if (!pid) {
			int client = accept(listener, NULL, NULL);
			ssize_t n = recv(client, asked, sizeof(asked), 0);

			/* Every other one is of before versions. */
			if (n != 7 || memcmp(asked, "hello 1", 7))
				_exit(1);
			if (i & 1)
				give_answer(client, "error 74 a request begins with a verb", false);
			else
				give_answer(client, "version 3 a-newer-agent", false);
			if (!(i & 1))
				give_answer(client, "ok\n", false);
			n = recv(client, asked, sizeof(asked), 0);
			if (n != 9 || memcmp(asked, "create vm", 9))
				_exit(1);
			give_answer(client, tries[i].answer, tries[i].fd);
			_exit(0);
		}
		call(ctx, "connect", continuo_agent(ctx, path), 0, "");
		call(ctx, "version", continuo_agent_version(ctx), i & 1 ? 0 : 3, "");
		fd = continuo_session_create(ctx, "vm");
		if (!tries[i].err) {
			expect(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC,
			       "'%s': descriptor %d", tries[i].answer, fd);
			close(fd);
		} else {
			call(ctx, tries[i].answer, fd, tries[i].err, tries[i].says);
		}
		waitpid(pid, &fd, 0);
		expect(!fd, "the agent was asked something else");
	}
	continuo_free(ctx);
	close(listener);
	unlink(path);
	rmdir(folder);
}

/* What the header promises is what comes of what the kernel says; and marks go again. */
static void errnos_and_marks(void)
{
	int ram = memfd(64 * PAGE), null = open("/dev/null", O_RDWR);
	struct continuo_vm *vm, *other;
	struct continuo *ctx;
	uint32_t id;

	if (continuo_new(&ctx) || continuo_vm_new(ctx, &vm))
		exit(2);
	kernel_says(EADDRINUSE, 0, 0);
	call(ctx, "a token twice", continuo_hwpt_mark(ctx, null, 1, 2, 0), -EEXIST, "tokens are unique");
	kernel_says(EPERM, 0, 0);
	call(ctx, "another iommufd", continuo_device_bind(ctx, null, null, &id), -EINVAL, "another iommufd of its session");
	kernel_says(EACCES, EACCES, EINVAL);
	call(ctx, "no token", continuo_device_bind(ctx, null, null, &id), -EACCES, "asks for the token of its physical function");
	call(ctx, "another token", continuo_device_bind_token(ctx, null, null, good.vf_token[0].token, &id), -EACCES,
	     "that is not the token of its physical function");
	call(ctx, "a token that is not asked for", continuo_device_bind_token(ctx, null, null, good.vf_token[0].token, &id), -EINVAL,
	     "it asks for no token");
	kernel_says(EBUSY, 0, 0);
	call(ctx, "unmark in a session", continuo_hwpt_unmark(ctx, null, 1, 2), -EBUSY, "close the session first");
	kernel_says(ENOENT, 0, 0);
	call(ctx, "unmark what is not marked", continuo_hwpt_unmark(ctx, null, 1, 2), -ENOENT, "it has none with this token");

	/* Flags and permissions that this library does not know: the kernel is not asked. */
	kernel_says(0, 0, 0);
	call(ctx, "mark to unmark", continuo_hwpt_mark(ctx, null, 1, 2, UIO_MARK_UNMARK), -EINVAL, "flags=0x2: there is no such flag");
	call(ctx, "mark with all", continuo_hwpt_mark(ctx, null, 1, 2, ~0u), -EINVAL, "no such flag");
	call(ctx, "adopt with some flag", continuo_hwpt_adopt(ctx, null, 1, 2, 3, 2, &id, NULL), -EINVAL, "flags=0x2: there is no such flag");
	call(ctx, "map with some", continuo_ioas_map(ctx, null, 1, ram, 0, PAGE, 0, CONTINUO_READ | 4), -EINVAL, "prot=0x5");
	call(ctx, "map with none", continuo_ioas_map(ctx, null, 1, ram, 0, PAGE, 0, 0), -EINVAL, "prot=0");
	expect(!kernel.n, "the kernel was asked %u times", kernel.n);
	call(ctx, "mark to keep", continuo_hwpt_mark(ctx, null, 1, 2, CONTINUO_MARK_KEEP), 0, "");
	call(ctx, "map", continuo_ioas_map(ctx, null, 1, ram, 0, PAGE, 0, CONTINUO_READ | CONTINUO_WRITE), 0, "");
	expect(kernel.n == 2 && kernel.flags[0] == UIO_MARK_KEEP, "the kernel was asked %u times", kernel.n);

	continuo_vm_iommufd(vm, null);
	continuo_vm_memory(vm, "ram", ram);
	continuo_vm_space(vm);
	continuo_vm_map(vm, 0, 0, 0, 64 * PAGE, 0, CONTINUO_READ);
	continuo_vm_hwpt(vm, 0, 7);
	continuo_vm_device(vm, "nic", null, 0);
	call(ctx, "flags", continuo_vm_hwpt_flags(vm, 0, CONTINUO_HWPT_DIRTY_TRACKING), 0, "");
	call(ctx, "no such flag", continuo_vm_hwpt_flags(vm, 0, 4), -EINVAL, "no such flag");
	call(ctx, "no such HWPT", continuo_vm_hwpt_flags(vm, 1, 0), -EINVAL, "no HWPT of index 1");
	/* Those of later versions are found before anything has happened. */
	call(ctx, "memory, no flag", continuo_vm_memory_flags(vm, 0, 0), 0, "");
	call(ctx, "memory, some flag", continuo_vm_memory_flags(vm, 0, 1), -EINVAL, "flags=0x1: there is no such flag of a memory");
	call(ctx, "no such memory", continuo_vm_memory_flags(vm, -1, 0), -EINVAL, "no memory of index -1");
	call(ctx, "device, no flag", continuo_vm_device_flags(vm, 0, 0), 0, "");
	call(ctx, "device, some flag", continuo_vm_device_flags(vm, 0, 1u << 31), -EINVAL, "flags=0x80000000: there is no such flag of a device");
	call(ctx, "no such device", continuo_vm_device_flags(vm, 1, 0), -EINVAL, "no device of index 1");
	call(ctx, "a token of no such device", continuo_vm_device_token(vm, 1, good.vf_token[0].token), -EINVAL, "no device of index 1");
	kernel_says(0, 0, 0);
	call(ctx, "preserve with some flag", continuo_vm_preserve_flags(vm, null, 1), -EINVAL, "flags=0x1: there is no such flag to preserve");
	call(ctx, "take with some flag", continuo_vm_take_flags(ctx, null, CONTINUO_REPLACE, 2, &other), -EINVAL, "flags=0x2: there is no such flag to take");
	call(ctx, "take in no way", continuo_vm_take_flags(ctx, null, 3, 0, &other), -EINVAL, "how=3");
	expect(!kernel.n, "the kernel was asked %u times before the flags were", kernel.n);
	kernel_says(EBADF, 0, 0);
	call(ctx, "take with a flag", continuo_vm_take_flags(ctx, null, CONTINUO_REPLACE, CONTINUO_TAKE_UNFINISHED, &other), -EBADF, "Bad file descriptor");
	/* Manifest, memory, mark; and the iommufd cannot be preserved. */
	kernel_says(0, 0, 0);
	kernel.err[3] = EBUSY;
	call(ctx, "preserve", continuo_vm_preserve_flags(vm, null, 0), -EBUSY, "in a session already");
	expect(kernel.n == 4 && kernel.request[2] == UIO_HWPT_MARK_PRESERVE, "preserve: %u calls", kernel.n);
	kernel_says(EBUSY, 0, 0);
	call(ctx, "unpreserve too early", continuo_vm_unpreserve(vm), -EBUSY, "close the session first");
	kernel_says(0, 0, 0);
	call(ctx, "unpreserve", continuo_vm_unpreserve(vm), 0, "");
	expect(kernel.n == 1 && kernel.request[0] == UIO_HWPT_MARK_PRESERVE && kernel.flags[0] == UIO_MARK_UNMARK,
	       "unpreserve: %u calls, flags %#x", kernel.n, kernel.flags[0]);
	kernel_says(0, 0, 0);
	call(ctx, "unpreserve again", continuo_vm_unpreserve(vm), 0, "");
	expect(!kernel.n, "unpreserve again: %u calls", kernel.n);
	/* Preserved in a session; to preserve it in another one fails, and the first mark stays. */
	kernel_says(0, 0, 0);
	call(ctx, "preserve once more", continuo_vm_preserve(vm, null), 0, "");
	kernel_says(0, 0, EBUSY);
	call(ctx, "preserve twice", continuo_vm_preserve(vm, null), -EBUSY, "preserved already");
	kernel_says(0, 0, 0);
	call(ctx, "unpreserve both", continuo_vm_unpreserve(vm), 0, "");
	expect(kernel.n == 1, "unpreserve both: %u calls", kernel.n);
	continuo_vm_free(vm);
	continuo_free(ctx);
	close(ram);
	close(null);
}

/* --- connections that are handed in --- */

/* What the agent was asked next. */
static void asked(int agent, const char *want)
{
	char text[512];
	ssize_t n = recv(agent, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = 0;
	expect(!strcmp(text, want), "asked '%s', expected '%s'", text, want);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Has who was at the other end of it gone? What was asked before is read first. */
static bool is_left(int agent)
{
	char text[512];
	ssize_t n;

	do
		n = recv(agent, text, sizeof(text), MSG_DONTWAIT);
	while (n > 0);
	/* The latter if it has left without reading all. */
	return !n || errno == ECONNRESET;
}

/* An agent that is greeted over @agent, and says from now on what the test has it say. */
static void hand_in(struct continuo *ctx, int *agent)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	*agent = pair[1];
	give_answer(*agent, "version 3 a-newer-agent", false);
	give_answer(*agent, "ok\n", false);
	call(ctx, "hand in", continuo_agent_fd(ctx, pair[0]), 0, "");
	asked(*agent, "hello 1");
	expect(fcntl(pair[0], F_GETFD) == FD_CLOEXEC, "a program that is started gets the connection");
}

static struct continuo *handed_in(int *agent)
{
	struct continuo *ctx;

	if (continuo_new(&ctx))
		exit(2);
	hand_in(ctx, agent);
	return ctx;
}

static void connections(void)
{
	int agent, other, room[2], pair[2], vm;
	struct continuo *ctx = handed_in(&agent), *in_sandbox;

	call(ctx, "version", continuo_agent_version(ctx), 3, "");
	/* Another one takes its place. */
	hand_in(ctx, &other);
	expect(is_left(agent), "the connection of before is not closed");
	close(agent);
	agent = other;

	/* What a manager of VMs does: a connection for one VM. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, room))
		exit(2);
	give(agent, "ok\n", &room[0], 1);
	vm = continuo_connect(ctx, "vm");
	expect(vm >= 0 && fcntl(vm, F_GETFD) == FD_CLOEXEC, "connect: %d (%s)", vm, continuo_why(ctx));
	asked(agent, "connect vm");
	close(room[0]);
	/* And the VM, which has it: of it comes the connection for orders. */
	give_answer(room[1], "version 1 x", false);
	give_answer(room[1], "ok\n", false);
	if (continuo_new(&in_sandbox))
		exit(2);
	call(in_sandbox, "agent of the VM", continuo_agent_fd(in_sandbox, vm), 0, "");
	asked(room[1], "hello 1");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	give(room[1], "ok\n", &pair[0], 1);
	close(pair[0]);
	give_answer(pair[1], "ok\n", false);
	vm = continuo_register(in_sandbox, "vm");
	expect(vm >= 0, "register: %d (%s)", vm, continuo_why(in_sandbox));
	asked(room[1], "connect");
	asked(pair[1], "register vm");
	close(vm);
	expect(is_left(pair[1]), "somebody else has the connection for orders");
	close(pair[1]);
	continuo_free(in_sandbox);
	expect(is_left(room[1]), "the connection of a context that is freed is not closed");
	close(room[1]);

	give_answer(agent, "error 122 you have too many", false);
	call(ctx, "one more", continuo_connect(ctx, "vm"), -EDQUOT, "too many");
	give_answer(agent, "error 74 a request begins with a verb", false);
	call(ctx, "connect of 0.1", continuo_connect(ctx, NULL), -EOPNOTSUPP, "upgrade it");
	give_answer(agent, "ok\n", false);
	call(ctx, "connect to nothing", continuo_connect(ctx, "vm"), -EPROTO, "not of the protocol");

	/* Nobody is there: then the descriptor stays the caller's, and all is as before. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	close(pair[1]);
	call(ctx, "nobody", continuo_agent_fd(ctx, pair[0]), -EPIPE, "");
	expect(fcntl(pair[0], F_GETFD) == 0, "the descriptor was closed, or is another one");
	close(pair[0]);
	call(ctx, "no agent", continuo_agent(ctx, "/nonexistent"), -ENOENT, "no agent listens there");
	call(ctx, "no descriptor", continuo_agent_fd(ctx, -1), -EINVAL, "no descriptor");
	call(ctx, "the version of before", continuo_agent_version(ctx), 3, "");
	/* Its own once more: it would be closed, and be another file's number next. */
	continuo_deadline(ctx, 50);
	call(ctx, "its own", continuo_agent_fd(ctx, ctx->agent), -EINVAL, "has it already");
	continuo_deadline(ctx, 0);
	expect(is_open(ctx->agent), "its own is closed");
	give_answer(agent, "ok\n", false);
	call(ctx, "the one of before", continuo_update_begin(ctx), 0, "");
	continuo_free(ctx);
	close(agent);
}

/* --- names that the agent would take for something else --- */

static void names(void)
{
	char path[600] = "/", name[CONTINUO_SESSION_NAME + 1] = "";
	/* Words that are fields, and words behind a blank. */
	static const char *const tries[] = { "a=b", "vm silent=leave", "vm process=1", "vm x", "" };
	int agent;
	struct continuo *ctx = handed_in(&agent);

	/* What was asked all the same has no answer. */
	continuo_deadline(ctx, 1);
	for (unsigned int i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		call(ctx, "connect", continuo_connect(ctx, tries[i]), -EINVAL, "a name consists of");
		call(ctx, "register", continuo_register(ctx, tries[i]), -EINVAL, "a name consists of");
		call(ctx, "undo", continuo_update_ask(ctx, CONTINUO_WANT_UNDO, tries[i], 1, NULL, NULL), -EINVAL, "a name consists of");
		call(ctx, "release", continuo_session_release(ctx, tries[i]), -EINVAL, "a name consists of");
		call(ctx, "create", continuo_session_create(ctx, tries[i]), -EINVAL, *tries[i] ? "a name consists of" : "must not be empty");
	}
	memset(name, 'x', sizeof(name) - 1);
	call(ctx, "connect, long", continuo_connect(ctx, name), -ENAMETOOLONG, "63 bytes at most");
	call(ctx, "release, long", continuo_session_release(ctx, name), -ENAMETOOLONG, "63 bytes at most");
	call(ctx, "leave, a field", continuo_update_leave(ctx, "/mnt/a b=c"), -EINVAL, "write the blank as \\040");
	call(ctx, "leave, a field in between", continuo_update_leave(ctx, "/mnt/a b=c d"), -EINVAL, "for a field");
	call(ctx, "leave, a field of no name", continuo_update_leave(ctx, "/mnt/a =c"), -EINVAL, "for a field");
	memset(path + 1, 'x', sizeof(path) - 2);
	call(ctx, "leave, long", continuo_update_leave(ctx, path), -ENAMETOOLONG, "512 bytes at most");
	asked(agent, "");
	/* And what can be. */
	path[512 - strlen("leave ")] = 0;
	give_answer(agent, "ok\n", false);
	call(ctx, "leave, as long as can be", continuo_update_leave(ctx, path), 0, "");
	expect(recv(agent, path, sizeof(path), MSG_DONTWAIT) == 512, "leave: what was asked");
	give_answer(agent, "ok\n", false);
	call(ctx, "leave, a blank", continuo_update_leave(ctx, "/mnt/a b/c=d"), 0, "");
	asked(agent, "leave /mnt/a b/c=d");
	give_answer(agent, "ok\n", false);
	call(ctx, "leave, what would look like a field", continuo_update_leave(ctx, "/mnt/a\\040b=c"), 0, "");
	asked(agent, "leave /mnt/a\\040b=c");
	name[CONTINUO_SESSION_NAME - 1] = 0;
	give_answer(agent, "ok\n", false);
	call(ctx, "release, as long as can be", continuo_session_release(ctx, name), 0, "");
	continuo_free(ctx);
	close(agent);
}

/* --- agents that say nothing --- */

#define DEADLINE_MS	100
#define LATE_MS		(3 * DEADLINE_MS)

static long ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Takes as long as the deadline, and not much longer; the machine can be busy. As if it were the first on its connection. */
#define CALL_LATE(ctx, what, ret) do {						\
	long since = ms_now(), took;						\
										\
	(ctx)->behind = false;							\
	call(ctx, what, ret, -ETIMEDOUT, "within 100 ms");			\
	took = ms_now() - since;						\
	expect(took >= DEADLINE_MS - 20 && took < 5000, "%s: took %ld ms", what, took); \
} while (0)

/* Says @text, some time from now. */
static pid_t say_late(int agent, const char *text)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	usleep(LATE_MS * 1000);
	give_answer(agent, text, false);
	_exit(0);
}

static void deadlines(void)
{
	char folder[] = "/tmp/continuo-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int agent, other, pair[2], ret = 0, one;
	struct continuo_order order = {};
	struct continuo *ctx;
	pid_t pid;

	/* Not even a greeting. */
	if (continuo_new(&ctx) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	call(ctx, "deadline without an agent", continuo_deadline(ctx, DEADLINE_MS), 0, "");
	CALL_LATE(ctx, "greet", continuo_agent_fd(ctx, pair[0]));
	expect(is_open(pair[0]), "the descriptor was closed");
	call(ctx, "not connected", continuo_agent_version(ctx), -ENOTCONN, "continuo_agent() first");
	close(pair[0]);
	close(pair[1]);
	continuo_free(ctx);

	ctx = handed_in(&agent);
	call(ctx, "deadline", continuo_deadline(ctx, DEADLINE_MS), 0, "");
	CALL_LATE(ctx, "vms", continuo_update_vms(ctx, NULL, NULL));
	CALL_LATE(ctx, "create", continuo_session_create(ctx, "vm"));
	CALL_LATE(ctx, "register", continuo_register(ctx, "vm"));
	/* An answer comes after all: it is not taken for one to what another connection is asked. */
	give_answer(agent, "ok\n", false);
	call(ctx, "behind a late answer", continuo_update_begin(ctx), -EPIPE, "connect again");
	call(ctx, "and once more", continuo_session_create(ctx, "vm"), -EPIPE, "connect again");
	call(ctx, "what is known", continuo_agent_version(ctx), -EPIPE, "connect again");
	hand_in(ctx, &other);
	expect(is_left(agent), "the connection of before is not closed");
	close(agent);
	give_answer(other, "error 16 somebody else updates", false);
	call(ctx, "connected again", continuo_update_begin(ctx), -EBUSY, "somebody else");
	CALL_LATE(ctx, "the deadline of before", continuo_update_begin(ctx));
	continuo_free(ctx);
	close(other);

	/* None any more. */
	ctx = handed_in(&agent);
	continuo_deadline(ctx, DEADLINE_MS);
	continuo_deadline(ctx, 0);
	pid = say_late(agent, "ok\n");
	call(ctx, "no deadline", continuo_update_begin(ctx), 0, "");
	waitpid(pid, NULL, 0);

	/* An order comes when it comes. */
	continuo_deadline(ctx, DEADLINE_MS);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	give(agent, "ok\n", &pair[0], 1);
	close(pair[0]);
	give_answer(pair[1], "ok\n", false);
	one = continuo_register(ctx, "vm");
	pid = say_late(pair[1], "undo 3 5");
	call(ctx, "an order", continuo_order(ctx, one, &order), 0, "");
	waitpid(pid, NULL, 0);
	close(one);
	close(pair[1]);

	/* An agent that reads nothing: once there is no room for more. */
	for (int i = 0; i < 1000000 && !ret; i++)
		ret = continuo_answer(ctx, ctx->agent, &order, NULL);
	call(ctx, "ask", ret, -ETIMEDOUT, "within 100 ms");
	continuo_free(ctx);
	close(agent);

	/* One that accepts nobody: the first connection has room, and no other one. */
	if (!mkdtemp(folder))
		exit(2);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent", folder);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 0))
		exit(2);
	ctx = handed_in(&agent);
	continuo_deadline(ctx, DEADLINE_MS);
	strcpy(ctx->path, addr.sun_path);
	CALL_LATE(ctx, "register at the socket", continuo_register(ctx, "vm"));
	CALL_LATE(ctx, "connect", continuo_agent(ctx, addr.sun_path));
	continuo_free(ctx);
	close(agent);
	close(listener);
	unlink(addr.sun_path);
	rmdir(folder);
}

static unsigned int open_files(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += is_open(fd);
	return n;
}

/* --- signals, and descriptors that do not wait --- */

#define TICK_MS		15
#define TICKS		120

static volatile sig_atomic_t ticks;

static void clock_every(int ms)
{
	struct itimerval every = { .it_interval.tv_usec = ms * 1000, .it_value.tv_usec = ms * 1000 };

	setitimer(ITIMER_REAL, &every, NULL);
}

/* Not without end, so that a call that begins anew with each signal comes to an end. */
static void tick(int sig)
{
	(void)sig;
	if (++ticks == TICKS)
		clock_every(0);
}

/* More often than the deadline a signal comes: the call takes as long as it would. */
#define CALL_LATE_IN_SPITE(ctx, what, ret) do {					\
	long from = ms_now();							\
										\
	ticks = 0;								\
	clock_every(TICK_MS);							\
	CALL_LATE(ctx, what, ret);						\
	clock_every(0);								\
	expect(ms_now() - from < TICKS * TICK_MS, "%s: signals made it longer", what); \
} while (0)

/* A socket for one client, who is there, so that nobody else gets in: returns that one's end. */
static int accepts_nobody(const struct sockaddr_un *addr, int *listener)
{
	int first = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	*listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (bind(*listener, (struct sockaddr *)addr, sizeof(*addr)) || listen(*listener, 0) ||
	    connect(first, (struct sockaddr *)addr, sizeof(*addr)))
		exit(2);
	return first;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = tick }, before;
	char folder[] = "/tmp/continuo-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener;
	struct continuo_order order = {};
	int agent, first, ret = 0;
	struct continuo *ctx;
	pid_t pid;

	sigaction(SIGALRM, &action, &before);
	ctx = handed_in(&agent);
	continuo_deadline(ctx, DEADLINE_MS);
	CALL_LATE_IN_SPITE(ctx, "vms", continuo_update_vms(ctx, NULL, NULL));
	continuo_free(ctx);
	close(agent);

	/* One that reads nothing. */
	ctx = handed_in(&agent);
	for (int i = 0; i < 1000000 && ret >= 0; i++)
		ret = send(ctx->agent, "x", 1, MSG_DONTWAIT);
	continuo_deadline(ctx, DEADLINE_MS);
	CALL_LATE_IN_SPITE(ctx, "ask", continuo_update_begin(ctx));
	CALL_LATE(ctx, "answer", continuo_answer(ctx, ctx->agent, &order, NULL));
	continuo_free(ctx);
	close(agent);

	/* One that accepts nobody. */
	if (!mkdtemp(folder) || continuo_new(&ctx))
		exit(2);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent", folder);
	first = accepts_nobody(&addr, &listener);
	continuo_deadline(ctx, DEADLINE_MS);
	CALL_LATE_IN_SPITE(ctx, "connect", continuo_agent(ctx, addr.sun_path));
	continuo_free(ctx);
	close(first);
	close(listener);
	unlink(addr.sun_path);
	rmdir(folder);
	sigaction(SIGALRM, &before, NULL);

	/* One that reads no more, and has not closed: it has nothing to say, however long one waits. */
	ctx = handed_in(&agent);
	continuo_deadline(ctx, DEADLINE_MS);
	shutdown(agent, SHUT_RD);
	call(ctx, "one that reads no more", continuo_update_begin(ctx), -EPIPE, strerror(EPIPE));
	give_answer(agent, "error 11 you are too many", false);
	call(ctx, "one that has said why", continuo_update_begin(ctx), -EAGAIN, "too many");
	continuo_free(ctx);
	close(agent);

	/* A connection that was handed in by somebody who does not wait. */
	ctx = handed_in(&agent);
	fcntl(ctx->agent, F_SETFL, O_NONBLOCK);
	pid = say_late(agent, "ok\n");
	call(ctx, "a descriptor that does not wait", continuo_update_begin(ctx), 0, "");
	waitpid(pid, NULL, 0);
	continuo_free(ctx);
	close(agent);
}

/* --- calls that are cancelled --- */

static struct continuo *to_cancel;

/* What a signal handler does. */
static void cancel_at_signal(int sig)
{
	(void)sig;
	errno = 0;
	continuo_cancel(to_cancel);
	expect(!errno, "continuo_cancel: errno is %d", errno);
}

static void *cancel_soon(void *ctx)
{
	usleep(TICK_MS * 1000);
	continuo_cancel(ctx);
	return NULL;
}

/* A signal handler cancels it while it waits; another thread does; and it was before it began. */
#define CALL_CANCELLED(ctx, what, ret) do {					\
	struct itimerval once = { .it_value.tv_usec = TICK_MS * 1000 };		\
	pthread_t thread;							\
										\
	to_cancel = ctx;							\
	(ctx)->behind = false;							\
	setitimer(ITIMER_REAL, &once, NULL);					\
	call(ctx, what " and a signal", ret, -EINTR, "ended by continuo_cancel()"); \
	(ctx)->behind = false;							\
	if (pthread_create(&thread, NULL, cancel_soon, ctx))			\
		exit(2);							\
	call(ctx, what " and a thread", ret, -EINTR, "ended by continuo_cancel()"); \
	pthread_join(thread, NULL);						\
	(ctx)->behind = false;							\
	continuo_cancel(ctx);							\
	continuo_cancel(ctx);							\
	call(ctx, what " before it began", ret, -EINTR, "ended by continuo_cancel()"); \
} while (0)

static void cancels(void)
{
	struct sigaction action = { .sa_handler = cancel_at_signal }, before;
	char folder[] = "/tmp/continuo-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct continuo_order order = {};
	int listener, agent, first, pair[2], ret = 0;
	unsigned int n = open_files();
	struct continuo *ctx;

	sigaction(SIGALRM, &action, &before);
	ctx = handed_in(&agent);
	CALL_CANCELLED(ctx, "vms", continuo_update_vms(ctx, NULL, NULL));
	CALL_CANCELLED(ctx, "create", continuo_session_create(ctx, "vm"));
	CALL_CANCELLED(ctx, "connect", continuo_connect(ctx, "vm"));
	CALL_CANCELLED(ctx, "register", continuo_register(ctx, "vm"));
	CALL_CANCELLED(ctx, "ask", continuo_update_ask(ctx, CONTINUO_WANT_UNDO, NULL, 1000, NULL, NULL));
	CALL_CANCELLED(ctx, "go", continuo_update_go(ctx, 1000, 0, NULL, NULL));
	CALL_CANCELLED(ctx, "attach", continuo_update_attach(ctx, NULL, NULL));
	CALL_CANCELLED(ctx, "abort", continuo_update_abort(ctx));
	/* With a deadline that is far away, too. */
	continuo_deadline(ctx, 60000);
	CALL_CANCELLED(ctx, "go with a deadline", continuo_update_go(ctx, 1000, 0, NULL, NULL));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	CALL_CANCELLED(ctx, "hand in", continuo_agent_fd(ctx, pair[0]));
	expect(is_open(pair[0]), "the descriptor was closed");
	close(pair[0]);
	close(pair[1]);
	/* Who waited for an order gets the next one. */
	hand_in(ctx, &first);
	close(agent);
	CALL_CANCELLED(ctx, "order", continuo_order(ctx, ctx->agent, &order));
	give_answer(first, "undo 3 5", false);
	call(ctx, "the order after", continuo_order(ctx, ctx->agent, &order), 0, "");
	/* What need not wait is not ended; the next one is. */
	continuo_cancel(ctx);
	give_answer(first, "ok\n", false);
	call(ctx, "an answer that is there", continuo_update_begin(ctx), 0, "");
	call(ctx, "one that is not", continuo_update_begin(ctx), -EINTR, "ended by continuo_cancel()");
	call(ctx, "behind that", continuo_update_begin(ctx), -EPIPE, "connect again");
	/* One that reads nothing. */
	for (int i = 0; i < 1000000 && ret >= 0; i++)
		ret = send(ctx->agent, "x", 1, MSG_DONTWAIT);
	CALL_CANCELLED(ctx, "answer", continuo_answer(ctx, ctx->agent, &order, NULL));
	close(first);

	/* One that accepts nobody. */
	if (!mkdtemp(folder))
		exit(2);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent", folder);
	first = accepts_nobody(&addr, &listener);
	continuo_deadline(ctx, 0);
	CALL_CANCELLED(ctx, "connect to a socket", continuo_agent(ctx, addr.sun_path));
	continuo_free(ctx);
	close(first);
	close(listener);
	unlink(addr.sun_path);
	rmdir(folder);
	sigaction(SIGALRM, &before, NULL);
	expect(open_files() == n, "%u files are open, %u were", open_files(), n);
}

/* --- descriptors that there is no room for --- */

/* No room for one more; or room again. */
static void fill(bool full)
{
	static struct rlimit before;
	struct rlimit limit;
	int fd;

	if (full) {
		getrlimit(RLIMIT_NOFILE, &before);
		fd = dup(0);
		close(fd);
		limit = (struct rlimit){ .rlim_cur = fd, .rlim_max = before.rlim_max };
	} else {
		limit = before;
	}
	if (setrlimit(RLIMIT_NOFILE, &limit))
		exit(2);
}

static void no_room(void)
{
	int agent, fd, n;
	struct continuo *ctx = handed_in(&agent), *none;
	struct continuo_order order;

	n = open_files();
	give_answer(agent, "ok\n", true);
	give_answer(agent, "ok\n", true);
	fill(true);
	call(ctx, "session", continuo_session_create(ctx, "vm"), -EMFILE, "RLIMIT_NOFILE");
	call(ctx, "connection", continuo_connect(ctx, "vm"), -EMFILE, "RLIMIT_NOFILE");
	call(ctx, "another agent", continuo_agent(ctx, "/nonexistent"), -EMFILE, strerror(EMFILE));
	none = ctx;
	fd = continuo_new(&none);
	expect(fd == -EMFILE && !none, "a context without room: %d", fd);
	continuo_free(none);
	fill(false);
	expect(open_files() == (unsigned int)n, "%u files are open, %u were", open_files(), n);
	/* The connection is as before. */
	give_answer(agent, "ok\n", true);
	fd = continuo_session_create(ctx, "vm");
	expect(fd >= 0 && open_files() == (unsigned int)n + 1, "with room: %d (%s)", fd, continuo_why(ctx));
	close(fd);

	/* Those that nobody has asked for, and one more than was asked for. */
	give_answer(agent, "ok\n", true);
	call(ctx, "unasked", continuo_update_begin(ctx), -EPROTO, "not of the protocol");
	give_answer(agent, "undo 3 5", true);
	call(ctx, "an order", continuo_order(ctx, ctx->agent, &order), -EPROTO, "not of the protocol");
	give(agent, "ok\n", (const int[]){ 1, 2 }, 2);
	call(ctx, "two", continuo_session_create(ctx, "vm"), -EPROTO, "not of the protocol");
	expect(open_files() == (unsigned int)n, "%u files are open, %u were", open_files(), n);
	continuo_free(ctx);
	close(agent);
}

/* --- orders of other sizes --- */

static void sizes(void)
{
	struct {
		struct continuo_order order;
		uint32_t more[4], behind;
	} o;
	int agent;
	struct continuo *ctx = handed_in(&agent);

	/* A program with a newer header: what this library does not know is 0. */
	memset(&o, 0xa5, sizeof(o));
	give_answer(agent, "suspend 7 30000", false);
	call(ctx, "larger", continuo_order_sized(ctx, ctx->agent, &o.order, sizeof(o) - sizeof(o.behind)), 0, "");
	expect(o.order.want == CONTINUO_WANT_SUSPEND && o.order.number == 7 && o.order.timeout_ms == 30000,
	       "a larger order: %u %u %u", o.order.want, o.order.number, o.order.timeout_ms);
	expect(!o.more[0] && !o.more[1] && !o.more[2] && !o.more[3], "members that are not known are not 0");
	expect(o.behind == 0xa5a5a5a5, "behind a larger order");
	/* Less than there ever was: the order is not lost. */
	memset(&o, 0xa5, sizeof(o));
	give_answer(agent, "undo 8 5", false);
	call(ctx, "smaller", continuo_order_sized(ctx, ctx->agent, &o.order, sizeof(o.order) - 1), -EINVAL, "12 bytes at least");
	call(ctx, "none", continuo_order_sized(ctx, ctx->agent, &o.order, 0), -EINVAL, "12 bytes at least");
	expect(o.order.want == 0xa5a5a5a5 && o.order.timeout_ms == 0xa5a5a5a5, "written in spite of the size");
	call(ctx, "as large", continuo_order_sized(ctx, ctx->agent, &o.order, sizeof(o.order)), 0, "");
	expect(o.order.want == CONTINUO_WANT_UNDO && o.order.number == 8 && o.more[0] == 0xa5a5a5a5, "an order of now");
	continuo_free(ctx);
	close(agent);
}

/* The same of differences; and one that is too small is found before the kernel is asked. */
static void differences(void)
{
	struct {
		struct continuo_difference diff;
		uint64_t more[4], behind;
	} d;
	struct continuo *ctx;
	uint32_t hwpt = 7;

	if (continuo_new(&ctx))
		exit(2);
	memset(&d, 0xa5, sizeof(d));
	kernel_says(0, 0, 0);
	call(ctx, "larger", continuo_hwpt_verify_sized(ctx, 0, 1, 2, &d.diff, sizeof(d) - sizeof(d.behind)), 0, "");
	expect(!d.diff.differs && !d.diff.is && !d.more[0] && !d.more[3] && d.behind == 0xa5a5a5a5a5a5a5a5,
	       "a larger difference: behind it %#llx", (unsigned long long)d.behind);
	memset(&d, 0xa5, sizeof(d));
	call(ctx, "larger, adopted", continuo_hwpt_adopt_sized(ctx, 0, 1, 2, 3, 0, &hwpt, &d.diff, sizeof(d) - sizeof(d.behind)), 0, "");
	expect(!d.diff.differs && !d.more[0] && !d.more[3] && d.behind == 0xa5a5a5a5a5a5a5a5,
	       "a larger difference of an adoption");
	memset(&d, 0xa5, sizeof(d));
	kernel_says(0, 0, 0);
	call(ctx, "smaller", continuo_hwpt_verify_sized(ctx, 0, 1, 2, &d.diff, sizeof(d.diff) - 1), -EINVAL, "40 bytes at least");
	call(ctx, "smaller, adopted", continuo_hwpt_adopt_sized(ctx, 0, 1, 2, 3, 0, &hwpt, &d.diff, 0), -EINVAL, "40 bytes at least");
	expect(!kernel.n && d.diff.is == 0xa5a5a5a5a5a5a5a5, "a smaller one: %u calls", kernel.n);
	call(ctx, "of no interest", continuo_hwpt_verify_sized(ctx, 0, 1, 2, NULL, 0), 0, "");
	call(ctx, "of no interest, adopted", continuo_hwpt_adopt_sized(ctx, 0, 1, 2, 3, 0, &hwpt, NULL, 0), 0, "");
	continuo_free(ctx);
}

/* What was heard, as one text. */
static void note(void *arg, const struct continuo_heard *heard)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s/%s/%llu/%s;", heard->name, heard->state,
		(unsigned long long)heard->us, heard->why);
}

/* An agent that has said all this before it is asked, and is gone. */
static struct continuo *after(const char *const said[4], int *agent)
{
	struct continuo *ctx;
	int pair[2];

	if (continuo_new(&ctx) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	for (unsigned int i = 0; i < 4 && said[i]; i++)
		if (send(pair[1], said[i], strlen(said[i]), 0) < 0)
			exit(2);
	ctx->agent = pair[0];
	*agent = pair[1];
	return ctx;
}

/* Updates: what is asked, what an agent could answer, and what is heard. */
/* A file has no seals; of what file system it is decides. */
static void guestmem(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), there = open(folder, O_DIRECTORY | O_CLOEXEC);
	bool has_seals = fcntl(fd, F_GET_SEALS) >= 0;
	struct continuo_vm *vm;
	struct continuo *ctx;

	if (fd < 0 || ftruncate(fd, PAGE) || there < 0 || continuo_new(&ctx) || continuo_vm_new(ctx, &vm)) {
		perror(folder);
		exit(2);
	}
	/* On tmpfs any file has them. */
	if (!has_seals)
		call(ctx, "file", continuo_vm_memory(vm, "x", fd), -EINVAL, "neither a memfd nor a file of guestmemfs");
	on_guestmemfs = there;
	call(ctx, "folder of guestmemfs", continuo_vm_memory(vm, "x", there), -EINVAL, "neither a memfd nor a file of guestmemfs");
	on_guestmemfs = fd;
	call(ctx, "file of guestmemfs", continuo_vm_memory(vm, "ram", fd), 0, "");
	on_guestmemfs = -1;
	continuo_vm_free(vm);
	continuo_free(ctx);
	close(there);
	close(fd);
}

static void updates(void)
{
	static const struct {
		const char *said[4];
		int err;
		const char *heard;
	} tries[] = {
		{ { "ok\n" }, 0, "" },
		{ { "vm a preserved 12 ", "vm u1.b failed 7 no room at all", "error 125 VM u1.b could not" },
		  -ECANCELED, "a/preserved/12/;u1.b/failed/7/no room at all;" },
		{ { "vm a silent 3000000 it has not", "error 110 VM a has not" }, -ETIMEDOUT,
		  "a/silent/3000000/it has not;" },
		{ { "vm a preserved", "ok\n" }, -EPROTO, "" },
		{ { "vm a preserved x y", "ok\n" }, -EPROTO, "" },
		{ { "vm ", "ok\n" }, -EPROTO, "" },
		{ { "vm a preserved 1 " }, -EPIPE, "a/preserved/1/;" },
		{ { "ok\nvm" }, -EPROTO, "" },
		{ { "step sync", "weather fine today", "vm a idle 1 ", "ok\n" }, 0, "/sync/0/;a/idle/1/;" },
	};
	static const struct {
		const char *said;
		int err;
		struct continuo_order order;
	} orders[] = {
		{ "preserve 1 30000", 0, { CONTINUO_WANT_PRESERVE, 1, 30000 } },
		{ "suspend 4294967295 1", 0, { CONTINUO_WANT_SUSPEND, 4294967295u, 1 } },
		{ "undo 3 5", 0, { CONTINUO_WANT_UNDO, 3, 5 } },
		{ "undo 3", -EPROTO, {} },
		{ "undo 3 5 why=later", 0, { CONTINUO_WANT_UNDO, 3, 5 } },
		{ "undo 3 5x", -EPROTO, {} },
		{ "undo", -EPROTO, {} },
		{ " 3 5", -EPROTO, {} },
	};
	static const char *const nothing[4];
	struct continuo_order order;
	struct continuo *ctx;
	char text[1024];
	int agent, ret;

	for (unsigned int i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		ctx = after(tries[i].said, &agent);
		text[0] = 0;
		shutdown(agent, SHUT_WR);
		ret = continuo_update_ask(ctx, CONTINUO_WANT_PRESERVE, "a", 1000, note, text);
		expect(ret == tries[i].err && !strcmp(text, tries[i].heard),
		       "ask %u: %d, heard %s", i, ret, text);
		ret = recv(agent, text, sizeof(text), 0);
		expect(ret == 15 && !memcmp(text, "preserve 1000 a", 15), "ask %u: what was asked", i);
		continuo_free(ctx);
		close(agent);
	}
	for (unsigned int i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const char *said[4] = { orders[i].said };

		ctx = after(said, &agent);
		ret = continuo_order(ctx, ctx->agent, &order);
		expect(ret == orders[i].err && (ret || !memcmp(&order, &orders[i].order, sizeof(order))),
		       "order '%s': %d", orders[i].said, ret);
		continuo_free(ctx);
		close(agent);
	}
	/* An order of a newer agent is answered, and the next one is read. */
	ctx = after((const char *const[4]){ "dance 3 5", "undo 4 5" }, &agent);
	ret = continuo_order(ctx, ctx->agent, &order);
	expect(!ret && order.want == CONTINUO_WANT_UNDO && order.number == 4, "after an unknown order: %d", ret);
	ret = recv(agent, text, sizeof(text), 0);
	expect(ret > 0 && !memcmp(text, "failed 3 ", 9), "an unknown order is answered: %d", ret);
	continuo_free(ctx);
	close(agent);
	/* An answer is a line, whatever the reason was. */
	ctx = after(nothing, &agent);
	order = (struct continuo_order){ .number = 7 };
	call(ctx, "answer", continuo_answer(ctx, ctx->agent, &order, NULL), 0, "");
	call(ctx, "answer why", continuo_answer(ctx, ctx->agent, &order, "a\nb\033\xff"), 0, "");
	ret = recv(agent, text, sizeof(text), 0);
	expect(ret == 6 && !memcmp(text, "done 7", 6), "answer: %d", ret);
	ret = recv(agent, text, sizeof(text), 0);
	expect(ret == 14 && !memcmp(text, "failed 7 a?b??", 14), "answer why: %d", ret);
	close(agent);
	call(ctx, "order of one that is gone", continuo_order(ctx, ctx->agent, &order), -EPIPE, "the agent has ended");
	call(ctx, "answer to one that is gone", continuo_answer(ctx, ctx->agent, &order, NULL), -EPIPE, "");
	continuo_free(ctx);

	if (continuo_new(&ctx))
		exit(2);
	call(ctx, "register without", continuo_register(ctx, "vm"), -ENOTCONN, "continuo_agent() first");
	call(ctx, "begin without", continuo_update_begin(ctx), -ENOTCONN, "continuo_agent() first");
	call(ctx, "ask without", continuo_update_ask(ctx, CONTINUO_WANT_UNDO, NULL, 1, NULL, NULL), -ENOTCONN, "continuo_agent() first");
	call(ctx, "leave without", continuo_update_leave(ctx, "vm"), -ENOTCONN, "continuo_agent() first");
	call(ctx, "vms without", continuo_update_vms(ctx, note, text), -ENOTCONN, "continuo_agent() first");
	call(ctx, "services without", continuo_update_services(ctx, 1), -ENOTCONN, "continuo_agent() first");
	call(ctx, "go without", continuo_update_go(ctx, 1, 0, NULL, NULL), -ENOTCONN, "continuo_agent() first");
	call(ctx, "attach without", continuo_update_attach(ctx, NULL, NULL), -ENOTCONN, "continuo_agent() first");
	call(ctx, "abort without", continuo_update_abort(ctx), -ENOTCONN, "continuo_agent() first");
	call(ctx, "running without", continuo_update_running(ctx), -ENOTCONN, "continuo_agent() first");
	call(ctx, "connect without", continuo_connect(ctx, "vm"), -ENOTCONN, "continuo_agent() first");
	call(ctx, "version without", continuo_agent_version(ctx), -ENOTCONN, "continuo_agent() first");
	call(ctx, "no connection", continuo_agent_fd(ctx, -1), -EINVAL, "no descriptor");
	call(ctx, "seal without", continuo_update_seal(ctx), -ENOTCONN, "continuo_agent() first");
	continuo_free(ctx);
	ctx = after(nothing, &agent);
	call(ctx, "want what", continuo_update_ask(ctx, 4, NULL, 1, NULL, NULL), -EINVAL, "it is preserve, suspend or undo");
	call(ctx, "want nothing", continuo_update_ask(ctx, 0, NULL, 1, NULL, NULL), -EINVAL, "it is preserve, suspend or undo");
	continuo_free(ctx);
	close(agent);
}

/* The form of go and attach that does not wait. */
static void started(void)
{
	struct continuo *ctx;
	char text[1024] = "";
	int agent, other, fd;
	struct pollfd on;

	if (continuo_new(&ctx))
		exit(2);
	call(ctx, "start without", continuo_update_go_start(ctx, 1, 0), -ENOTCONN, "continuo_agent() first");
	call(ctx, "attach without", continuo_update_attach_start(ctx), -ENOTCONN, "continuo_agent() first");
	call(ctx, "hear without", continuo_update_hear(ctx, note, text), -EINVAL, "no update was started");
	continuo_free(ctx);

	ctx = handed_in(&agent);
	continuo_deadline(ctx, DEADLINE_MS);
	call(ctx, "start with some flag", continuo_update_go_start(ctx, 1, 2), -EINVAL, "no such flag");
	call(ctx, "hear of none", continuo_update_hear(ctx, note, text), -EINVAL, "no update was started");
	fd = continuo_update_go_start(ctx, 1000, CONTINUO_GO_LEAVE_SILENT);
	on = (struct pollfd){ .fd = fd, .events = POLLIN };
	expect(is_open(fd), "start: %d (%s)", fd, continuo_why(ctx));
	asked(agent, "go 1000 silent=leave");
	expect(!poll(&on, 1, 0), "there is something to be heard before anything was said");
	call(ctx, "nothing yet", continuo_update_hear(ctx, note, text), 1, "");
	/* What else is asked would get this update's answers. */
	call(ctx, "begin meanwhile", continuo_update_begin(ctx), -EBUSY, "was started on this connection");
	call(ctx, "create meanwhile", continuo_session_create(ctx, "vm"), -EBUSY, "was started on this connection");
	call(ctx, "start once more", continuo_update_go_start(ctx, 1, 0), -EBUSY, "was started on this connection");
	call(ctx, "attach meanwhile", continuo_update_attach_start(ctx), -EBUSY, "was started on this connection");
	asked(agent, "");
	give_answer(agent, "step sync", false);
	give_answer(agent, "vm a preserved 12 ", false);
	expect(poll(&on, 1, 0) == 1 && on.revents == POLLIN, "nothing is to be heard: %#x", on.revents);
	/* It does not wait, even if it was to be cancelled. */
	continuo_cancel(ctx);
	call(ctx, "some", continuo_update_hear(ctx, note, text), 1, "");
	expect(!strcmp(text, "/sync/0/;a/preserved/12/;"), "heard %s", text);
	call(ctx, "no more", continuo_update_hear(ctx, NULL, NULL), 1, "");
	give_answer(agent, "step undo", false);
	give_answer(agent, "error 125 VM a could not", false);
	call(ctx, "its end", continuo_update_hear(ctx, note, text), -ECANCELED, "VM a could not");
	expect(!strcmp(text, "/sync/0/;a/preserved/12/;/undo/0/;"), "heard %s", text);
	call(ctx, "after its end", continuo_update_hear(ctx, note, text), -EINVAL, "no update was started");
	give_answer(agent, "ok\n", false);
	call(ctx, "the connection is as before", continuo_update_begin(ctx), 0, "");
	asked(agent, "update");
	call(ctx, "the cancel of before", continuo_update_begin(ctx), -EINTR, "continuo_cancel()");
	close(agent);
	hand_in(ctx, &agent);
	on.fd = ctx->agent;
	give_answer(agent, "error 74 a request begins with a verb", false);
	fd = continuo_update_attach_start(ctx);
	expect(fd == on.fd, "attach: %d (%s)", fd, continuo_why(ctx));
	asked(agent, "attach");
	call(ctx, "an agent of 0.1", continuo_update_hear(ctx, note, text), -EOPNOTSUPP, "upgrade it");
	/* Another connection is free for all. */
	expect(continuo_update_attach_start(ctx) >= 0, "attach: %s", continuo_why(ctx));
	hand_in(ctx, &other);
	close(agent);
	give_answer(other, "ok\n", false);
	call(ctx, "connected again", continuo_update_begin(ctx), 0, "");
	asked(other, "update");
	/* An agent that says what is not of the protocol, or ends. */
	expect(continuo_update_attach_start(ctx) >= 0, "attach: %s", continuo_why(ctx));
	give_answer(other, "vm a", true);
	call(ctx, "no protocol", continuo_update_hear(ctx, note, text), -EPROTO, "not of the protocol");
	expect(continuo_update_attach_start(ctx) >= 0, "attach: %s", continuo_why(ctx));
	close(other);
	on.fd = ctx->agent;
	expect(poll(&on, 1, 0) == 1, "its end is not to be heard");
	call(ctx, "ended", continuo_update_hear(ctx, note, text), -EPIPE, "the agent has ended");
	call(ctx, "start with one that is gone", continuo_update_go_start(ctx, 1, 0), -EPIPE, "");
	call(ctx, "hear of one that is gone", continuo_update_hear(ctx, note, text), -EINVAL, "no update was started");
	continuo_free(ctx);
}

/* --- each call of the kernel fails once: nothing stays open, or in the iommufd --- */

/* What preserve, take or verify does of it; 0 or a negative errno. */
static int way(struct continuo *ctx, unsigned int i, struct continuo_vm *described,
	       struct continuo_vm **vm)
{
	*vm = NULL;
	switch (i) {
	case 0:
		return continuo_vm_preserve(described, 0);
	case 1:
		return continuo_vm_verify(ctx, 0);
	case 2:
		return continuo_vm_take_flags(ctx, 0, CONTINUO_REPLACE, CONTINUO_TAKE_UNFINISHED, vm);
	}
	return continuo_vm_take(ctx, 0, i == 3 ? CONTINUO_REPLACE : i == 4 ? CONTINUO_ADOPT : CONTINUO_SIZES, vm);
}

static const struct {
	const char *name;
	bool finishes;
	unsigned int objects;		/* that are there afterwards, when it succeeds */
} ways[] = {
	{ "preserve", false, 0 },
	{ "verify", false, 2 },		/* those that were restored */
	{ "move", false, 4 },
	{ "take", true, 4 },
	{ "take, adopt", true, 4 },
	{ "take, sizes", true, 4 },
};

static void sweep_one(struct continuo *ctx, unsigned int i, struct continuo_vm *described)
{
	unsigned int open, files = world.files, at;
	struct continuo_vm *vm;
	int ret = -EIO;

	for (at = 1; ret; at++) {
		if (!i) {
			while (world.files)
				close(world.file[--world.files].fd);
		}
		files = world.files;
		open = open_files();
		world.fails_at = at;
		world.calls = world.objects = world.finished = 0;
		ret = way(ctx, i, described, &vm);
		if (ret)
			/* ENOENT is no failure when a HWPT is restored, or an adopted one looked for. */
			expect(ret == -EIO && !vm && strlen(continuo_why(ctx)),
			       "%s: call %u failed: %d (%s)", ways[i].name, at, ret, continuo_why(ctx));
		else if (world.calls >= at)
			/* It went on in spite of it: nobody had adopted anything. */
			ret = 1;
		continuo_vm_free(vm);
		expect(open_files() == open + world.files - files, "%s: after call %u %u files are open, %u were",
		       ways[i].name, at, open_files(), open);
		expect(!world.finished || (ret >= 0 && ways[i].finishes), "%s: finished, although call %u failed", ways[i].name, at);
		if (at > 100)
			exit(2);
	}
	world.fails_at = 0;
	expect(world.finished == ways[i].finishes && world.objects == ways[i].objects && at > 4,
	       "%s: %u calls, %u objects, finished %u times", ways[i].name, at, world.objects, world.finished);
}

/* A VM with memory, the descriptors of which are @ram and @null, and so many HWPTs; devices are for the caller. */
static struct continuo_vm *described_vm(struct continuo *ctx, int ram, int null, int hwpts)
{
	struct continuo_vm *vm;

	if (continuo_vm_new(ctx, &vm))
		exit(2);
	continuo_vm_iommufd(vm, null);
	continuo_vm_memory(vm, "ram", ram);
	continuo_vm_space(vm);
	continuo_vm_map(vm, 0, 0, 0, 64 * PAGE, 0, CONTINUO_READ | CONTINUO_WRITE);
	for (int i = 1; i <= hwpts; i++)
		continuo_vm_hwpt(vm, 0, i);
	return vm;
}

/* The session and its files are gone, and so is what was said of the VM. */
static void forget(struct continuo_vm *described, int ram, int null)
{
	while (world.files)
		close(world.file[--world.files].fd);
	continuo_vm_free(described);
	close(ram);
	close(null);
}

/* The flags that HWPTs had come back with them, whether they are built anew or adopted. */
static void flags_come_back(struct continuo *ctx)
{
	static const uint32_t flags[] = { CONTINUO_HWPT_DIRTY_TRACKING, CONTINUO_HWPT_DIRTY_TRACKING | CONTINUO_HWPT_PASID };
	int ram = memfd(64 * PAGE), null = open("/dev/null", O_RDWR);
	struct continuo_vm *described = described_vm(ctx, ram, null, 2), *vm;

	for (int i = 0; i < 2; i++) {
		call(ctx, "flags", continuo_vm_hwpt_flags(described, i, flags[i]), 0, "");
		continuo_vm_device(described, i ? "disk" : "nic", null, i);
	}
	call(ctx, "preserve", continuo_vm_preserve(described, 0), 0, "");
	for (unsigned int i = 2; i < sizeof(ways) / sizeof(ways[0]); i++) {
		world.hwpts = 0;
		call(ctx, ways[i].name, way(ctx, i, described, &vm), 0, "");
		expect(world.hwpts == 2 && !memcmp(world.hwpt_flags, flags, sizeof(flags)), "%s: %u HWPTs with flags %#x and %#x, they had %#x and %#x",
		       ways[i].name, world.hwpts, world.hwpt_flags[0], world.hwpt_flags[1], flags[0], flags[1]);
		continuo_vm_free(vm);
	}
	forget(described, ram, null);
}

/* Each device is bound with the token that was said last of it, and those of which none was with none. */
static void tokens_come_back(struct continuo *ctx)
{
	static const uint8_t token[][CONTINUO_VF_TOKEN] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
	static const struct { int device; const uint8_t *token; } said[] = {
		{ 2, token[2] }, { 1, NULL }, { 0, token[1] }, { 1, token[0] }, { 0, token[0] }, { 1, NULL },
	};
	int ram = memfd(64 * PAGE), null = open("/dev/null", O_RDWR);
	struct continuo_vm *described = described_vm(ctx, ram, null, 1), *vm;

	for (int i = 0; i < 3; i++)
		continuo_vm_device(described, i ? i == 1 ? "disk" : "gpu" : "nic", null, 0);
	for (unsigned int i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		call(ctx, "token", continuo_vm_device_token(described, said[i].device, said[i].token), 0, "");
	call(ctx, "preserve", continuo_vm_preserve(described, 0), 0, "");
	for (unsigned int i = 1; i < sizeof(ways) / sizeof(ways[0]); i++) {
		world.bound = 0;
		call(ctx, ways[i].name, way(ctx, i, described, &vm), 0, "");
		expect(world.bound == 3 && world.token[0].is && !memcmp(world.token[0].byte, token[0], CONTINUO_VF_TOKEN) && !world.token[1].is &&
		       world.token[2].is && !memcmp(world.token[2].byte, token[2], CONTINUO_VF_TOKEN), "%s: %u devices are bound, with other tokens than was said",
		       ways[i].name, world.bound);
		continuo_vm_free(vm);
		/* Their PFs were refused. */
		world.asks_for_none = true;
		world.bound = 0;
		call(ctx, ways[i].name, way(ctx, i, described, &vm), 0, "");
		expect(world.bound == 3 && !world.token[0].is && !world.token[1].is && !world.token[2].is,
		       "%s: %u devices that ask for no token are bound, and not without one", ways[i].name, world.bound);
		continuo_vm_free(vm);
		world.asks_for_none = false;
	}
	forget(described, ram, null);
}

/* What is added to a VM that was taken over stays the caller's; what came with it does not. */
static void added(struct continuo *ctx, struct continuo_vm *described, unsigned int asks)
{
	int more = memfd(PAGE), null = open("/dev/null", O_RDWR), given;
	struct continuo_vm *vm;
	unsigned int open;

	call(ctx, "preserve", continuo_vm_preserve(described, 0), 0, "");
	open = open_files();
	call(ctx, "take", continuo_vm_take(ctx, 0, CONTINUO_REPLACE, &vm), 0, "");
	call(ctx, "a memory of a name that came", continuo_vm_memory(vm, "ram", more), -EEXIST, "one of that name");
	call(ctx, "one more memory", continuo_vm_memory(vm, "more", more), 2, "");
	call(ctx, "one more device", continuo_vm_device(vm, "gpu", null, 0), 2, "");
	given = continuo_vm_find_iommufd(vm);
	expect(given >= 0 && !close(given), "no iommufd: %s", continuo_why(ctx));
	call(ctx, "another iommufd", continuo_vm_iommufd(vm, null), 0, "");
	given = continuo_vm_find_memory(vm, "state");
	expect(given >= 0 && !close(given), "no memory: %s", continuo_why(ctx));
	call(ctx, "what came, once more", continuo_vm_find_memory(vm, "state"), -ENOENT, "given out");
	for (unsigned int i = 0; i < asks; i++) {
		call(ctx, "what was added", continuo_vm_find_memory(vm, "more"), more, "");
		call(ctx, "the device", continuo_vm_find_device(vm, "gpu", NULL, NULL), null, "");
		call(ctx, "the iommufd", continuo_vm_find_iommufd(vm), null, "");
	}
	continuo_vm_free(vm);
	expect(is_open(more) && is_open(null), "what was added to a VM is closed with it");
	expect(open_files() == open, "%u files are open, %u were", open_files(), open);
	while (world.files)
		close(world.file[--world.files].fd);
	close(more);
	close(null);
}

/*
 * Somebody died who had adopted one of two HWPTs of the same space, and had moved nothing. Whether verify and
 * take succeed, or fail at any call, what he has adopted stays until a take has moved its devices there.
 */
static void adopter_died(struct continuo *ctx)
{
	int ram = memfd(64 * PAGE), null = open("/dev/null", O_RDWR), ret;
	struct continuo_vm *described = described_vm(ctx, ram, null, 2), *vm;
	uint32_t hwpt, ioas;

	continuo_vm_device(described, "nic", null, 0);
	continuo_vm_device(described, "disk", null, 1);
	call(ctx, "preserve", continuo_vm_preserve(described, 0), 0, "");
	world.adopted.token = ADOPTED_TOKEN;
	world.adopted.ioas = 1001;
	world.adopted.hwpt = 1002;
	world.err = EIO;
	for (unsigned int i = 1; i < sizeof(ways) / sizeof(ways[0]); i++) {
		ret = -EIO;
		for (unsigned int at = 1; ret; at++) {
			world.fails_at = at;
			world.calls = world.objects = 0;
			world.adopted.restored = 0;
			ret = way(ctx, i, described, &vm);
			/* One that was not found, as the call failed that looks for it, is no matter here. */
			if (!ret && world.calls >= at)
				ret = 1;
			/* What was restored, and of a VM that was moved the HWPT that was built, and no IOAS. */
			if (!ret)
				expect(world.objects == (i == 1 ? 2 : 1), "%s with what was adopted: %u objects", ways[i].name, world.objects);
			if (!ret && i > 1) {
				expect(continuo_vm_find_device(vm, "nic", NULL, &hwpt) >= 0 && hwpt == 1002 &&
				       !continuo_vm_find_space(vm, 0, &ioas) && ioas == 1001,
				       "%s builds HWPT %u of IOAS %u in place of what was adopted", ways[i].name, hwpt, ioas);
			}
			expect(!world.adopted.gone, "%s: what was adopted is gone after call %u: %d (%s)", ways[i].name, at, ret, continuo_why(ctx));
			world.adopted.gone = false;
			continuo_vm_free(vm);
			if (at > 100)
				exit(2);
		}
	}
	memset(&world.adopted, 0, sizeof(world.adopted));
	world.fails_at = 0;
	forget(described, ram, null);
}

/*
 * A kernel that can go back: nothing is moved, adopted or finished before the agent has said that it is
 * confirmed; and what was built goes again if it does not come to that.
 */
static void way_back(struct continuo_vm *described)
{
	static const struct {
		const char *says;
		int is;
	} states[] = {
		{ NULL, CONTINUO_BACK_NONE }, { "none\n", CONTINUO_BACK_NONE }, { "armed\n", CONTINUO_BACK_ARMED },
		{ "confirmed\n", CONTINUO_BACK_CONFIRMED }, { "came-back\n", CONTINUO_BACK_CAME },
		{ "elsewhere\n", -EPROTO }, { "", -EPROTO },
	};
	struct continuo_vm *vm;
	struct continuo *ctx;
	char told[2] = "";
	int agent, ret;

	if (continuo_new(&ctx))
		exit(2);
	for (unsigned int i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		back_says = states[i].says;
		call(ctx, back_says ?: "no way back", continuo_back(ctx), states[i].is, "of another version");
	}
	back_says = "confirmed\n";
	call(ctx, "ready when it is confirmed", continuo_ready(ctx, 0), 0, "");
	back_says = "armed\n";
	call(ctx, "ready for nobody", continuo_ready(ctx, 0), -EBUSY, "no agent to wait with");
	call(ctx, "take for nobody", continuo_vm_preserve(described, 0) ?: continuo_vm_take(ctx, 0, CONTINUO_REPLACE, &vm),
	     -EBUSY, "no agent to wait with");
	call(ctx, "confirm what is none", continuo_confirm(ctx), -ENOENT, "no way back that could");
	back_told = memfd_create("confirm", 0);
	call(ctx, "confirm without an agent", continuo_confirm(ctx), 0, "");
	expect(pread(back_told, told, 2, 0) == 1 && *told == '1', "the kernel was told '%s'", told);
	close(back_told);
	back_told = -1;
	continuo_free(ctx);

	ctx = handed_in(&agent);
	give_answer(agent, "error 2 there is none", false);
	call(ctx, "confirm", continuo_confirm(ctx), -ENOENT, "there is none");
	asked(agent, "confirm");
	for (unsigned int i = 2; i < sizeof(ways) / sizeof(ways[0]); i++) {
		enum continuo_how how = i <= 3 ? CONTINUO_REPLACE : i == 4 ? CONTINUO_ADOPT : CONTINUO_SIZES;

		world.objects = world.finished = world.moved = world.adopts = 0;
		give_answer(agent, "error 32 the agent ends", false);
		ret = way(ctx, i, described, &vm);
		call(ctx, ways[i].name, ret, -EPIPE, "the agent ends");
		asked(agent, "ready u7.vm");
		expect(!world.moved && !world.adopts && !world.finished, "%s moves, adopts or finishes what can go back", ways[i].name);
		expect(world.objects == 2, "%s leaves %u objects", ways[i].name, world.objects);
		world.objects = 0;
		give_answer(agent, "ok\n", false);
		call(ctx, ways[i].name, way(ctx, i, described, &vm), 0, "");
		asked(agent, "ready u7.vm");
		expect(world.moved == 2 && world.finished == ways[i].finishes && world.objects == ways[i].objects &&
		       world.adopts == (i > 3 ? 2 : 0), "%s, confirmed: %u moved, %u adopted, %u objects", ways[i].name,
		       world.moved, world.adopts, world.objects);
		call(ctx, "commit again", continuo_vm_commit(vm, 0, 0), -EINVAL, "has been committed");
		continuo_vm_free(vm);

		/* By halves. */
		world.objects = world.finished = world.moved = world.adopts = 0;
		call(ctx, "prepare", continuo_vm_prepare(ctx, 0, how, &vm), 0, "");
		asked(agent, "");
		expect(!world.moved && !world.adopts, "prepare moves or adopts");
		continuo_vm_free(vm);
		expect(world.objects == 2, "a prepared VM leaves %u objects", world.objects);
		world.objects = 0;
		call(ctx, "prepare", continuo_vm_prepare(ctx, 0, how, &vm), 0, "");
		call(ctx, "commit by some flag", continuo_vm_commit(vm, 0, 2), -EINVAL, "no such flag");
		call(ctx, "commit", continuo_vm_commit(vm, 0, 0), 0, "");
		expect(world.moved == 2 && world.finished == 1 && world.objects == 4, "commit: %u moved, %u finished, %u objects",
		       world.moved, world.finished, world.objects);
		continuo_vm_free(vm);
	}
	/* Whoever does not see it leaves it to the agent, who may be older than all of this. */
	back_says = "";
	give_answer(agent, "error 95 what is that?", false);
	call(ctx, "ready of an older agent", continuo_ready(ctx, 0), 0, "");
	asked(agent, "ready u7.vm");
	back_says = NULL;
	while (world.files)
		close(world.file[--world.files].fd);
	continuo_free(ctx);
	close(agent);
}

static void sweep(void)
{
	int ram = memfd(64 * PAGE), state = memfd(PAGE), null = open("/dev/null", O_RDWR);
	struct continuo_vm *vm;
	struct continuo *ctx;

	if (continuo_new(&ctx) || continuo_vm_new(ctx, &vm))
		exit(2);
	memset(&world, 0, sizeof(world));
	world.is_there = true;
	world.err = EIO;
	continuo_vm_iommufd(vm, null);
	continuo_vm_memory(vm, "ram", ram);
	continuo_vm_memory(vm, "state", state);
	for (int i = 0; i < 2; i++) {
		continuo_vm_space(vm);
		continuo_vm_map(vm, i, 0, 0, 64 * PAGE, 0, CONTINUO_READ | CONTINUO_WRITE);
		continuo_vm_hwpt(vm, i, i + 1);
	}
	continuo_vm_device(vm, "nic", null, 0);
	continuo_vm_device(vm, "disk", null, 1);
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		sweep_one(ctx, i, vm);
	while (world.files)
		close(world.file[--world.files].fd);
	added(ctx, vm, 0);
	added(ctx, vm, 2);
	flags_come_back(ctx);
	tokens_come_back(ctx);
	adopter_died(ctx);
	way_back(vm);
	world.is_there = false;
	continuo_vm_free(vm);
	continuo_free(ctx);
	close(ram);
	close(state);
	close(null);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--corpus"))
		corpus = argv[2];
	manifests();
	written();
	vms();
	guestmem(dirname(strdupa(argv[0])));
	agents();
	connections();
	names();
	deadlines();
	signals();
	cancels();
	no_room();
	sizes();
	differences();
	updates();
	started();
	errnos_and_marks();
	sweep();
	printf("%s: %d checks, %d failed\n", failures ? "FAIL" : "ok", checks, failures);
	return failures ? 1 : 0;
}
