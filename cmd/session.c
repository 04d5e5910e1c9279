// SPDX-License-Identifier: GPL-2.0-only
/* retrieve, verify and finish: a session that came from the previous kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "manifest.h"

#define MOST_BYTES	(1 << 26)

static void describe_manifest(struct json_object *o, const struct manifest *m)
{
	struct json_object *table = model_table(o, "memory"), *row;

	for (uint32_t i = 0; i < m->head.memories; i++) {
		row = model_row(table);
		model_text(row, "name", m->memory[i].name);
		model_int(row, "bytes", m->memory[i].size);
	}
	table = model_table(o, "mapping");
	for (uint32_t i = 0; i < m->head.mappings; i++) {
		const struct manifest_mapping *map = &m->mapping[i];

		row = model_row(table);
		model_int(row, "space", map->space);
		model_format(row, "iova", "%#llx", (unsigned long long)map->iova);
		model_int(row, "bytes", map->length);
		model_text(row, "memory", m->memory[map->memory].name);
		model_format(row, "offset", "%#llx", (unsigned long long)map->offset);
		model_format(row, "prot", "%s%s", map->prot & CONTINUO_READ ? "r" : "",
			     map->prot & CONTINUO_WRITE ? "w" : "");
	}
	table = model_table(o, "device");
	for (uint32_t i = 0; i < m->head.devices; i++) {
		row = model_row(table);
		model_text(row, "name", m->device[i].name);
		model_int(row, "hwpt", m->device[i].hwpt);
		model_int(row, "space", m->hwpt[m->device[i].hwpt].space);
	}
}

/* What continuo_vm_preserve() has left in the session. */
static int read_manifest(struct continuo *ctx, int session, struct json_object *o)
{
	int fd = continuo_retrieve(ctx, session, MANIFEST_TOKEN), ret;
	struct manifest_why why = {};
	struct manifest m;
	struct stat st;
	void *buffer = NULL;

	if (fd < 0)
		return ask_trouble(ctx);
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > MOST_BYTES ||
	    !(buffer = malloc(st.st_size)) || pread(fd, buffer, st.st_size, 0) != st.st_size) {
		ret = trouble("the session's manifest cannot be read");
	} else if (manifest_read(buffer, st.st_size, &m, &why) || manifest_check(&m, &why)) {
		ret = trouble("the session's manifest cannot be used: %s", why.text);
	} else {
		describe_manifest(o, &m);
		ret = EXIT_FINE;
	}
	free(buffer);
	close(fd);
	return ret;
}

/* Takes over what nobody has, and lets go of it, which stops the devices. */
static int discard(struct continuo *ctx, int session)
{
	struct continuo_vm *vm;

	if (continuo_vm_take(ctx, session, CONTINUO_REPLACE, &vm)) {
		ask_trouble(ctx);
		return trouble("it cannot be taken over; removing a device stops it: echo 1 > /sys/bus/pci/devices/BDF/remove");
	}
	continuo_vm_free(vm);
	return EXIT_FINE;
}

/* What becomes of the session afterwards. */
enum afterwards { KEEP, RELEASE, LEAVE };

static int with_session(const struct options *opt, const char *command,
			int (*body)(struct continuo *ctx, int session, struct json_object *o),
			const char *outcome, enum afterwards afterwards)
{
	struct continuo *ctx = ask_begin(opt, false);
	const char *name = opt->argv[0];
	struct json_object *o;
	int session, ret, let_go;

	if (!ctx)
		return EXIT_TROUBLE;
	o = model_new(command);
	session = continuo_session_retrieve(ctx, name);
	if (session < 0) {
		ret = ask_trouble(ctx);
	} else {
		ret = body(ctx, session, o);
		close(session);
	}
	if (!ret) {
		model_text(o, "session", name);
		model_text(o, "outcome", outcome);
		let_go = afterwards == RELEASE ? continuo_session_release(ctx, name) :
			 afterwards == LEAVE ? continuo_update_leave(ctx, name) : 0;
		/* Without an agent there is nobody else who has it; nor if it has ended. */
		if (let_go && let_go != -ENOTCONN && let_go != -ENOENT)
			ret = ask_trouble(ctx);
		model_print(stdout, o, opt->json);
	}
	json_object_put(o);
	continuo_free(ctx);
	return ret;
}

int cmd_retrieve(const struct options *opt)
{
	return with_session(opt, "retrieve", read_manifest, "retrieved; nothing of it has been taken over", KEEP);
}

static int verify(struct continuo *ctx, int session, struct json_object *o)
{
	(void)o;
	return continuo_vm_verify(ctx, session) ? ask_trouble(ctx) : EXIT_FINE;
}

int cmd_verify(const struct options *opt)
{
	return with_session(opt, "verify", verify, "what was rebuilt says what the hardware is using; it is as it was", KEEP);
}

static int finish(struct continuo *ctx, int session, struct json_object *o)
{
	(void)o;
	return continuo_finish(ctx, session) ? ask_trouble(ctx) : EXIT_FINE;
}

static int finish_discard(struct continuo *ctx, int session, struct json_object *o)
{
	(void)o;
	return discard(ctx, session);
}

int cmd_finish(const struct options *opt)
{
	if (opt->given[OPT_DISCARD])
		return with_session(opt, "finish", finish_discard, "taken over and let go of; its devices are stopped", LEAVE);
	return with_session(opt, "finish", finish, "finished", RELEASE);
}
