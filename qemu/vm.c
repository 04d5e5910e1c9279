// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "describe.h"
#include "files.h"
#include "give.h"
#include "note.h"
#include "say.h"
#include "state.h"
#include "stream.h"
#include "vm.h"

#define QUIET_MS	1

/* The one that QEMU's events are about. */
static struct vm *current;

const char *vm_path(const struct vm *vm, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/%s.%s", vm->dir, vm->name, suffix) < 0)
		abort();
	return path;
}

int vm_make_dir(const struct vm *vm, uid_t uid, gid_t gid)
{
	if (mkdir(vm->dir, 0755))
		return errno == EEXIST ? 0 : fail("%s: %s", vm->dir, strerror(errno));
	if (uid != geteuid() && chown(vm->dir, uid, gid))
		return fail("%s: it cannot be made user %u's: %s", vm->dir, uid, strerror(errno));
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void __attribute__((format(printf, 2, 3)))
disturb(struct vm *vm, const char *fmt, ...)
{
	va_list args;

	if (*vm->disturbed)
		return;
	va_start(args, fmt);
	vsnprintf(vm->disturbed, sizeof(vm->disturbed), fmt, args);
	va_end(args);
}

static void event(const char *name, struct json_object *data)
{
	say("event", "%s %.200s", name, data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN) : "");
	if (!current || current->state == VM_RUNNING)
		return;
	if (!strcmp(name, "RESET"))
		disturb(current, "the guest was reset after it had been preserved; try again");
	else if (!strcmp(name, "DEVICE_DELETED"))
		disturb(current, "a device was unplugged after the VM had been preserved; try again");
	else if (!strcmp(name, "SHUTDOWN"))
		disturb(current, "the guest shuts down");
	else if (!strcmp(name, "BLOCK_IO_ERROR"))
		disturb(current, "a disk of the VM has failed");
}

void vm_init(struct vm *vm)
{
	vm->qmp.fd = vm->iommufd = vm->session = vm->memory = vm->stream = -1;
	vm->qmp.event = event;
	vm->state = VM_RUNNING;
	capture_init(&vm->learned);
	capture_init(&vm->suspended);
	vm->piece = calloc(MAP_PIECES, sizeof(*vm->piece));
	if (!vm->piece)
		abort();
	current = vm;
}

static void drop_state(struct vm *vm)
{
	if (vm->at)
		munmap(vm->at, vm->size);
	vm->at = NULL;
	close_one(&vm->memory);
}

void vm_free(struct vm *vm)
{
	drop_state(vm);
	close_one(&vm->stream);
	close_one(&vm->session);
	continuo_vm_free(vm->described);
	vm->described = NULL;
	capture_free(&vm->learned);
	capture_free(&vm->suspended);
	backings_free(&vm->backing);
	parts_free(&vm->parts);
	qmp_close(&vm->qmp);
}

void vm_refused(const struct rule *rule, const char *sentence)
{
	say("refused", "%s %s", rule->name, sentence);
}

static int __attribute__((format(printf, 2, 3)))
refuse(const char *name, const char *fmt, ...)
{
	const struct rule *rule = rule_named(name);
	char what[WHY_MOST], text[2 * WHY_MOST];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	rule_sentence(rule, what, text, sizeof(text));
	fail("%s", text);
	vm_refused(rule, why());
	return -1;
}

/* --- what a QEMU that runs is asked --- */

static int check_version(struct vm *vm)
{
	vm->format = channel_format(vm->qmp.major, vm->qmp.minor);
	if (vm->format)
		return 0;
	return refuse("version", "this QEMU is %d.%d.%d; known are %s", vm->qmp.major,
		      vm->qmp.minor, vm->qmp.micro, channel_versions());
}

/* What a rule stands against, whatever the arguments say. */
static int check_types(const struct parts *parts)
{
	int broken = 0;

	for (size_t i = 0; i < parts->n; i++) {
		const struct part *p = &parts->of[i];
		const struct rule *rule = p->kind == PART_DEVICE ? rule_of_device(p->what) :
					  p->kind == PART_OBJECT ? rule_of_object(p->what) : NULL;

		if (!rule)
			continue;
		refuse(rule->name, "%s %s", p->what, p->name);
		broken++;
	}
	return broken;
}

/* It is made of what the next QEMU will be made of. */
static int check_parts(struct vm *vm, uint64_t until)
{
	struct parts has = {};
	int broken = -1, changed = 0, jobs = 0;

	if (!parts_learn(&has, &vm->qmp, until)) {
		broken = check_types(&has);
		changed = vm->parts.n ? parts_compare(&vm->parts, &has, refuse) :
					parts_of_arguments(&has, &vm->line, &vm->qmp, refuse, until);
		jobs = parts_jobs(&vm->qmp, refuse, until);
	}
	parts_free(&has);
	return broken < 0 || changed < 0 || jobs < 0 ? -1 : broken + changed + jobs;
}

int vm_know(struct vm *vm, uint64_t until)
{
	if (!parts_learn(&vm->parts, &vm->qmp, until))
		return 0;
	parts_free(&vm->parts);
	return -1;
}

#define VFIO_DEVICES	"/dev/vfio/devices/"
#define DMA_BUF		"/dmabuf:"

int vm_check_files(const struct vm *vm)
{
	unsigned int devices = 0, bars = 0;
	char path[300], to[256];
	struct dirent *de;
	int broken = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", vm->pid);
	dir = opendir(path);
	if (!dir) {
		say("event", "%s cannot be read (%s): that QEMU uses no vhost cannot be seen there", path, strerror(errno));
		return 0;
	}
	while ((de = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", vm->pid, de->d_name);
		n = readlink(path, to, sizeof(to) - 1);
		if (n <= 0)
			continue;
		to[n] = 0;
		if (rule_of_file(to)) {
			refuse(rule_of_file(to)->name, "QEMU has %s open", to);
			broken++;
		}
		devices += !strncmp(to, VFIO_DEVICES, strlen(VFIO_DEVICES));
		bars += !strncmp(to, DMA_BUF, strlen(DMA_BUF));
	}
	closedir(dir);
	/* Each BAR that can be mapped for DMA is there as a dma-buf. */
	if (devices > 1 && bars && !vm->no_p2p) {
		refuse("vfio-p2p", "QEMU has %u VFIO devices open, and BARs as dma-buf", devices);
		broken++;
	}
	return broken;
}

/* Only a VM that runs, or that somebody has paused, can be stopped and go on as it was. */
static int check_status(struct vm *vm, uint64_t until)
{
	struct json_object *o = qmp_ask(&vm->qmp, until, "query-status", NULL);
	char status[40];

	if (!o)
		return -1;
	snprintf(status, sizeof(status), "%s", json_text(o, "status"));
	json_object_put(o);
	vm->ran = !strcmp(status, "running");
	if (vm->ran || !strcmp(status, "paused") || !strcmp(status, "prelaunch"))
		return 0;
	return refuse("state", "QEMU says that the VM is \"%s\"", status);
}

static struct json_object *one_of(const char *key, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, key, value);
	return o;
}

static struct json_object *capability(const char *name, bool on)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	json_put_text(o, "capability", name);
	json_put_bool(o, "state", on);
	json_object_array_add(list, o);
	return one_of("capabilities", list);
}

/* @on: QEMU's next migration is to us, and it waits for our word at its end. */
static int set_mode(struct vm *vm, bool on, uint64_t until)
{
	return qmp_do(&vm->qmp, until, "migrate-set-capabilities", capability("return-path", on)) ?:
	       qmp_do(&vm->qmp, until, "migrate-set-parameters",
		      one_of("mode", json_object_new_string(on ? "cpr-transfer" : "normal")));
}

/* In this mode, QEMU's own reasons why it cannot be. */
static int check_blockers(struct vm *vm, uint64_t until)
{
	struct json_object *o = qmp_ask(&vm->qmp, until, "query-migrate", NULL), *list;
	int broken = 0;

	if (!o)
		return -1;
	list = json_get(o, "blocked-reasons");
	for (size_t i = 0; i < json_length(list); i++, broken++)
		refuse("blocker", "%s", json_object_get_string(json_at(list, i)));
	json_object_put(o);
	return broken;
}

static bool sum(int *all, int one)
{
	if (one < 0)
		return false;
	*all += one;
	return true;
}

int vm_check(struct vm *vm, uint64_t until)
{
	int broken = 0;

	if (check_version(vm))
		return 1;
	if (!sum(&broken, check_parts(vm, until)) ||
	    !sum(&broken, backings_learn(&vm->backing, &vm->qmp, vm->pid, refuse, until)))
		return -1;
	return broken + vm_check_files(vm);
}

/* --- to learn what it has --- */

static bool has_suffix(const char *name, const char *device)
{
	static const char *const suffixes[] = {
		"interrupt", "kvm_interrupt", "intx-interrupt", "intx-unmask", "err_notifier", "req_notifier",
	};
	size_t n = strlen(device);

	if (strncmp(name, device, n) || name[n] != '_')
		return false;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (!strcmp(name + n + 1, suffixes[i]))
			return true;
	return false;
}

static bool is_event_of_device(const struct channel *c, const char *name)
{
	for (unsigned int i = 0; i < c->devices; i++)
		if (has_suffix(name, c->device[i].name))
			return true;
	return false;
}

static bool is_device_name(const struct channel *c, const char *name)
{
	for (unsigned int i = 0; i < c->devices; i++)
		if (!strcmp(c->device[i].name, name))
			return true;
	return false;
}

/* What each descriptor is; its name and what it can do have to agree. */
static int classify(const struct capture *c, enum vm_use use[CHANNEL_FDS])
{
	int iommufd = -1;

	for (unsigned int i = 0; i < c->channel.fds; i++) {
		const struct channel_fd *f = &c->channel.fd[i];
		enum file_kind kind = file_kind(c->fd[i]);

		if (kind == FILE_DEVICE && is_device_name(&c->channel, f->name) && !f->id)
			use[i] = USE_DEVICE;
		else if (kind == FILE_EVENT && is_event_of_device(&c->channel, f->name))
			use[i] = USE_EVENT;
		else if (kind == FILE_MEMORY && !f->id)
			use[i] = USE_MEMORY;
		else if (kind == FILE_IOMMUFD && !f->id)
			use[i] = USE_IOMMUFD;
		else
			return refuse("unknown-descriptor", "\"%s\" %d is %s", f->name, f->id, file_path(c->fd[i]));
		if (use[i] == USE_IOMMUFD && iommufd >= 0)
			return refuse("one-iommufd", "\"%s\" and \"%s\"", c->channel.fd[iommufd].name, f->name);
		if (use[i] == USE_IOMMUFD)
			iommufd = i;
	}
	for (unsigned int i = 0; i < c->channel.devices; i++) {
		int at = capture_find(c, c->channel.device[i].name, 0);
		char folder[sizeof(PCI_DIR) + CHANNEL_NAME + 1];

		if (at < 0 || use[at] != USE_DEVICE)
			return fail("VFIO device \"%s\" is in QEMU's CPR channel without a descriptor", c->channel.device[i].name);
		if (iommufd < 0)
			return refuse("iommufd", "VFIO device \"%s\"", c->channel.device[i].name);
		if (device_migrates(c->fd[at]))
			return refuse("vfio-migration", "VFIO device \"%s\"", c->channel.device[i].name);
		/* It has the name of its folder. Since QEMU was started a PF can have been given virtual functions. */
		snprintf(folder, sizeof(folder), PCI_DIR "/%s", c->channel.device[i].name);
		if (device_asks_token(folder))
			return refuse("vfio-token", "VFIO device \"%s\"", c->channel.device[i].name);
		switch (device_bus_reset(c->fd[at])) {
		case 1:
			return refuse("vfio-reset", "VFIO device \"%s\"", c->channel.device[i].name);
		case -1:
			return -1;
		}
	}
	return 0;
}

/* QEMU has mapped each BAR for DMA where the kernel lets it, and an address space that goes over cannot have any. */
static int check_p2p(const struct vm *vm)
{
	const struct channel *c = &vm->learned.channel;

	if (c->devices < 2 || vm->no_p2p || !device_exports_bars(vm->learned.fd[capture_find(&vm->learned, c->device[0].name, 0)]))
		return 0;
	return refuse("vfio-p2p", "VFIO devices \"%s\" and \"%s\"", c->device[0].name, c->device[1].name);
}

static int read_map(struct vm *vm, struct map_piece *piece, uint64_t until)
{
	struct json_object *o;
	char not[WHY_MOST];
	int n;

	o = qmp_ask(&vm->qmp, until, "human-monitor-command",
		    one_of("command-line", json_object_new_string("info mtree -f")));
	if (!o)
		return -1;
	n = map_read(json_object_get_string(o), piece, not, sizeof(not));
	json_object_put(o);
	return n < 0 ? fail("%s", not) : n;
}

/*
 * The guest's memory: the pieces of memfds that cannot change their size, and of files of
 * guestmemfs. Memfds of emulated devices (ROM, video memory) can; nothing can be mapped from them
 * that is to be preserved.
 */
static int keep_memory(struct vm *vm, struct map_piece *piece, int n, const struct capture *c)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		int at = capture_find(c, piece[i].name, 0);

		if ((at >= 0 && vm->use[at] == USE_MEMORY && file_sealed(c->fd[at])) ||
		    (at < 0 && backings_find(&vm->backing, piece[i].name) >= 0))
			piece[kept++] = piece[i];
		else if (!piece[i].first)
			return refuse("memory", "memory \"%s\" at address 0 is neither a sealed memfd nor a file of guestmemfs",
				      piece[i].name);
	}
	return kept ? kept : refuse("memory", "no memory of the guest is a sealed memfd or a file of guestmemfs");
}

static int learn(struct vm *vm, uint64_t until)
{
	int n;

	n = vm_check(vm, until);
	if (n > 0)
		return -1;
	if (n < 0 || check_status(vm, until) || set_mode(vm, true, until) || check_blockers(vm, until))
		return -1;
	say("checked", "QEMU %d.%d.%d", vm->qmp.major, vm->qmp.minor, vm->qmp.micro);
	if (capture_begin(&vm->learned, &vm->qmp, vm->format, vm_path(vm, "cpr"), vm_path(vm, "main"), until))
		return -1;
	if (capture_cancel(&vm->learned, &vm->qmp, until) || classify(&vm->learned, vm->use))
		return -1;
	if (check_p2p(vm))
		return -1;
	n = read_map(vm, vm->piece, until);
	if (n < 0)
		return -1;
	vm->pieces = keep_memory(vm, vm->piece, n, &vm->learned);
	if (vm->pieces < 0)
		return -1;
	vm->iommufd = -1;
	for (unsigned int i = 0; i < vm->learned.channel.fds; i++)
		if (vm->use[i] == USE_IOMMUFD)
			vm->iommufd = vm->learned.fd[i];
	say("learned", "%u descriptors, %u devices, %d pieces of memory", vm->learned.channel.fds,
	    vm->learned.channel.devices, vm->pieces);
	return 0;
}

/* --- an address space of ours --- */

static int library(struct vm *vm, int ret)
{
	return ret < 0 ? fail("%s", continuo_why(vm->ctx)) : 0;
}

static unsigned int prot_of(const struct map_piece *p)
{
	return p->readonly ? CONTINUO_READ : CONTINUO_READ | CONTINUO_WRITE;
}

/* Where a piece of memory is: in the channel's descriptor or the file of an index. */
struct place {
	bool in_file;
	int index;
	int fd;
	uint64_t offset;
};

static struct place place_of(const struct vm *vm, const struct map_piece *p)
{
	int at = capture_find(&vm->learned, p->name, 0);

	if (at >= 0)
		return (struct place){ .index = at, .fd = vm->learned.fd[at], .offset = p->offset };
	at = backings_find(&vm->backing, p->name);
	return (struct place){
		.in_file = true,
		.index = at,
		.fd = vm->backing.of[at].fd,
		.offset = vm->backing.of[at].offset + p->offset,
	};
}

static int make_space(struct vm *vm)
{
	if (library(vm, continuo_ioas_alloc(vm->ctx, vm->iommufd, &vm->ioas)))
		return -1;
	for (int i = 0; i < vm->pieces; i++) {
		const struct map_piece *p = &vm->piece[i];
		struct place place = place_of(vm, p);
		int ret = continuo_ioas_map(vm->ctx, vm->iommufd, vm->ioas, place.fd, place.offset,
					    p->last - p->first + 1, p->first, prot_of(p));

		if (ret == -ENOMEM)
			return fail("%s: this process may lock as much as the guest has, beside what QEMU has locked (RLIMIT_MEMLOCK)",
				    continuo_why(vm->ctx));
		if (library(vm, ret))
			return -1;
	}
	return 0;
}

/* To one of the HWPTs that there are, or to one of its own if it does not fit them. */
static int move_device(struct vm *vm, unsigned int i)
{
	const struct channel_device *d = &vm->learned.channel.device[i];
	int cdev = vm->learned.fd[capture_find(&vm->learned, d->name, 0)];
	unsigned int n;
	bool tracks;
	int ret;

	for (n = 0; n < vm->hwpts; n++) {
		ret = continuo_device_attach(vm->ctx, cdev, vm->hwpt[n]);
		if (!ret)
			break;
		if (ret != -EINVAL)
			return library(vm, ret);
	}
	if (n == vm->hwpts) {
		/* As QEMU makes its own, so that it can do with it what it could. */
		tracks = device_tracks(vm->iommufd, d->device);
		if (hwpt_make(vm->iommufd, d->device, vm->ioas, tracks ? CONTINUO_HWPT_DIRTY_TRACKING : 0,
			      &vm->hwpt[n]))
			return -1;
		vm->tracks[n] = tracks;
		vm->hwpts++;
		if (library(vm, continuo_device_attach(vm->ctx, cdev, vm->hwpt[n])))
			return -1;
	}
	vm->hwpt_of[i] = n;
	return 0;
}

static int move(struct vm *vm)
{
	/* From here on there is something to be undone. */
	vm->state = VM_MOVED;
	*vm->disturbed = 0;
	if (!vm->learned.channel.devices)
		return 0;
	if (make_space(vm))
		return -1;
	note_write(vm);
	for (unsigned int i = 0; i < vm->learned.channel.devices; i++)
		if (move_device(vm, i))
			return fail("VFIO device \"%s\" cannot be moved to an address space of ours: %s",
				    vm->learned.channel.device[i].name, why());
	note_write(vm);
	say("moved", "IOAS %u, %u HWPTs", vm->ioas, vm->hwpts);
	return 0;
}

static int move_back(struct vm *vm)
{
	const struct channel *c = &vm->learned.channel;
	int ret = 0;

	for (unsigned int i = 0; i < c->devices; i++) {
		int at = capture_find(&vm->learned, c->device[i].name, 0);

		if (at >= 0 && library(vm, continuo_device_attach(vm->ctx, vm->learned.fd[at], c->device[i].hwpt)))
			ret = fail("VFIO device \"%s\" stays on an address space of ours: %s", c->device[i].name, why());
	}
	if (ret)
		return ret;
	while (vm->hwpts && !ret) {
		ret = library(vm, continuo_destroy(vm->ctx, vm->iommufd, vm->hwpt[vm->hwpts - 1]));
		vm->hwpts -= !ret;
	}
	if (!ret && vm->ioas) {
		ret = library(vm, continuo_destroy(vm->ctx, vm->iommufd, vm->ioas));
		vm->ioas = ret ? vm->ioas : 0;
	}
	return ret;
}

/* --- preserve --- */

static int make_state(struct vm *vm)
{
	vm->size = state_size(vm->room);
	vm->memory = memfd_create("continuo-qemu-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (vm->memory < 0 || ftruncate(vm->memory, vm->size) ||
	    fcntl(vm->memory, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return fail("no memory for the state of QEMU: %s", strerror(errno));
	vm->at = mmap(NULL, vm->size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->memory, 0);
	if (vm->at == MAP_FAILED) {
		vm->at = NULL;
		return fail("no memory for the state of QEMU: %s", strerror(errno));
	}
	state_make(vm->at, vm->size);
	return 0;
}

static int describe(struct vm *vm)
{
	const struct channel *c = &vm->learned.channel;
	int space, memory[CHANNEL_FDS], file[BACKINGS], hwpt[VM_HWPTS];
	char name[CONTINUO_NAME];

	if (library(vm, continuo_vm_new(vm->ctx, &vm->described)) ||
	    library(vm, continuo_vm_iommufd(vm->described, vm->iommufd)))
		return -1;
	for (unsigned int i = 0; i < c->fds; i++) {
		if (vm->use[i] != USE_MEMORY)
			continue;
		describe_name(name, "mem", i);
		memory[i] = continuo_vm_memory(vm->described, name, vm->learned.fd[i]);
		if (memory[i] < 0)
			return fail("memory \"%s\": %s", c->fd[i].name, continuo_why(vm->ctx));
	}
	for (int i = 0; i < vm->backing.n; i++) {
		describe_name(name, "file", i);
		file[i] = continuo_vm_memory(vm->described, name, vm->backing.of[i].fd);
		if (file[i] < 0)
			return fail("memory \"%s\": %s", vm->backing.of[i].id, continuo_why(vm->ctx));
	}
	space = continuo_vm_space(vm->described);
	if (library(vm, space))
		return -1;
	for (int i = 0; i < vm->pieces; i++) {
		const struct map_piece *p = &vm->piece[i];
		struct place place = place_of(vm, p);

		if (library(vm, continuo_vm_map(vm->described, space,
						place.in_file ? file[place.index] : memory[place.index], place.offset,
						p->last - p->first + 1, p->first, prot_of(p))))
			return -1;
	}
	for (unsigned int i = 0; i < vm->hwpts; i++) {
		hwpt[i] = continuo_vm_hwpt(vm->described, space, vm->hwpt[i]);
		if (library(vm, hwpt[i]) ||
		    (vm->tracks[i] && library(vm, continuo_vm_hwpt_flags(vm->described, hwpt[i],
									 CONTINUO_HWPT_DIRTY_TRACKING))))
			return -1;
	}
	for (unsigned int i = 0; i < c->devices; i++) {
		int at = capture_find(&vm->learned, c->device[i].name, 0);

		describe_name(name, "vfio", i);
		if (library(vm, continuo_vm_device(vm->described, name, vm->learned.fd[at],
						   hwpt[vm->hwpt_of[i]])))
			return fail("VFIO device \"%s\": %s", c->device[i].name, why());
	}
	return 0;
}

/* A VM without devices has no iommufd, which the library wants; its memory is in the session all the same. */
static int preserve_memory(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->learned.channel.fds; i++)
		if (vm->use[i] == USE_MEMORY &&
		    library(vm, continuo_preserve(vm->ctx, vm->session, vm->learned.fd[i], DESCRIBE_TOKEN(i))))
			return fail("memory \"%s\": %s", vm->learned.channel.fd[i].name, why());
	for (int i = 0; i < vm->backing.n; i++)
		if (library(vm, continuo_preserve(vm->ctx, vm->session, vm->backing.of[i].fd, DESCRIBE_FILE_TOKEN(i))))
			return fail("memory \"%s\": %s", vm->backing.of[i].id, why());
	return 0;
}

static int preserve(struct vm *vm)
{
	vm->session = continuo_session_create(vm->ctx, vm->name);
	if (library(vm, vm->session) || make_state(vm) ||
	    library(vm, continuo_preserve(vm->ctx, vm->session, vm->memory, STATE_TOKEN)))
		return -1;
	if (!vm->learned.channel.devices)
		return preserve_memory(vm);
	return describe(vm) ?: library(vm, continuo_vm_preserve(vm->described, vm->session));
}

int vm_preserve(struct vm *vm, uint64_t until)
{
	say_step("preserve");
	/* Asked again after something went wrong, it begins at the beginning. */
	if (vm->state != VM_RUNNING && vm_undo(vm, until))
		return -1;
	if (learn(vm, until) || move(vm) || preserve(vm))
		return -1;
	vm->state = VM_PRESERVED;
	note_write(vm);
	say("preserved", "%u devices, %zu bytes for QEMU's state", vm->learned.channel.devices, vm->size);
	return 0;
}

/* --- suspend --- */

/* The memory and the devices are those that were preserved, and where they were. */
static int check_same(struct vm *vm, const struct capture *now, uint64_t until)
{
	const struct channel *was = &vm->learned.channel, *is = &now->channel;
	static enum vm_use use[CHANNEL_FDS];
	struct map_piece *piece;
	int n;

	if (classify(now, use))
		return -1;
	if (is->devices != was->devices)
		return fail("the VM has %u VFIO devices, and had %u when it was preserved; try again", is->devices, was->devices);
	for (unsigned int i = 0; i < was->fds; i++) {
		int at = capture_find(now, was->fd[i].name, was->fd[i].id);

		if (vm->use[i] == USE_EVENT)
			continue;
		if (at < 0 || use[at] != vm->use[i] || (use[at] == USE_MEMORY && !file_same(now->fd[at], vm->learned.fd[i])))
			return fail("\"%s\" is not what it was when the VM was preserved; try again", was->fd[i].name);
	}
	for (unsigned int i = 0; i < is->fds; i++)
		if (use[i] != USE_EVENT && capture_find(&vm->learned, is->fd[i].name, is->fd[i].id) < 0)
			return fail("\"%s\" has come after the VM was preserved; try again", is->fd[i].name);
	piece = calloc(MAP_PIECES, sizeof(*piece));
	if (!piece)
		abort();
	n = read_map(vm, piece, until);
	n = n < 0 ? n : keep_memory(vm, piece, n, &vm->learned);
	if (n >= 0 && (n != vm->pieces || memcmp(piece, vm->piece, n * sizeof(*piece))))
		n = fail("the guest's memory is not where it was when the VM was preserved; try again");
	free(piece);
	return n < 0 ? -1 : 0;
}

/* 1: it has migrated as far as it gets without a word from us; 0: not yet. */
static int stream_waits(struct vm *vm, uint64_t until)
{
	struct json_object *o = qmp_ask(&vm->qmp, until, "query-migrate", NULL);
	char status[40];

	if (!o)
		return -1;
	snprintf(status, sizeof(status), "%s", json_text(o, "status"));
	if (!strcmp(status, "failed") || !strcmp(status, "failing") || !strcmp(status, "cancelled"))
		fail("QEMU's migration has failed: %s", json_text(o, "error-desc"));
	json_object_put(o);
	if (!strcmp(status, "device"))
		return 1;
	return !strcmp(status, "failed") || !strcmp(status, "failing") || !strcmp(status, "cancelled") ? -1 : 0;
}

static int take_stream(struct vm *vm, uint64_t until)
{
	size_t room, n = 0;
	uint8_t *at = state_room(vm->at, STATE_STREAM, &room);

	for (;;) {
		struct pollfd p[2] = {
			{ .fd = vm->stream, .events = POLLIN },
			{ .fd = vm->qmp.fd, .events = POLLIN },
		};
		ssize_t k;
		int ret;

		/* All that has come has been read. */
		if (n && poll(p, 1, QUIET_MS) == 0 && stream_whole(at, n)) {
			ret = stream_waits(vm, until);
			if (ret < 0)
				return -1;
			if (ret && !poll(p, 1, 0))
				break;
		}
		ret = poll(p, 2, left_ms(until));
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			return fail("QEMU's migration stream has no end after %zu bytes", n);
		if (p[1].revents && qmp_hear(&vm->qmp))
			return -1;
		if (!p[0].revents)
			continue;
		if (n == room)
			return fail("QEMU's state has more than the %zu bytes that there is room for (--room)", room);
		k = recv(vm->stream, at + n, room - n, MSG_DONTWAIT);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (k <= 0)
			return stream_waits(vm, until) < 0 ? -1 : fail("QEMU has closed its migration stream after %zu bytes", n);
		n += k;
	}
	state_put(vm->at, STATE_STREAM, n);
	say("stream", "%zu bytes", n);
	return 0;
}

static void put_channel(struct vm *vm, const struct capture *c)
{
	size_t room;

	memcpy(state_room(vm->at, STATE_CHANNEL, &room), c->bytes, c->size);
	state_put(vm->at, STATE_CHANNEL, c->size);
	say("channel", "%zu bytes, %u descriptors", c->size, c->nr);
}

static int stop(struct vm *vm, uint64_t until)
{
	if (check_status(vm, until))
		return -1;
	if (vm->ran) {
		/* Even if the answer is late, it has been told so. */
		vm->stopped = true;
		vm->stopped_ms = clock_now_ms();
		note_write(vm);
		if (qmp_do(&vm->qmp, until, "stop", NULL))
			return -1;
	}
	say_step("stopped");
	return 0;
}

static int suspend(struct vm *vm, uint64_t until)
{
	struct capture *now = &vm->suspended;

	if (*vm->disturbed)
		return fail("%s", vm->disturbed);
	/* Before it stops: QEMU has to be asked several times. */
	if (check_parts(vm, until) || stop(vm, until) ||
	    capture_begin(now, &vm->qmp, vm->format, vm_path(vm, "cpr"), vm_path(vm, "main"), until))
		return -1;
	if (check_same(vm, now, until))
		return -1;
	put_channel(vm, now);
	vm->stream = capture_go_on(now, until);
	unlink(vm_path(vm, "main"));
	if (vm->stream < 0 || take_stream(vm, until) || describe_write(vm, now))
		return -1;
	if (*vm->disturbed)
		return fail("%s", vm->disturbed);
	state_seal(vm->at);
	return 0;
}

int vm_suspend(struct vm *vm, uint64_t until)
{
	say_step("suspend");
	if (vm->state != VM_PRESERVED)
		return fail("the VM is not preserved");
	if (suspend(vm, until))
		return -1;
	vm->state = VM_SUSPENDED;
	note_write(vm);
	say_step("suspended");
	return 0;
}

/* --- undo --- */

/*
 * QEMU waits for a new QEMU's word at the end of its stream. A connection that ends in its
 * place is a migration that has failed: QEMU has its disks and interrupts back then, and the
 * VM is paused, as it was when it was asked to migrate.
 */
static int resume(struct vm *vm, uint64_t until)
{
	close_one(&vm->stream);
	if (vm->qmp.fd < 0)
		return fail("QEMU has ended");
	if (capture_cancel(&vm->learned, &vm->qmp, until) || capture_cancel(&vm->suspended, &vm->qmp, until))
		return -1;
	return vm->stopped ? qmp_do(&vm->qmp, until, "cont", NULL) : 0;
}

/* After an answer that has not come in time nothing can be asked over the same connection. */
static void let_go_of_session(struct vm *vm)
{
	if (continuo_agent_version(vm->ctx) == -EPIPE && vm->agent_fd < 0)
		continuo_agent(vm->ctx, vm->agent);
	continuo_session_release(vm->ctx, vm->name);
}

/* Of what was preserved nothing is left then but the devices' place. */
static int release(struct vm *vm)
{
	int ret = 0;

	close_one(&vm->session);
	/* The agent has one, too, if it came so far. */
	let_go_of_session(vm);
	if (vm->described)
		ret = library(vm, continuo_vm_unpreserve(vm->described));
	continuo_vm_free(vm->described);
	vm->described = NULL;
	return ret;
}

/* QEMU has ended after all of the VM was in our hands: another one takes it. */
static int revive(struct vm *vm, uint64_t until)
{
	int ret = give_again(vm, until);

	/* It has set its mode by itself. */
	vm->stopped = false;
	return ret;
}

/* Keeps the first reason. */
static void keep_why(char said[WHY_MOST])
{
	if (!*said)
		strcpy(said, why());
}

int vm_undo(struct vm *vm, uint64_t until)
{
	bool revived = vm->state == VM_SUSPENDED && vm->qmp.fd < 0;
	char said[WHY_MOST] = "";

	say_step("undo");
	/* First of all it runs again. */
	if (!revived) {
		if (resume(vm, until))
			keep_why(said);
		else
			vm->stopped = false;
	}
	if (release(vm))
		keep_why(said);
	if (vm->state >= VM_MOVED) {
		vm->state = VM_MOVED;
		if (move_back(vm))
			keep_why(said);
		else
			say_step("moved-back");
	}
	if (revived && !*said && revive(vm, until))
		keep_why(said);
	if (!revived && vm->qmp.fd >= 0 && set_mode(vm, false, until))
		keep_why(said);
	close_one(&vm->stream);
	drop_state(vm);
	capture_free(&vm->suspended);
	if (*said) {
		note_write(vm);
		return fail("%s", said);
	}
	capture_free(&vm->learned);
	backings_free(&vm->backing);
	vm->iommufd = -1;
	vm->state = VM_RUNNING;
	*vm->disturbed = 0;
	note_remove(vm);
	say_step("undone");
	if (vm->stopped_ms)
		clock_mend(&vm->line, vm->stopped_ms, vm->patience_us);
	vm->stopped_ms = 0;
	return 0;
}

void vm_gone(struct vm *vm)
{
	/* With QEMU go its devices: nobody else has them when our descriptors are closed. */
	close_one(&vm->stream);
	if (vm->state != VM_RUNNING)
		release(vm);
	drop_state(vm);
	capture_free(&vm->learned);
	capture_free(&vm->suspended);
	backings_free(&vm->backing);
	vm->state = VM_RUNNING;
	note_remove(vm);
}

int vm_mend(struct vm *vm, uint64_t until)
{
	if (!note_read(vm))
		return 0;
	say("event", "an earlier continuo-qemu has left the VM in the middle of an update");
	/* The agent lets nobody register the name as long as something is preserved. */
	continuo_session_release(vm->ctx, vm->name);
	if (vm->ioas) {
		if (set_mode(vm, true, until) ||
		    capture_begin(&vm->learned, &vm->qmp, vm->format, vm_path(vm, "cpr"), vm_path(vm, "main"), until) ||
		    capture_cancel(&vm->learned, &vm->qmp, until) || classify(&vm->learned, vm->use))
			return -1;
		for (unsigned int i = 0; i < vm->learned.channel.fds; i++)
			if (vm->use[i] == USE_IOMMUFD)
				vm->iommufd = vm->learned.fd[i];
	}
	vm->state = VM_MOVED;
	return vm_undo(vm, until);
}
