// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "clock.h"
#include "files.h"
#include "give.h"
#include "keep.h"
#include "say.h"
#include "serve.h"
#include "state.h"
#include "take.h"

#define MOST_VECTORS	2048	/* of a device; MSI-X has so many */
#define MOST_STATE	(1l << 32)
#define TRIES		2

struct taking {
	struct vm *vm;
	int session;
	bool over;		/* the session is finished */
	struct giving give;
	struct continuo_vm *taken;
	void *at;
	size_t size;
};

static int library(struct vm *vm, int ret)
{
	return ret < 0 ? fail("%s", continuo_why(vm->ctx)) : 0;
}

/* --- what the broker before has left --- */

static int read_channel(struct taking *t, const struct state_view *view)
{
	struct giving *g = &t->give;
	const struct described *d = &g->description;
	const struct channel_format *format = channel_format(d->major, d->minor);
	uint32_t at[CHANNEL_FDS];
	struct channel_why not;

	if (!format)
		return fail("the VM was under a QEMU %d.%d; known are %s", d->major, d->minor, channel_versions());
	for (unsigned int i = 0; i < d->files; i++)
		at[i] = d->file[i].at;
	g->size = view->length[STATE_CHANNEL];
	g->bytes = malloc(g->size);
	if (!g->bytes)
		abort();
	memcpy(g->bytes, view->part[STATE_CHANNEL], g->size);
	if (channel_parse(format, g->bytes, g->size, at, d->files, &g->channel, &not))
		return fail("%s", not.text);
	if (g->channel.devices != d->devices)
		return fail("the CPR channel has %u devices, the description of the VM %u", g->channel.devices, d->devices);
	return 0;
}

static int read_state(struct taking *t)
{
	int fd = continuo_retrieve(t->vm->ctx, t->session, STATE_TOKEN);
	struct state_view view;
	char not[WHY_MOST];
	struct stat st;

	if (fd < 0)
		return fail("session %s has no state of QEMU in it: %s", t->vm->name, continuo_why(t->vm->ctx));
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > MOST_STATE) {
		close(fd);
		return fail("the state has no size that it can have");
	}
	t->size = st.st_size;
	t->at = mmap(NULL, t->size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (t->at == MAP_FAILED) {
		t->at = NULL;
		return fail("the state cannot be mapped: %s", strerror(errno));
	}
	if (state_read(t->at, t->size, &view, not, sizeof(not)))
		return fail("%s", not);
	t->give.stream = view.part[STATE_STREAM];
	t->give.stream_size = view.length[STATE_STREAM];
	return describe_read(view.part[STATE_DESCRIPTION], view.length[STATE_DESCRIPTION], &t->give.description) ?:
	       read_channel(t, &view);
}

static int read_line(struct taking *t)
{
	struct json_object *list = json_get(t->give.description.all, "arguments");

	for (size_t i = 0; i < json_length(list); i++)
		args_add(&t->vm->line, json_object_get_string(json_at(list, i)));
	return 0;
}

/* --- descriptors --- */

static int find_memory(struct taking *t, const char *what, unsigned int index, uint64_t token)
{
	char name[CONTINUO_NAME];

	if (!t->taken)
		return continuo_retrieve(t->vm->ctx, t->session, token);
	describe_name(name, what, index);
	return continuo_vm_find_memory(t->taken, name);
}

/* The files that QEMU will open by their paths are those that have come over? */
static int find_backings(struct taking *t)
{
	struct giving *g = &t->give;

	for (int i = 0; i < g->description.backing.n; i++) {
		const struct backing *b = &g->description.backing.of[i];

		g->backing[i] = find_memory(t, "file", i, DESCRIBE_FILE_TOKEN(i));
		if (g->backing[i] < 0)
			return fail("memory \"%s\" has not come over: %s", b->id, continuo_why(t->vm->ctx));
		if (backing_same(b, g->backing[i]))
			return -1;
	}
	return 0;
}

static int find_files(struct taking *t)
{
	struct giving *g = &t->give;

	for (unsigned int i = 0; i < g->channel.fds; i++) {
		const struct described_file *f = &g->description.file[i];

		switch (f->use) {
		case USE_MEMORY:
			g->fd[i] = find_memory(t, "mem", f->index, DESCRIBE_TOKEN(f->index));
			break;
		case USE_IOMMUFD:
			g->fd[i] = t->taken ? continuo_vm_find_iommufd(t->taken) : -1;
			break;
		case USE_DEVICE:
			/* find_ids() has it. */
			break;
		case USE_EVENT:
			g->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			break;
		}
		if (g->fd[i] < 0)
			return fail("\"%s\" has not come over: %s", g->channel.fd[i].name,
				    f->use == USE_EVENT ? strerror(errno) : continuo_why(t->vm->ctx));
	}
	return 0;
}

/* The ids that devices, their IOAS and their HWPTs have now. And the devices. */
static int find_ids(struct taking *t, uint32_t device[CHANNEL_DEVICES], uint32_t hwpt[CHANNEL_DEVICES],
		    uint32_t *ioas)
{
	struct giving *g = &t->give;

	*ioas = 0;
	if (g->channel.devices && library(t->vm, continuo_vm_find_space(t->taken, 0, ioas)))
		return -1;
	for (unsigned int i = 0; i < g->channel.fds; i++) {
		const struct described_file *f = &g->description.file[i];
		char name[CONTINUO_NAME];

		if (f->use != USE_DEVICE)
			continue;
		describe_name(name, "vfio", f->index);
		g->fd[i] = continuo_vm_find_device(t->taken, name, &device[f->index], &hwpt[f->index]);
		if (library(t->vm, g->fd[i]))
			return -1;
	}
	return 0;
}

/* --- interrupts --- */

/* The eventfd of a device's interrupt, or -1. */
static int find_event(const struct giving *g, const char *device, const char *what, int32_t id)
{
	char name[CHANNEL_NAME + 20];

	snprintf(name, sizeof(name), "%s_%s", device, what);
	for (unsigned int i = 0; i < g->channel.fds; i++)
		if (g->channel.fd[i].id == id && !strcmp(g->channel.fd[i].name, name))
			return g->fd[i];
	return -1;
}

/* What came in between is not known: each vector once. */
static void kick(int event)
{
	if (event >= 0 && eventfd_write(event, 1))
		say("event", "an interrupt cannot be kicked: %s", strerror(errno));
}

static int wire_vectors(const struct giving *g, const char *device, int cdev, unsigned int index)
{
	int event[MOST_VECTORS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < MOST_VECTORS; i++) {
		/* KVM's, if it delivers this one. */
		event[i] = find_event(g, device, "kvm_interrupt", i);
		if (event[i] < 0)
			event[i] = find_event(g, device, "interrupt", i);
		if (event[i] >= 0)
			n = i + 1;
	}
	if (!n)
		return 0;
	if (irq_set(cdev, index, VFIO_IRQ_SET_ACTION_TRIGGER, event, n))
		return -1;
	for (unsigned int i = 0; i < n; i++)
		kick(event[i]);
	return n;
}

static int wire_intx(const struct giving *g, const char *device, int cdev)
{
	int event = find_event(g, device, "intx-interrupt", 0);
	int unmask = find_event(g, device, "intx-unmask", 0);

	if (event < 0)
		return 0;
	if (irq_set(cdev, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, &event, 1) ||
	    (unmask >= 0 && irq_set(cdev, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, &unmask, 1)))
		return -1;
	kick(event);
	return 1;
}

/* Errors and requests to let go: the VM runs without them, too. */
static void wire_other(const struct giving *g, const char *device, int cdev, const char *what,
		       unsigned int index)
{
	int event = find_event(g, device, what, 0);

	if (event >= 0 && irq_set(cdev, index, VFIO_IRQ_SET_ACTION_TRIGGER, &event, 1))
		say("event", "%s %s: %s", device, what, why());
}

static int wire_device(const struct giving *g, const char *device, int cdev, enum device_irq irq)
{
	int n = 0;

	switch (irq) {
	case IRQ_NONE:
		break;
	case IRQ_INTX:
		n = wire_intx(g, device, cdev);
		break;
	case IRQ_MSI:
		n = wire_vectors(g, device, cdev, VFIO_PCI_MSI_IRQ_INDEX);
		break;
	case IRQ_MSIX:
		n = wire_vectors(g, device, cdev, VFIO_PCI_MSIX_IRQ_INDEX);
		break;
	}
	if (n < 0)
		return fail("VFIO device \"%s\": %s", device, why());
	wire_other(g, device, cdev, "err_notifier", VFIO_PCI_ERR_IRQ_INDEX);
	wire_other(g, device, cdev, "req_notifier", VFIO_PCI_REQ_IRQ_INDEX);
	say("wired", "%s: %d interrupts, %s", device, n, irq_name(irq));
	return 0;
}

/* Interrupts anew, and the ids in the channel. */
static int wire(struct taking *t)
{
	uint32_t device[CHANNEL_DEVICES], hwpt[CHANNEL_DEVICES], ioas;
	struct giving *g = &t->give;

	if (find_ids(t, device, hwpt, &ioas) || find_files(t))
		return -1;
	for (unsigned int i = 0; i < g->channel.fds; i++) {
		const struct described_file *f = &g->description.file[i];

		if (f->use != USE_DEVICE)
			continue;
		if (wire_device(g, g->channel.fd[i].name, g->fd[i], g->description.irq[f->index]))
			return -1;
		for (unsigned int k = 0; k < g->channel.devices; k++)
			if (!strcmp(g->channel.device[k].name, g->channel.fd[i].name))
				channel_set(g->bytes, &g->channel.device[k], device[f->index], ioas, hwpt[f->index]);
	}
	return 0;
}

/* --- all of it --- */

static int retrieve(struct taking *t, uid_t uid)
{
	char name[CONTINUO_SESSION_NAME + 16];

	if (serve_connect(t->vm))
		return -1;
	/* Root names the sessions of all. A connection that was handed in is for the one session of NAME, whoever asks. */
	if (t->vm->agent_fd < 0 && uid != (uid_t)-1 && uid && !geteuid())
		snprintf(name, sizeof(name), "u%u.%s", uid, t->vm->name);
	else
		snprintf(name, sizeof(name), "%s", t->vm->name);
	t->session = continuo_session_retrieve(t->vm->ctx, name);
	if (library(t->vm, t->session))
		return -1;
	say("retrieved", "session %s", name);
	return 0;
}

static int become_user(struct taking *t, uid_t uid)
{
	long long kept = json_number(t->give.description.all, "uid", -1);

	if (uid != (uid_t)-1 && kept != (long long)uid)
		return fail("the agent says that the VM is of user %u, its state of user %lld", uid, kept);
	if (vm_make_dir(t->vm, kept, json_number(t->give.description.all, "gid", -1)))
		return -1;
	if (geteuid() == kept)
		return 0;
	/* From here on there is nothing for which the VM's user is not enough. */
	return keep_user(t->give.description.all) ?: serve_connect(t->vm);
}

static int rebuild(struct taking *t)
{
	struct vm *vm = t->vm;

	/*
	 * Both wait until an update with a way back is confirmed: here, because a QEMU that has accepted the VM
	 * has written to its memory.
	 */
	if (t->give.channel.devices)
		return library(vm, continuo_vm_move(vm->ctx, t->session, CONTINUO_REPLACE, &t->taken));
	return library(vm, continuo_ready(vm->ctx, t->session));
}

/*
 * Once a QEMU has accepted the VM, and before it runs: then devices can be reset again. Up to here
 * all of it can be done once more, by another continuo-qemu, with another QEMU. Not twice, if the
 * QEMU that had accepted it does not let it run.
 */
static int finish(struct giving *g)
{
	struct taking *t = (struct taking *)((char *)g - offsetof(struct taking, give));

	if (t->over)
		return 0;
	if (library(t->vm, continuo_finish(t->vm->ctx, t->session)))
		return -1;
	t->over = true;
	return 0;
}

static int take_over(struct taking *t, uid_t uid, uint64_t until)
{
	uint64_t patience = until - now_us();
	struct vm *vm = t->vm;
	int ret = -1;

	if (retrieve(t, uid) || read_state(t) || read_line(t) || become_user(t, uid) ||
	    give_start(&t->give, vm) || rebuild(t))
		return -1;
	say("rebuilt", "%u devices", t->give.channel.devices);
	/* How long others took is not held against this one. */
	until = now_us() + patience;
	if (find_backings(t) || wire(t))
		return -1;
	t->give.finish = finish;
	for (int i = 0; i < TRIES && ret; i++) {
		ret = give(&t->give, vm, until);
		if (ret)
			say("failed", "give %s%s", why(), i + 1 < TRIES ? "; another QEMU is started" : "");
	}
	if (!ret && continuo_session_release(vm->ctx, vm->name))
		say("event", "the session: %s", continuo_why(vm->ctx));
	return ret;
}

int take(struct vm *vm, uid_t uid, uint64_t until)
{
	struct taking t = { .vm = vm, .session = -1 };
	int64_t stopped_ms;
	int ret;

	for (int i = 0; i < CHANNEL_FDS; i++)
		t.give.fd[i] = -1;
	for (int i = 0; i < BACKINGS; i++)
		t.give.backing[i] = -1;
	say_step("take");
	ret = take_over(&t, uid, until);
	vm->no_p2p |= !ret && t.give.description.no_p2p;
	stopped_ms = !ret && t.give.description.ran ? t.give.description.stopped_ms : 0;
	if (ret)
		give_stop(&t.give, vm);
	for (unsigned int i = 0; i < t.give.channel.fds; i++)
		if (t.give.fd[i] >= 0)
			close(t.give.fd[i]);
	for (int i = 0; i < BACKINGS; i++)
		if (t.give.backing[i] >= 0)
			close(t.give.backing[i]);
	continuo_vm_free(t.taken);
	if (t.at)
		munmap(t.at, t.size);
	if (t.session >= 0)
		close(t.session);
	free(t.give.bytes);
	describe_free(&t.give.description);
	if (!ret)
		say_step("finished");
	if (stopped_ms)
		clock_mend(&vm->line, stopped_ms, vm->patience_us);
	return ret;
}
