// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmdline.h"
#include "formats.h"
#include "image.h"
#include "next.h"
#include "placed.h"
#include "record.h"
#include "sha256.h"

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
	struct utsname uts;
	ssize_t n = 0;
	int ret;

	ret = look_at(kernel, head, &n, &bytes);
	if (!ret && initrd)
		ret = look_at(initrd, NULL, NULL, &bytes);
	if (!ret)
		why = image_objection(head, n, next->append, uname(&uts) ? "" : uts.machine) ?: image_room(bytes, meminfo ?: "");
	if (why)
		ret = trouble("%s: %s", kernel, why);
	free(why);
	free(meminfo);
	return ret;
}

/* It is loaded already: what is known of it? */
static int check_in_place(struct next *next)
{
	char *now = read_text(next->opt, "/proc/cmdline"), *why;
	struct json_object *record;
	enum placed placed = placed_find(next->opt, &record, &why);
	int ret = EXIT_FINE;

	if (placed == PLACED_KNOWN)
		steps_begin(next->steps, "next", "%s with %s and '%s', in place since %s", record_text(record, "kernel"),
			    *record_text(record, "initrd") ? record_text(record, "initrd") : "no initramfs",
			    record_text(record, "append"), record_text(record, "loaded"));
	else
		steps_begin(next->steps, "next", "which kernel is in place?");
	if (placed == PLACED_NONE)
		ret = trouble("no kernel is in place%s%s; give --kernel, or have 'continuo load' load one before",
			      why ? ": " : "", why ?: "");
	else if (placed == PLACED_UNKNOWN)
		ret = trouble("a kernel is loaded, and nobody knows which: %s; have 'continuo load' load the one that is meant, or give --kernel",
			      why);
	free(why);
	why = ret ? NULL : cmdline_objection(now ?: "", record_text(record, "append"),
					     is_without_iommu(next->opt));
	if (why)
		ret = trouble("the next kernel's command line: %s", why);
	next->in_place = !ret;
	free(why);
	free(now);
	json_object_put(record);
	steps_end(next->steps);
	return ret;
}

int next_check(struct next *next)
{
	const char *kernel = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	char *now, *timers, *why;
	int ret;

	if (!kernel)
		return check_in_place(next);
	now = read_text(next->opt, "/proc/cmdline");
	timers = read_text(next->opt, "/proc/timer_list");
	next->append = cmdline_with_timer(next->opt->given[OPT_APPEND] ?: now ?: "", timers ?: "");
	free(timers);
	steps_begin(next->steps, "next", "%s with %s and '%s'", kernel, initrd ?: "no initramfs", next->append);
	why = cmdline_objection(now ?: "", next->append, is_without_iommu(next->opt));
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
static int check_formats(struct next *next, struct json_object *record)
{
	struct json_object *view = model_new("image");
	int ret = view_image(next->opt, view);
	char *why = ret ? NULL : formats_objection(view), *line = formats_line(view);

	if (why)
		ret = trouble("%s: %s", next->opt->given[OPT_KERNEL], why);
	model_text(record, "formats", line);
	free(line);
	free(why);
	json_object_put(view);
	return ret;
}

/* A file that is to be loaded, and its name and hash for the record; -1 if not, which was said. */
static int open_file(const char *file, const char *name, const char *hash, struct json_object *record)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), ret;
	char *whole = realpath(file, NULL), sum[SHA256_TEXT];

	ret = fd < 0 ? -errno : sha256_file(fd, sum);
	model_text(record, name, whole ?: file);
	free(whole);
	if (ret) {
		trouble("%s: %s", file, strerror(-ret));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	model_text(record, hash, sum);
	return fd;
}

/* Under the lock; both files are open. */
static int load_files(struct next *next, int kernel, int initrd, struct json_object *record)
{
	int ret;

	placed_set_aside();
	ret = kexec_load(kernel, initrd, next->append, initrd < 0 ? KEXEC_FILE_NO_INITRAMFS : 0);
	if (ret) {
		placed_set_back();
		return say_refused(next, -ret);
	}
	next->loaded = true;
	ret = check_formats(next, record);
	if (!ret)
		next->written = !placed_write(next->opt, record);
	return ret;
}

int next_load(struct next *next)
{
	const char *name = next->opt->given[OPT_KERNEL], *initrd = next->opt->given[OPT_INITRD];
	int kernel, ramfs = -1, lock, ret = EXIT_TROUBLE;
	struct json_object *record;

	steps_begin(next->steps, "load", "kexec_file_load of %s; what was loaded before is replaced", name);
	if (next->steps->dry)
		return EXIT_FINE;
	if (!placed_lock(&lock)) {
		steps_end(next->steps);
		return EXIT_TROUBLE;
	}
	record = json_object_new_object();
	kernel = open_file(name, "kernel", "sha256", record);
	if (initrd && kernel >= 0)
		ramfs = open_file(initrd, "initrd", "initrd_sha256", record);
	model_text(record, "append", next->append);
	if (kernel >= 0 && (!initrd || ramfs >= 0))
		ret = load_files(next, kernel, ramfs, record);
	if (kernel >= 0)
		close(kernel);
	if (ramfs >= 0)
		close(ramfs);
	json_object_put(record);
	if (lock >= 0)
		close(lock);
	steps_end(next->steps);
	return ret;
}

static const char *why_not_unloaded(int err)
{
	switch (err) {
	case EPERM:
		return "it takes root with CAP_SYS_BOOT, and kernel.kexec_load_disabled to be 0; if that is 1, it stays so, and the kernel loaded, until the next reboot";
	case EBUSY:
		return "somebody else is loading or starting a kernel at this moment; try again";
	default:
		return strerror(err);
	}
}

int next_unload_any(void)
{
	int lock, ret;

	if (!placed_lock(&lock))
		return EXIT_TROUBLE;
	placed_set_aside();
	ret = kexec_load(-1, -1, NULL, KEXEC_FILE_UNLOAD);
	if (ret) {
		placed_set_back();
		ret = trouble("the loaded kernel cannot be unloaded: %s", why_not_unloaded(-ret));
	} else {
		placed_forget();
	}
	if (lock >= 0)
		close(lock);
	return ret;
}

int next_unload(struct next *next)
{
	int ret;

	if (!next->loaded)
		return EXIT_FINE;
	steps_begin(next->steps, "unload", "the loaded kernel is unloaded");
	ret = next_unload_any();
	next->loaded = !!ret;
	steps_end(next->steps);
	return ret;
}
