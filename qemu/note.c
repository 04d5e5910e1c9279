// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "note.h"
#include "say.h"

/* When the process was started, which tells it from one that has its number later. */
static long long started(pid_t pid)
{
	char path[40], text[1024], *at;
	long long when = -1;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	/* The name, in brackets, can have anything in it. The 22nd field is the 20th behind it. */
	at = strrchr(text, ')');
	for (int i = 0; at && i < 20; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (at)
		when = atoll(at);
	return when;
}

void note_write(struct vm *vm)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const char *path = vm_path(vm, "json");
	char *new;
	FILE *f;

	json_put_number(o, "pid", vm->pid);
	json_put_number(o, "started", started(vm->pid));
	json_put_bool(o, "stopped", vm->stopped);
	json_put_number(o, "ioas", vm->ioas);
	for (unsigned int i = 0; i < vm->hwpts; i++)
		json_object_array_add(list, json_object_new_int64(vm->hwpt[i]));
	json_object_object_add(o, "hwpts", list);
	if (asprintf(&new, "%s.new", path) < 0)
		abort();
	f = fopen(new, "we");
	if (!f || fprintf(f, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)) < 0 ||
	    fflush(f) || rename(new, path))
		say("event", "%s cannot be written: %s; if continuo-qemu dies now, the next one knows nothing of what was done",
		    path, strerror(errno));
	if (f)
		fclose(f);
	free(new);
	json_object_put(o);
}

void note_remove(struct vm *vm)
{
	unlink(vm_path(vm, "json"));
}

bool note_read(struct vm *vm)
{
	struct json_object *o = json_object_from_file(vm_path(vm, "json")), *list;
	bool mine = o && json_number(o, "pid", -1) == vm->pid && json_number(o, "started", -2) == started(vm->pid);

	if (mine) {
		list = json_get(o, "hwpts");
		vm->stopped = json_is_true(o, "stopped");
		vm->ioas = json_number(o, "ioas", 0);
		for (size_t i = 0; i < json_length(list) && i < VM_HWPTS; i++)
			vm->hwpt[vm->hwpts++] = json_object_get_int64(json_at(list, i));
	}
	json_object_put(o);
	return mine;
}
