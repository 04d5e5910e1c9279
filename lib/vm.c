// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
/*
 * A VM as a whole: said step by step and preserved at once in the outgoing kernel,
 * taken over at once in the incoming one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "abi.h"
#include "iommufd.h"
#include "internal.h"
#include "manifest.h"

/* Tokens in the session: a prefix, the kind of file, and a number. */
#define TOKEN(kind, i)	(0x434f4e0000000000ull | (uint64_t)(kind) << 32 | (i))
enum { KIND_IOMMUFD = 1, KIND_MEMORY, KIND_DEVICE, KIND_HWPT };

struct vm_device {
	int cdev;
	uint32_t id;
};

/*
 * @restored: While it is taken over, what came from the previous kernel; 0 if it has
 *	      been destroyed: its devices have left it.
 * @found:    @id, and the IOAS that it is of, are those of a process that died.
 * @marked:   It was marked to be preserved.
 */
struct vm_hwpt {
	uint32_t id;
	uint32_t restored;
	bool found;
	bool marked;
};

/*
 * The arrays have room for a power of two, see grow().
 *
 * @own: Descriptors that were retrieved, and are closed with the VM: so many from the beginning of
 *	 the arrays, behind which comes what the caller has added and keeps.
 * @prepared: What was built for it has no devices yet, and goes with the VM.
 * @late: It was built only to be compared, and is rebuilt @how, in place, once there is no way back.
 */
struct continuo_vm {
	struct continuo *ctx;
	struct manifest m;
	struct {
		uint32_t memories, devices;
		bool iommufd;
	} own;
	bool prepared, late;
	enum continuo_how how;
	int iommufd;
	int *memory;
	struct vm_device *device;
	struct vm_hwpt *hwpt;
	uint32_t *ioas;
};

/* Room for one more behind @n of them. */
static int grow(struct continuo_vm *vm, void *array, size_t n, size_t size)
{
	void **at = array, *more;

	if (n & (n - 1))
		return 0;
	more = realloc(*at, (n ? 2 * n : 1) * size);
	if (!more)
		return fail(vm->ctx, -ENOMEM, "out of memory");
	*at = more;
	memset((char *)more + n * size, 0, (n ? n : 1) * size);
	return 0;
}

#define GROW(vm, array, n)	grow(vm, &(array), n, sizeof(*(array)))

int continuo_vm_new(struct continuo *ctx, struct continuo_vm **vmp)
{
	struct continuo_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return fail(ctx, -ENOMEM, "out of memory");
	vm->ctx = ctx;
	vm->iommufd = -1;
	*vmp = vm;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void unbuild(struct continuo_vm *vm);

void continuo_vm_free(struct continuo_vm *vm)
{
	if (!vm)
		return;
	if (vm->prepared)
		unbuild(vm);
	for (uint32_t i = 0; i < vm->own.devices; i++)
		close_fd(vm->device[i].cdev);
	if (vm->own.iommufd)
		close_fd(vm->iommufd);
	for (uint32_t i = 0; i < vm->own.memories; i++)
		close_fd(vm->memory[i]);
	free(vm->m.memory);
	free(vm->m.mapping);
	free(vm->m.hwpt);
	free(vm->m.device);
	free(vm->m.vf_token);
	free(vm->memory);
	free(vm->device);
	free(vm->hwpt);
	free(vm->ioas);
	free(vm);
}

/* --- what it consists of --- */

int continuo_vm_iommufd(struct continuo_vm *vm, int fd)
{
	if (vm->iommufd >= 0)
		return fail(vm->ctx, -EEXIST, "the VM has an iommufd already; it has one");
	if (fd < 0)
		return fail(vm->ctx, -EBADF, "iommufd %d: this is no descriptor", fd);
	vm->iommufd = fd;
	vm->m.head.iommufd_token = TOKEN(KIND_IOMMUFD, 0);
	return 0;
}

static int check_name(struct continuo_vm *vm, const char *what, const char *name)
{
	size_t n = strnlen(name, CONTINUO_NAME);

	if (!n || n == CONTINUO_NAME)
		return fail(vm->ctx, -EINVAL, "%s \"%.*s\": a name has 1 to %d bytes",
			    what, CONTINUO_NAME, name, CONTINUO_NAME - 1);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return fail(vm->ctx, -EINVAL, "%s: its name has a control character at byte %zu",
				    what, i);
	return 0;
}

static int too_many(struct continuo_vm *vm, const char *what, unsigned int most)
{
	return fail(vm->ctx, -E2BIG, "a VM has %u %s at most", most, what);
}

/* A memfd, or a file of guestmemfs: that has no seals. */
static bool is_memory(int fd)
{
	struct statfs fs;
	struct stat st;

	return fcntl(fd, F_GET_SEALS) >= 0 ||
	       (!fstatfs(fd, &fs) && fs.f_type == GUESTMEMFS_MAGIC && !fstat(fd, &st) && S_ISREG(st.st_mode));
}

int continuo_vm_memory(struct continuo_vm *vm, const char *name, int fd)
{
	uint32_t n = vm->m.head.memories;
	struct stat st;
	int ret;

	ret = check_name(vm, "memory", name);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(vm->m.memory[i].name, name))
			return fail(vm->ctx, -EEXIST, "memory \"%s\": there is one of that name", name);
	if (n == MANIFEST_MEMORIES)
		return too_many(vm, "memories", n);
	if (!is_memory(fd) || fstat(fd, &st))
		return fail(vm->ctx, -EINVAL, "memory \"%s\": descriptor %d is neither a memfd nor a file of guestmemfs", name, fd);
	if (st.st_size <= 0 || st.st_size % MANIFEST_PAGE)
		return fail(vm->ctx, -EINVAL, "memory \"%s\": %lld bytes are no multiple of %u",
			    name, (long long)st.st_size, MANIFEST_PAGE);
	ret = GROW(vm, vm->m.memory, n) ?: GROW(vm, vm->memory, n);
	if (ret)
		return ret;
	vm->m.memory[n] = (struct manifest_memory){
		.token = TOKEN(KIND_MEMORY, n),
		.size = st.st_size,
	};
	strcpy(vm->m.memory[n].name, name);
	vm->memory[n] = fd;
	return vm->m.head.memories++;
}

int continuo_vm_space(struct continuo_vm *vm)
{
	uint32_t n = vm->m.head.spaces;
	int ret;

	if (n == MANIFEST_SPACES)
		return too_many(vm, "address spaces", n);
	ret = GROW(vm, vm->ioas, n);
	if (ret)
		return ret;
	return vm->m.head.spaces++;
}

int continuo_vm_map(struct continuo_vm *vm, int space, int memory,
		    uint64_t offset, uint64_t length, uint64_t iova,
		    unsigned int prot)
{
	uint32_t n = vm->m.head.mappings;
	int ret;

	if (n == MANIFEST_MAPPINGS)
		return too_many(vm, "mappings", n);
	ret = GROW(vm, vm->m.mapping, n);
	if (ret)
		return ret;
	vm->m.mapping[n] = (struct manifest_mapping){
		.offset = offset,
		.length = length,
		.iova = iova,
		.memory = memory,
		.space = space,
		.prot = prot,
	};
	/* What is wrong with it, if anything, the check before the preserve says. */
	vm->m.head.mappings++;
	return 0;
}

int continuo_vm_hwpt(struct continuo_vm *vm, int space, uint32_t id)
{
	uint32_t n = vm->m.head.hwpts;
	int ret;

	if (space < 0 || (uint32_t)space >= vm->m.head.spaces)
		return fail(vm->ctx, -EINVAL, "HWPT %u: there is no address space %d", id, space);
	if (n == MANIFEST_HWPTS)
		return too_many(vm, "HWPTs", n);
	ret = GROW(vm, vm->m.hwpt, n) ?: GROW(vm, vm->hwpt, n);
	if (ret)
		return ret;
	vm->m.hwpt[n] = (struct manifest_hwpt){
		.token = TOKEN(KIND_HWPT, n),
		.space = space,
	};
	vm->hwpt[n].id = id;
	return vm->m.head.hwpts++;
}

/* Is there one of @index among @n, and are all flags among those that are @known? */
static int check_flags(struct continuo_vm *vm, const char *what, int index, uint32_t n,
		       uint32_t flags, uint32_t known)
{
	if (index < 0 || (uint32_t)index >= n)
		return fail(vm->ctx, -EINVAL, "there is no %s of index %d", what, index);
	if (flags & ~known)
		return fail(vm->ctx, -EINVAL, "flags=%#x: there is no such flag of a %s", flags, what);
	return 0;
}

int continuo_vm_memory_flags(struct continuo_vm *vm, int memory, uint32_t flags)
{
	return check_flags(vm, "memory", memory, vm->m.head.memories, flags, 0);
}

int continuo_vm_device_flags(struct continuo_vm *vm, int device, uint32_t flags)
{
	return check_flags(vm, "device", device, vm->m.head.devices, flags, 0);
}

int continuo_vm_hwpt_flags(struct continuo_vm *vm, int hwpt, uint32_t flags)
{
	int ret = check_flags(vm, "HWPT", hwpt, vm->m.head.hwpts, flags, CONTINUO_HWPT_FLAGS);

	if (!ret)
		vm->m.hwpt[hwpt].flags = flags;
	return ret;
}

int continuo_vm_device(struct continuo_vm *vm, const char *name, int cdev,
		       int hwpt)
{
	uint32_t n = vm->m.head.devices;
	int ret;

	ret = check_name(vm, "device", name);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(vm->m.device[i].name, name))
			return fail(vm->ctx, -EEXIST, "device \"%s\": there is one of that name", name);
	if (hwpt < 0 || (uint32_t)hwpt >= vm->m.head.hwpts)
		return fail(vm->ctx, -EINVAL, "device \"%s\": there is no HWPT of index %d", name, hwpt);
	if (n == MANIFEST_DEVICES)
		return too_many(vm, "devices", n);
	ret = GROW(vm, vm->m.device, n) ?: GROW(vm, vm->device, n);
	if (ret)
		return ret;
	vm->m.device[n] = (struct manifest_device){
		.token = TOKEN(KIND_DEVICE, n),
		.hwpt = hwpt,
	};
	strcpy(vm->m.device[n].name, name);
	vm->device[n].cdev = cdev;
	return vm->m.head.devices++;
}

/* The one of a device, or where it belongs. */
static uint32_t vf_token_at(const struct continuo_vm *vm, uint32_t device)
{
	uint32_t i = 0;

	while (i < vm->m.head.vf_tokens && vm->m.vf_token[i].device < device)
		i++;
	return i;
}

static bool vf_token_is_at(const struct continuo_vm *vm, uint32_t i, uint32_t device)
{
	return i < vm->m.head.vf_tokens && vm->m.vf_token[i].device == device;
}

int continuo_vm_device_token(struct continuo_vm *vm, int device, const uint8_t *token)
{
	int ret = check_flags(vm, "device", device, vm->m.head.devices, 0, 0);
	uint32_t n = vm->m.head.vf_tokens, i;
	struct manifest_vf_token *at;
	bool there;

	if (ret)
		return ret;
	i = vf_token_at(vm, device);
	there = vf_token_is_at(vm, i, device);
	if (!there && !token)
		return 0;
	if (!there) {
		ret = GROW(vm, vm->m.vf_token, n);
		if (ret)
			return ret;
		vm->m.head.vf_tokens++;
	}
	at = &vm->m.vf_token[i];
	if (!token) {
		memmove(at, at + 1, (--vm->m.head.vf_tokens - i) * sizeof(*at));
		return 0;
	}
	if (!there)
		memmove(at + 1, at, (n - i) * sizeof(*at));
	*at = (struct manifest_vf_token){ .device = device };
	memcpy(at->token, token, sizeof(at->token));
	return 0;
}

/* --- outgoing --- */

/* The manifest in a memfd of its own. */
static int write_manifest(struct continuo_vm *vm)
{
	size_t size = manifest_size(&vm->m);
	size_t whole = (size + MANIFEST_PAGE - 1) & ~(size_t)(MANIFEST_PAGE - 1);
	int fd = memfd_create("continuo-manifest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;
	void *at;

	if (fd < 0)
		return fail(vm->ctx, -errno, "a memfd for the manifest cannot be made: %s", strerror(errno));
	if (ftruncate(fd, whole))
		goto err;
	at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		goto err;
	manifest_write(&vm->m, at);
	munmap(at, whole);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		goto err;
	return fd;

err:
	err = fail(vm->ctx, -errno, "the manifest of %zu bytes cannot be written: %s", size, strerror(errno));
	close(fd);
	return err;
}

int continuo_vm_preserve(struct continuo_vm *vm, int session)
{
	return continuo_vm_preserve_flags(vm, session, 0);
}

int continuo_vm_preserve_flags(struct continuo_vm *vm, int session, uint32_t flags)
{
	struct manifest_why why;
	int fd, ret;

	if (flags)
		return fail(vm->ctx, -EINVAL, "flags=%#x: there is no such flag to preserve a VM", flags);
	manifest_size(&vm->m);
	ret = manifest_check(&vm->m, &why);
	if (ret)
		return fail(vm->ctx, ret == -EBADMSG ? -EINVAL : ret,
			    "the VM cannot be preserved: %s", why.text);
	if (vm->iommufd < 0)
		return fail(vm->ctx, -EINVAL, "the VM cannot be preserved: it has no iommufd");

	fd = write_manifest(vm);
	if (fd < 0)
		return fd;
	ret = continuo_preserve(vm->ctx, session, fd, MANIFEST_TOKEN);
	/* The session has it. */
	close(fd);
	for (uint32_t i = 0; i < vm->m.head.memories && !ret; i++)
		ret = continuo_preserve(vm->ctx, session, vm->memory[i],
					vm->m.memory[i].token);
	for (uint32_t i = 0; i < vm->m.head.hwpts && !ret; i++) {
		ret = continuo_hwpt_mark(vm->ctx, vm->iommufd, vm->hwpt[i].id,
					 vm->m.hwpt[i].token, 0);
		/* If it fails, a mark of an earlier preserve is still there. */
		vm->hwpt[i].marked |= !ret;
	}
	if (!ret)
		ret = continuo_preserve(vm->ctx, session, vm->iommufd,
					vm->m.head.iommufd_token);
	for (uint32_t i = 0; i < vm->m.head.devices && !ret; i++)
		ret = continuo_preserve(vm->ctx, session, vm->device[i].cdev,
					vm->m.device[i].token);
	return ret;
}

int continuo_vm_unpreserve(struct continuo_vm *vm)
{
	int ret = 0;

	for (uint32_t i = 0; i < vm->m.head.hwpts && !ret; i++) {
		if (!vm->hwpt[i].marked)
			continue;
		ret = continuo_hwpt_unmark(vm->ctx, vm->iommufd, vm->hwpt[i].id,
					   vm->m.hwpt[i].token);
		/* Its HWPT has been destroyed meanwhile, and the mark with it. */
		if (ret == -ENOENT)
			ret = 0;
		vm->hwpt[i].marked = !!ret;
	}
	return ret;
}

/* --- incoming --- */

static void *copy(const void *from, size_t n, size_t size)
{
	/* As much as grow() would have made, and one at least. */
	size_t room = 1;
	void *to;

	while (room < n)
		room *= 2;
	to = calloc(room, size);
	if (to && from && n)
		memcpy(to, from, n * size);
	return to;
}

/* The arrays of a manifest in @buffer become the VM's own. */
static int adopt_manifest(struct continuo_vm *vm, void *buffer, size_t size)
{
	struct manifest_why why = {};
	struct manifest m;
	int ret;

	ret = manifest_read(buffer, size, &m, &why);
	if (!ret)
		ret = manifest_check(&m, &why);
	if (ret)
		return fail(vm->ctx, ret, "the session's manifest cannot be used: %s", why.text);
	vm->m.head = m.head;
	vm->m.memory = copy(m.memory, m.head.memories, sizeof(*m.memory));
	vm->m.mapping = copy(m.mapping, m.head.mappings, sizeof(*m.mapping));
	vm->m.hwpt = copy(m.hwpt, m.head.hwpts, sizeof(*m.hwpt));
	vm->m.device = copy(m.device, m.head.devices, sizeof(*m.device));
	vm->m.vf_token = copy(m.vf_token, m.head.vf_tokens, sizeof(*m.vf_token));
	vm->memory = copy(NULL, m.head.memories, sizeof(*vm->memory));
	vm->device = copy(NULL, m.head.devices, sizeof(*vm->device));
	vm->hwpt = copy(NULL, m.head.hwpts, sizeof(*vm->hwpt));
	vm->ioas = copy(NULL, m.head.spaces, sizeof(*vm->ioas));
	if (!vm->m.memory || !vm->m.mapping || !vm->m.hwpt || !vm->m.device ||
	    !vm->m.vf_token || !vm->memory || !vm->device || !vm->hwpt || !vm->ioas) {
		vm->m.head.memories = vm->m.head.devices = 0;
		return fail(vm->ctx, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < m.head.memories; i++)
		vm->memory[i] = -1;
	for (uint32_t i = 0; i < m.head.devices; i++)
		vm->device[i].cdev = -1;
	vm->own.memories = m.head.memories;
	vm->own.devices = m.head.devices;
	return 0;
}

static int read_manifest(struct continuo_vm *vm, int session)
{
	int fd = continuo_retrieve(vm->ctx, session, MANIFEST_TOKEN);
	struct stat st;
	void *buffer;
	int ret;

	if (fd < 0)
		return fd == -ENOENT ? fail(vm->ctx, -EBADMSG, "the session has no manifest: what is in it was not preserved by continuo_vm_preserve()") : fd;
	/* Others could have it mapped: what is checked is a copy. */
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > (1 << 26)) {
		close(fd);
		return fail(vm->ctx, -EBADMSG, "the session's manifest has no size that a manifest has");
	}
	buffer = malloc(st.st_size);
	if (!buffer)
		ret = fail(vm->ctx, -ENOMEM, "out of memory");
	else if (pread(fd, buffer, st.st_size, 0) != st.st_size)
		ret = fail(vm->ctx, -EIO, "the session's manifest cannot be read: %s", strerror(errno));
	else
		ret = adopt_manifest(vm, buffer, st.st_size);
	free(buffer);
	close(fd);
	return ret;
}

/*
 * With the token that was said of it. The kernel refuses one that it does not ask for (EINVAL): nobody
 * has to know it any more when the PF was refused in this kernel, or has another driver.
 */
static int bind_retrieved(struct continuo_vm *vm, uint32_t i)
{
	uint32_t at = vf_token_at(vm, i);
	struct vm_device *d = &vm->device[i];
	int ret;

	if (vf_token_is_at(vm, at, i)) {
		ret = continuo_device_bind_token(vm->ctx, d->cdev, vm->iommufd,
						 vm->m.vf_token[at].token, &d->id);
		if (ret != -EINVAL)
			return ret;
	}
	return continuo_device_bind(vm->ctx, d->cdev, vm->iommufd, &d->id);
}

static int retrieve_files(struct continuo_vm *vm, int session)
{
	struct continuo *ctx = vm->ctx;
	struct stat st;
	int ret;

	for (uint32_t i = 0; i < vm->m.head.memories; i++) {
		vm->memory[i] = continuo_retrieve(ctx, session, vm->m.memory[i].token);
		if (vm->memory[i] < 0)
			return vm->memory[i];
		if (fstat(vm->memory[i], &st) || (uint64_t)st.st_size != vm->m.memory[i].size)
			return fail(ctx, -EBADMSG, "memory \"%s\" has %lld bytes; the manifest says %llu",
				    vm->m.memory[i].name, (long long)st.st_size,
				    (unsigned long long)vm->m.memory[i].size);
	}
	vm->own.iommufd = true;
	vm->iommufd = continuo_retrieve(ctx, session, vm->m.head.iommufd_token);
	if (vm->iommufd < 0)
		return vm->iommufd;
	for (uint32_t i = 0; i < vm->m.head.devices; i++) {
		struct vm_device *d = &vm->device[i];

		d->cdev = continuo_retrieve(ctx, session, vm->m.device[i].token);
		if (d->cdev < 0)
			return d->cdev;
		ret = bind_retrieved(vm, i);
		if (ret)
			return ret;
	}
	for (uint32_t i = 0; i < vm->m.head.hwpts; i++) {
		ret = continuo_hwpt_restore(ctx, vm->iommufd, vm->m.hwpt[i].token,
					    &vm->hwpt[i].restored);
		/* A process that died had come as far as to destroy it. */
		if (ret && ret != -ENOENT)
			return ret;
	}
	return 0;
}

static int build_space(struct continuo_vm *vm, uint32_t space)
{
	int ret = continuo_ioas_alloc(vm->ctx, vm->iommufd, &vm->ioas[space]);

	for (uint32_t i = 0; i < vm->m.head.mappings && !ret; i++) {
		const struct manifest_mapping *map = &vm->m.mapping[i];

		if (map->space == space)
			ret = continuo_ioas_map(vm->ctx, vm->iommufd, vm->ioas[space],
						vm->memory[map->memory], map->offset,
						map->length, map->iova, map->prot);
	}
	return ret;
}

/* A device that is on the HWPT; the manifest has one for each. */
static uint32_t device_of(struct continuo_vm *vm, uint32_t hwpt)
{
	for (uint32_t i = 0; i < vm->m.head.devices; i++)
		if (vm->m.device[i].hwpt == hwpt)
			return vm->device[i].id;
	return 0;
}

static int build_hwpt(struct continuo_vm *vm, uint32_t i, enum continuo_how how)
{
	uint32_t ioas = vm->ioas[vm->m.hwpt[i].space], device = device_of(vm, i);
	struct vm_hwpt *hwpt = &vm->hwpt[i];
	int ret;

	if (hwpt->restored && how != CONTINUO_REPLACE)
		return adopt_hwpt(vm->ctx, vm->iommufd, hwpt->restored, ioas, device,
				  how == CONTINUO_SIZES ? CONTINUO_ADOPT_SIZES : 0,
				  vm->m.hwpt[i].flags, &hwpt->id, NULL, 0);
	ret = alloc_hwpt(vm->ctx, vm->iommufd, device, ioas, vm->m.hwpt[i].flags, &hwpt->id);
	if (!ret && hwpt->restored)
		ret = continuo_hwpt_verify(vm->ctx, vm->iommufd, hwpt->restored,
					   hwpt->id, NULL);
	return ret;
}

/*
 * What was built here goes again. What was found stays for the next process, as it was: it may have
 * no devices yet, and then nothing but this would keep it.
 */
static void unbuild(struct continuo_vm *vm)
{
	char why[sizeof(vm->ctx->why)];

	memcpy(why, vm->ctx->why, sizeof(why));
	for (uint32_t i = 0; i < vm->m.head.hwpts; i++) {
		if (vm->hwpt[i].found)
			vm->ioas[vm->m.hwpt[i].space] = 0;
		else if (vm->hwpt[i].id)
			continuo_destroy(vm->ctx, vm->iommufd, vm->hwpt[i].id);
		vm->hwpt[i].id = 0;
	}
	for (uint32_t i = 0; i < vm->m.head.spaces; i++) {
		if (vm->ioas[i])
			continuo_destroy(vm->ctx, vm->iommufd, vm->ioas[i]);
		vm->ioas[i] = 0;
	}
	memcpy(vm->ctx->why, why, sizeof(why));
}

static int rebuild(struct continuo_vm *vm, enum continuo_how how)
{
	int ret = 0;

	/* A process that died can have adopted some already. */
	for (uint32_t i = 0; i < vm->m.head.hwpts; i++)
		if (vm->hwpt[i].restored)
			vm->hwpt[i].found = !find_adopted(vm->ctx, vm->iommufd, vm->hwpt[i].restored,
							  &vm->ioas[vm->m.hwpt[i].space], &vm->hwpt[i].id);
	for (uint32_t i = 0; i < vm->m.head.spaces && !ret; i++)
		if (!vm->ioas[i])
			ret = build_space(vm, i);
	for (uint32_t i = 0; i < vm->m.head.hwpts && !ret; i++)
		if (!vm->hwpt[i].id)
			ret = build_hwpt(vm, i, how);
	if (ret)
		unbuild(vm);
	return ret;
}

static int move_devices(struct continuo_vm *vm)
{
	int ret = 0;

	for (uint32_t i = 0; i < vm->m.head.devices && !ret; i++) {
		ret = continuo_device_attach(vm->ctx, vm->device[i].cdev,
					     vm->hwpt[vm->m.device[i].hwpt].id);
		/* From the first on what was built is in use. */
		if (!ret)
			vm->prepared = false;
	}
	if (!ret)
		vm->prepared = false;
	for (uint32_t i = 0; i < vm->m.head.hwpts && !ret; i++) {
		if (!vm->hwpt[i].restored)
			continue;
		ret = continuo_destroy(vm->ctx, vm->iommufd, vm->hwpt[i].restored);
		if (!ret)
			vm->hwpt[i].restored = 0;
	}
	return ret;
}

/* Also if that cannot be seen. */
static bool can_go_back(struct continuo *ctx)
{
	int state = continuo_back(ctx);

	ctx->why[0] = 0;
	return state < 0 || state == CONTINUO_BACK_ARMED;
}

/* All of it up to where the devices would move. */
static int prepare(struct continuo *ctx, int session, enum continuo_how how,
		   struct continuo_vm **vmp)
{
	struct continuo_vm *vm = NULL;
	int ret;

	ret = continuo_vm_new(ctx, &vm);
	if (ret)
		return ret;
	ret = read_manifest(vm, session);
	if (!ret)
		ret = retrieve_files(vm, session);
	/* Tables that are still to go back as they came are adopted when they are not. */
	vm->how = how;
	vm->late = !ret && how != CONTINUO_REPLACE && can_go_back(ctx);
	if (!ret)
		ret = rebuild(vm, vm->late ? CONTINUO_REPLACE : how);
	if (!ret && vm->late)
		unbuild(vm);
	if (ret) {
		continuo_vm_free(vm);
		return ret;
	}
	vm->prepared = true;
	*vmp = vm;
	return 0;
}

static int check_how(struct continuo *ctx, enum continuo_how how)
{
	return how > CONTINUO_SIZES ? fail(ctx, -EINVAL, "how=%d: it is replace, adopt or sizes", how) : 0;
}

static int check_take_flags(struct continuo *ctx, uint32_t flags)
{
	return flags & ~CONTINUO_TAKE_UNFINISHED ?
	       fail(ctx, -EINVAL, "flags=%#x: there is no such flag to take a VM over", flags) : 0;
}

int continuo_vm_prepare(struct continuo *ctx, int session, enum continuo_how how,
			struct continuo_vm **vmp)
{
	int ret = check_how(ctx, how) ?: prepare(ctx, session, how, vmp);

	if (!ret)
		ctx->why[0] = 0;
	return ret;
}

static int commit(struct continuo_vm *vm, int session, uint32_t flags)
{
	int ret = vm->late ? rebuild(vm, vm->how) : 0;

	if (!ret)
		ret = move_devices(vm);
	if (!ret && !(flags & CONTINUO_TAKE_UNFINISHED))
		ret = continuo_finish(vm->ctx, session);
	return ret;
}

int continuo_vm_commit(struct continuo_vm *vm, int session, uint32_t flags)
{
	int ret = check_take_flags(vm->ctx, flags);

	if (!ret && !vm->prepared)
		ret = fail(vm->ctx, -EINVAL, "the VM was not prepared by continuo_vm_prepare(), or has been committed");
	return ret ?: commit(vm, session, flags);
}

int continuo_vm_take_flags(struct continuo *ctx, int session, enum continuo_how how,
			   uint32_t flags, struct continuo_vm **vmp)
{
	struct continuo_vm *vm;
	int ret;

	ret = check_how(ctx, how) ?: check_take_flags(ctx, flags) ?: prepare(ctx, session, how, &vm);
	if (ret)
		return ret;
	ret = continuo_ready(ctx, session) ?: commit(vm, session, flags);
	if (ret) {
		continuo_vm_free(vm);
		return ret;
	}
	ctx->why[0] = 0;
	*vmp = vm;
	return 0;
}

int continuo_vm_move(struct continuo *ctx, int session, enum continuo_how how,
		     struct continuo_vm **vmp)
{
	return continuo_vm_take_flags(ctx, session, how, CONTINUO_TAKE_UNFINISHED, vmp);
}

int continuo_vm_take(struct continuo *ctx, int session, enum continuo_how how,
		     struct continuo_vm **vmp)
{
	return continuo_vm_take_flags(ctx, session, how, 0, vmp);
}

int continuo_vm_verify(struct continuo *ctx, int session)
{
	struct continuo_vm *vm;
	int ret;

	ret = prepare(ctx, session, CONTINUO_REPLACE, &vm);
	if (ret)
		return ret;
	continuo_vm_free(vm);
	ctx->why[0] = 0;
	return 0;
}

/* What is the VM's own becomes the caller's; what is the caller's he can ask for again. */
static int give(int *fd, bool own)
{
	int given = *fd;

	if (own)
		*fd = -1;
	return given;
}

int continuo_vm_find_memory(struct continuo_vm *vm, const char *name)
{
	for (uint32_t i = 0; i < vm->m.head.memories; i++)
		if (!strcmp(vm->m.memory[i].name, name) && vm->memory[i] >= 0)
			return give(&vm->memory[i], i < vm->own.memories);
	return fail(vm->ctx, -ENOENT, "memory \"%s\": the VM has none of that name, or it was given out", name);
}

int continuo_vm_find_device(struct continuo_vm *vm, const char *name,
			    uint32_t *device, uint32_t *hwpt)
{
	for (uint32_t i = 0; i < vm->m.head.devices; i++) {
		struct vm_device *d = &vm->device[i];

		if (strcmp(vm->m.device[i].name, name) || d->cdev < 0)
			continue;
		if (device)
			*device = d->id;
		if (hwpt)
			*hwpt = vm->hwpt[vm->m.device[i].hwpt].id;
		return give(&d->cdev, i < vm->own.devices);
	}
	return fail(vm->ctx, -ENOENT, "device \"%s\": the VM has none of that name, or it was given out", name);
}

int continuo_vm_find_iommufd(struct continuo_vm *vm)
{
	bool own = vm->own.iommufd;

	if (vm->iommufd < 0)
		return fail(vm->ctx, -ENOENT, "the VM has no iommufd, or it was given out");
	/* Another one, that is said later, is the caller's. */
	vm->own.iommufd = false;
	return give(&vm->iommufd, own);
}

int continuo_vm_find_space(struct continuo_vm *vm, int space, uint32_t *ioas)
{
	if (space < 0 || (uint32_t)space >= vm->m.head.spaces || !vm->ioas[space])
		return fail(vm->ctx, -ENOENT, "address space %d: the VM has none of that index", space);
	*ioas = vm->ioas[space];
	return 0;
}
