// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmdline.h"
#include "formats.h"
#include "image.h"
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

/* What is known of a file before it is loaded. */
static int look_at(const char *name, unsigned char *head, ssize_t *n, unsigned long long *bytes)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), ret = EXIT_FINE;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		ret = trouble("%s: %s", name, strerror(errno));
	else if (!S_ISREG(st.st_mode) || !st.st_size)
		ret = trouble("%s: this is %s", name, S_ISREG(st.st_mode) ? "an empty file" : "no file with a kernel or initramfs in it");
	else
		*bytes += st.st_size;
	if (!ret && head) {
		*n = pread(fd, head, IMAGE_HEAD, 0);
		if (*n < 0)
			ret = trouble("%s: %s", name, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static int check_files(struct next *next)
{
	const char *kernel = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	char *meminfo = read_text(next->opt, "/proc/meminfo"), *why = NULL;
	unsigned char head[IMAGE_HEAD];
	unsigned long long bytes = 0;
	ssize_t n = 0;
	int ret;

	ret = look_at(kernel, head, &n, &bytes);
	if (!ret && initrd)
		ret = look_at(initrd, NULL, NULL, &bytes);
	if (!ret)
		why = image_objection(head, n, next->append) ?: image_room(bytes, meminfo ?: "");
	if (why)
		ret = trouble("%s: %s", kernel, why);
	free(why);
	free(meminfo);
	return ret;
}

int next_check(struct next *next)
{
	const char *kernel = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	char *now = read_text(next->opt, "/proc/cmdline"), *why;
	int ret;

	if (next->opt->given[OPT_APPEND])
		next->append = strdup(next->opt->given[OPT_APPEND]);
	else
		next->append = strdup(now ?: "");
	steps_begin(next->steps, "next", "%s with %s and '%s'", kernel, initrd ?: "no initramfs", next->append);
	why = cmdline_objection(now ?: "", next->append);
	ret = why ? trouble("the next kernel's command line: %s", why) : EXIT_FINE;
	ret = check_files(next) ?: ret;
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

static int say_refused(struct next *next, int err)
{
	char *list = read_text(next->opt, "/sys/kernel/security/lockdown"), *lockdown = image_lockdown(list);
	char *disabled = read_text(next->opt, "/proc/sys/kernel/kexec_load_disabled");
	char *why = image_refused(err, lockdown, disabled);

	trouble("%s cannot be loaded: %s", next->opt->given[OPT_KERNEL], why);
	free(why);
	free(disabled);
	free(lockdown);
	free(list);
	return EXIT_TROUBLE;
}

/* The running kernel has looked into the image when it loaded it. */
static int check_formats(struct next *next)
{
	struct json_object *view = model_new("image");
	int ret = view_image(next->opt, view);
	char *why = ret ? NULL : formats_objection(view);

	if (why)
		ret = trouble("%s: %s", next->opt->given[OPT_KERNEL], why);
	free(why);
	json_object_put(view);
	return ret;
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
		ret = ret ? say_refused(next, -ret) : check_formats(next);
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
