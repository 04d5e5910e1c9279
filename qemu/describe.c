// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "files.h"
#include "keep.h"
#include "say.h"
#include "state.h"

static const char *const uses[] = {
	[USE_MEMORY] = "memory", [USE_IOMMUFD] = "iommufd", [USE_DEVICE] = "device", [USE_EVENT] = "event",
};

void describe_name(char name[CONTINUO_NAME], const char *what, unsigned int i)
{
	snprintf(name, CONTINUO_NAME, "%s-%u", what, i);
}

/* --- writing --- */

static unsigned int device_index(const struct channel *c, const char *name)
{
	unsigned int i;

	for (i = 0; i < c->devices && strcmp(c->device[i].name, name); i++)
		;
	return i;
}

/* Which interrupts a device has in use, the virtual CPUs being stopped. */
static int find_irq(struct vm *vm, const struct capture *now, const struct channel_device *d)
{
	char name[CHANNEL_NAME + 20];
	int at = capture_find(&vm->learned, d->name, 0), irq;

	irq = device_irq(vm->learned.fd[at]);
	if (irq < 0)
		return fail("VFIO device \"%s\": %s", d->name, why());
	snprintf(name, sizeof(name), "%s_intx-interrupt", d->name);
	if (irq == IRQ_NONE && capture_find(now, name, 0) >= 0)
		irq = IRQ_INTX;
	return irq;
}

/* Each virtual CPU's processors, in the order of their numbers. */
static struct json_object *pinning(struct vm *vm, uint64_t until)
{
	struct json_object *list = json_object_new_array(), *o;

	o = qmp_ask(&vm->qmp, until, "query-cpus-fast", NULL);
	for (size_t i = 0; i < json_length(o); i++) {
		char *text = keep_processors(json_number(json_at(o, i), "thread-id", 0));

		json_object_array_add(list, json_object_new_string(text ?: ""));
		free(text);
	}
	json_object_put(o);
	return list;
}

static struct json_object *arguments(const struct args *a)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < a->n; i++)
		json_object_array_add(list, json_object_new_string(a->v[i]));
	return list;
}

static int describe_devices(struct vm *vm, const struct capture *now, struct json_object *all)
{
	struct json_object *list = json_object_new_array(), *o;

	json_object_object_add(all, "devices", list);
	/* In the order of what was learned, after which they are called in the session. */
	for (unsigned int i = 0; i < vm->learned.channel.devices; i++) {
		const struct channel_device *d = &vm->learned.channel.device[i];
		int irq = find_irq(vm, now, d);

		if (irq < 0)
			return -1;
		o = json_object_new_object();
		json_put_text(o, "name", d->name);
		json_put_text(o, "irq", irq_name(irq));
		json_object_array_add(list, o);
	}
	return 0;
}

/* Memory and devices are called after their places in what was learned. */
static void describe_files(struct vm *vm, const struct capture *now, struct json_object *all)
{
	struct json_object *list = json_object_new_array(), *o;

	json_object_object_add(all, "files", list);
	for (unsigned int i = 0; i < now->channel.fds; i++) {
		const struct channel_fd *f = &now->channel.fd[i];
		int was = capture_find(&vm->learned, f->name, f->id);
		enum vm_use use = was < 0 ? USE_EVENT : vm->use[was];

		o = json_object_new_object();
		json_put_text(o, "name", f->name);
		json_put_number(o, "id", f->id);
		json_put_number(o, "at", f->at);
		json_put_text(o, "use", uses[use]);
		json_put_number(o, "index", use == USE_MEMORY ? (unsigned int)was :
					    use == USE_DEVICE ? device_index(&vm->learned.channel, f->name) : 0);
		json_object_array_add(list, o);
	}
}

int describe_write(struct vm *vm, const struct capture *now)
{
	struct json_object *all = keep_process(vm->pid);
	const char *text;
	size_t room, n;
	void *at;
	int ret;

	if (!all)
		return -1;
	json_put_number(all, "format_version", vm->backing.n ? DESCRIBE_VERSION : DESCRIBE_VERSION - 1);
	json_put_number(all, "major", vm->qmp.major);
	json_put_number(all, "minor", vm->qmp.minor);
	json_put_number(all, "micro", vm->qmp.micro);
	json_put_bool(all, "ran", vm->ran);
	json_put_number(all, "stopped-ms", vm->stopped_ms);
	if (vm->no_p2p)
		json_put_bool(all, "no-p2p", true);
	/* Without the sockets that continuo-qemu has added. */
	json_object_object_add(all, "arguments", arguments(&vm->line));
	json_object_object_add(all, "virtual-processors", pinning(vm, now_us() + vm->patience_us));
	describe_files(vm, now, all);
	if (vm->backing.n)
		json_object_object_add(all, "memory-files", backings_describe(&vm->backing));
	ret = describe_devices(vm, now, all);
	text = json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN);
	n = strlen(text);
	at = state_room(vm->at, STATE_DESCRIPTION, &room);
	if (!ret && n > room)
		ret = fail("the description of the VM has %zu bytes; there is room for %zu", n, room);
	if (!ret) {
		memcpy(at, text, n);
		state_put(vm->at, STATE_DESCRIPTION, n);
	}
	json_object_put(all);
	return ret;
}

/* --- reading --- */

static int read_file(struct json_object *o, struct described_file *f)
{
	const char *use = json_text(o, "use");
	long long index = json_number(o, "index", -1), at = json_number(o, "at", -1);

	for (f->use = USE_MEMORY; f->use <= USE_EVENT && strcmp(uses[f->use], use); f->use++)
		;
	if (f->use > USE_EVENT || index < 0 || index >= CHANNEL_FDS || at < 0 || at >= CHANNEL_BYTES)
		return fail("the description of the VM has a descriptor that cannot be: %.80s", json_text(o, "name"));
	f->index = index;
	f->at = at;
	return 0;
}

static bool is_texts(struct json_object *list, size_t least)
{
	for (size_t i = 0; i < json_length(list); i++)
		if (!json_object_is_type(json_at(list, i), json_type_string))
			return false;
	return json_length(list) >= least;
}

static int read_all(struct described *d)
{
	struct json_object *files = json_get(d->all, "files"), *devices = json_get(d->all, "devices");

	long long version = json_number(d->all, "format_version", -1);

	if (version < 1 || version > DESCRIBE_VERSION)
		return fail("the description of the VM has the format version %lld; this continuo-qemu reads 1 to %d", version,
			    DESCRIBE_VERSION);
	d->major = json_number(d->all, "major", -1);
	d->minor = json_number(d->all, "minor", -1);
	d->ran = json_is_true(d->all, "ran");
	d->stopped_ms = json_number(d->all, "stopped-ms", 0);
	d->no_p2p = json_is_true(d->all, "no-p2p");
	d->files = json_length(files);
	d->devices = json_length(devices);
	if (!d->files || json_length(files) > CHANNEL_FDS || json_length(devices) > CHANNEL_DEVICES)
		return fail("the description of the VM has %zu descriptors and %zu devices", json_length(files), json_length(devices));
	if (!is_texts(json_get(d->all, "arguments"), 1) || !is_texts(json_get(d->all, "environment"), 0) ||
	    !is_texts(json_get(d->all, "virtual-processors"), 0) || !is_texts(json_get(d->all, "mapped"), 0))
		return fail("the description of the VM has no command line");
	for (unsigned int i = 0; i < d->files; i++)
		if (read_file(json_at(files, i), &d->file[i]))
			return -1;
	for (unsigned int i = 0; i < d->files; i++)
		if (d->file[i].use == USE_DEVICE && d->file[i].index >= d->devices)
			return fail("the description of the VM has a device %u of %u", d->file[i].index, d->devices);
	for (unsigned int i = 0; i < d->devices; i++)
		d->irq[i] = irq_named(json_text(json_at(devices, i), "irq"));
	return backings_read(&d->backing, json_get(d->all, "memory-files"));
}

int describe_read(const void *text, size_t size, struct described *d)
{
	struct json_tokener *tok = json_tokener_new();
	int ret;

	memset(d, 0, sizeof(*d));
	d->all = tok && size < INT32_MAX ? json_tokener_parse_ex(tok, text, size) : NULL;
	json_tokener_free(tok);
	if (!d->all)
		return fail("the description of the VM is no JSON");
	ret = read_all(d);
	if (ret)
		describe_free(d);
	return ret;
}

void describe_free(struct described *d)
{
	backings_free(&d->backing);
	json_object_put(d->all);
	d->all = NULL;
}
