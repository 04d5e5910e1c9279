// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmdline.h"
#include "next.h"

int next_check_host(struct next *next)
{
	struct json_object *found = check_host(next->opt), *ready, *rows;
	int ret = EXIT_FINE;

	steps_begin(next->steps, "check", "is this host ready?");
	json_object_object_get_ex(found, "ready", &ready);
	json_object_object_get_ex(found, "host", &rows);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *ok, *what, *why;

		json_object_object_get_ex(row, "ok", &ok);
		if (strcmp(json_object_get_string(ok), "no"))
			continue;
		json_object_object_get_ex(row, "check", &what);
		json_object_object_get_ex(row, "remedy", &why);
		trouble("not ready: %s: %s", json_object_get_string(what),
			json_object_get_string(why));
		ret = EXIT_NOT_READY;
	}
	json_object_put(found);
	steps_end(next->steps);
	return ret;
}

int next_check(struct next *next)
{
	const char *kernel = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	char *now = read_text(next->opt, "/proc/cmdline"), *why;
	int ret = EXIT_FINE;

	if (next->opt->given[OPT_APPEND])
		next->append = strdup(next->opt->given[OPT_APPEND]);
	else
		next->append = strdup(now ?: "");
	steps_begin(next->steps, "next", "%s with %s and '%s'", kernel, initrd ?: "no initramfs", next->append);
	why = cmdline_objection(now ?: "", next->append);
	if (why)
		ret = trouble("the next kernel's command line: %s", why);
	else if (access(kernel, R_OK))
		ret = trouble("%s: %s", kernel, strerror(errno));
	else if (initrd && access(initrd, R_OK))
		ret = trouble("%s: %s", initrd, strerror(errno));
	free(why);
	free(now);
	steps_end(next->steps);
	return ret;
}

static int kexec_load(int kernel, int initrd, const char *append, unsigned long flags)
{
	return syscall(SYS_kexec_file_load, kernel, initrd, append ? strlen(append) + 1 : 0,
		       append, flags) ? -errno : 0;
}

int next_load(struct next *next)
{
	const char *name = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	int kernel, ramfs = -1, ret;

	steps_begin(next->steps, "load", "kexec_file_load of %s; what was loaded before is replaced", name);
	if (next->steps->dry)
		return EXIT_FINE;
	kernel = open(name, O_RDONLY | O_CLOEXEC);
	if (initrd)
		ramfs = open(initrd, O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || (initrd && ramfs < 0)) {
		ret = trouble("%s: %s", kernel < 0 ? name : initrd, strerror(errno));
	} else {
		ret = kexec_load(kernel, ramfs, next->append, initrd ? 0 : KEXEC_FILE_NO_INITRAMFS);
		next->loaded = !ret;
		if (ret)
			ret = trouble("%s cannot be loaded: %s; the kernel log says why", name,
				      strerror(-ret));
	}
	if (kernel >= 0)
		close(kernel);
	if (ramfs >= 0)
		close(ramfs);
	steps_end(next->steps);
	return ret;
}

int next_unload(struct next *next)
{
	int ret;

	if (!next->loaded)
		return EXIT_FINE;
	steps_begin(next->steps, "unload", "the loaded kernel is unloaded");
	ret = kexec_load(-1, -1, NULL, KEXEC_FILE_UNLOAD);
	if (ret)
		ret = trouble("the loaded kernel cannot be unloaded: %s", strerror(-ret));
	steps_end(next->steps);
	return ret;
}
