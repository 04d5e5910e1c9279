// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
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

int next_look_at(const struct options *opt, const char *kernel, const char *initrd, const char *append,
		 unsigned long long *bytes)
{
	char *meminfo = read_text(opt, "/proc/meminfo"), *why = NULL;
	unsigned char head[IMAGE_HEAD];
	struct utsname uts;
	ssize_t n = 0;
	int ret;

	ret = look_at(kernel, head, &n, bytes);
	if (!ret && initrd)
		ret = look_at(initrd, NULL, NULL, bytes);
	if (!ret)
		why = image_objection(head, n, append, uname(&uts) ? "" : uts.machine) ?: image_room(*bytes, meminfo ?: "");
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
					     is_without_iommu(next->opt)) ?:
			   back_objection(record_text(record, "append"), next->opt->given[OPT_CONFIRM_WITHIN]);
	if (why)
		ret = trouble("the next kernel's command line: %s", why);
	if (!ret && next->opt->given[OPT_CONFIRM_WITHIN] && !*record_text(record, "back"))
		ret = trouble("it was loaded without an image to go back to: have 'continuo load --confirm-within' load both");
	if (!ret && *record_text(record, "back") && !back_is_loaded(next->opt))
		ret = trouble("the image to go back to, %s, has been unloaded since: have 'continuo load' load both again",
			      record_text(record, "back"));
	if (!ret && *record_text(record, "back"))
		steps_begin(next->steps, "back", "if it fails: %s with %s and '%s'", record_text(record, "back"),
			    *record_text(record, "back_initrd") ? record_text(record, "back_initrd") : "no initramfs",
			    record_text(record, "back_append"));
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
	unsigned long long bytes = 0;
	char *now, *timers, *reused, *why;
	int ret;

	if (!kernel)
		return check_in_place(next);
	now = read_text(next->opt, "/proc/cmdline");
	timers = read_text(next->opt, "/proc/timer_list");
	reused = cmdline_without(now ?: "", BACK_WITHIN);
	next->append = cmdline_with_timer(next->opt->given[OPT_APPEND] ?: reused, timers ?: "");
	free(reused);
	free(timers);
	if (next->opt->given[OPT_BACK] || next->opt->given[OPT_CONFIRM_WITHIN])
		next->append = back_told(next->opt, next->append);
	steps_begin(next->steps, "next", "%s with %s and '%s'", kernel, initrd ?: "no initramfs", next->append);
	why = cmdline_objection(now ?: "", next->append, is_without_iommu(next->opt)) ?:
	      back_objection(next->append, next->opt->given[OPT_CONFIRM_WITHIN]);
	ret = why ? trouble("the next kernel's command line: %s", why) : EXIT_FINE;
	ret = next_look_at(next->opt, kernel, initrd, next->append, &bytes) ?: ret;
	steps_end(next->steps);
	free(why);
	/* There has to be memory for both of them. */
	ret = back_check(next->opt, &next->back, now ?: "", &bytes) ?: ret;
	if (next->back.append)
		steps_begin(next->steps, "back", "if it fails: %s with %s and '%s'%s%s%s", next->back.kernel ?: "no image",
			    next->back.initrd ?: "no initramfs", next->back.append,
			    next->opt->given[OPT_CONFIRM_WITHIN] ? ", also if it is not confirmed within " : "",
			    next->opt->given[OPT_CONFIRM_WITHIN] ?: "", next->opt->given[OPT_CONFIRM_WITHIN] ? " s" : "");
	free(now);
	return ret;
}

int next_kexec(int kernel, int initrd, const char *append, unsigned long flags)
{
	return syscall(SYS_kexec_file_load, kernel, initrd, append ? strlen(append) + 1 : 0,
		       append, flags) ? -errno : 0;
}

static int say_refused(struct next *next, const char *name, int err)
{
	char *list = read_text(next->opt, "/sys/kernel/security/lockdown"), *lockdown = image_lockdown(list);
	char *disabled = read_text(next->opt, "/proc/sys/kernel/kexec_load_disabled");
	char *why = image_refused(err, lockdown, disabled);

	trouble("%s cannot be loaded: %s", name, why);
	free(why);
	free(disabled);
	free(lockdown);
	free(list);
	return EXIT_TROUBLE;
}

static bool has_vfs(const void *arg, const char *driver)
{
	const struct options *opt = arg;
	bool found = false;
	struct dirent *e;
	char *path;
	DIR *dir;

	if (asprintf(&path, "%s/sys/bus/pci/drivers/%s", opt->root, driver) < 0)
		abort();
	dir = opendir(path);
	free(path);
	while (dir && !found && (e = readdir(dir)))
		found = is_there(opt, "/sys/bus/pci/drivers/%s/%s/virtfn0", driver, e->d_name);
	if (dir)
		closedir(dir);
	return found;
}

/* The running kernel has looked into the image when it loaded it. @record: NULL if it is not kept. */
static int check_formats(struct next *next, const char *name, struct json_object *record)
{
	struct json_object *view = model_new("image");
	int ret = view_image(next->opt, view);
	char *why = ret ? NULL : formats_objection(view, has_vfs, next->opt), *line = formats_line(view);

	if (why)
		ret = trouble("%s: %s", name, why);
	if (record)
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

/* A kernel and its initramfs, open, and both in the record. @ramfs: -1 if it has none. */
struct pair {
	const char *name;
	int kernel, ramfs;
};

static int open_pair(struct pair *p, const char *initrd, const char *const facts[4], struct json_object *record)
{
	p->ramfs = -1;
	p->kernel = open_file(p->name, facts[0], facts[1], record);
	if (p->kernel >= 0 && initrd)
		p->ramfs = open_file(initrd, facts[2], facts[3], record);
	return p->kernel >= 0 && (!initrd || p->ramfs >= 0) ? EXIT_FINE : EXIT_TROUBLE;
}

static void close_pair(const struct pair *p)
{
	if (p->kernel >= 0)
		close(p->kernel);
	if (p->ramfs >= 0)
		close(p->ramfs);
}

static int load_pair(struct next *next, const struct pair *p, const char *append, unsigned long flags)
{
	int ret = next_kexec(p->kernel, p->ramfs, append, flags | (p->ramfs < 0 ? KEXEC_FILE_NO_INITRAMFS : 0));

	if (ret)
		return say_refused(next, p->name, -ret);
	next->loaded = true;
	return EXIT_FINE;
}

/*
 * Which formats it reads the kernel says of the image that it would jump into: so for a moment it is that
 * one. Then it goes into the slot of its own.
 */
static int load_back(struct next *next, const struct pair *back)
{
	return load_pair(next, back, next->back.append, 0) ?: check_formats(next, back->name, NULL) ?:
	       load_pair(next, back, next->back.append, KEXEC_FILE_BACK);
}

/* Under the lock; all files are open. @back: NULL if there is to be no way back. */
static int load_files(struct next *next, const struct pair *it, const struct pair *back, struct json_object *record)
{
	int ret;

	placed_set_aside();
	ret = back ? load_back(next, back) : EXIT_FINE;
	if (!ret)
		ret = load_pair(next, it, next->append, 0);
	if (ret) {
		if (!next->loaded)
			placed_set_back();
		return ret;
	}
	/* One that went with what was loaded before, which is gone now. */
	ret = back ? EXIT_FINE : back_unload(next->opt);
	ret = check_formats(next, it->name, record) ?: ret;
	if (!ret)
		next->written = !placed_write(next->opt, record);
	return ret;
}

int next_load(struct next *next)
{
	static const char *const facts[4] = { "kernel", "sha256", "initrd", "initrd_sha256" };
	static const char *const back_facts[4] = { "back", "back_sha256", "back_initrd", "back_initrd_sha256" };
	struct pair it = { .name = next->opt->given[OPT_KERNEL] }, back = { .name = next->back.kernel, .kernel = -1, .ramfs = -1 };
	struct json_object *record;
	int lock, ret;

	steps_begin(next->steps, "load", "kexec_file_load of %s%s%s; what was loaded before is replaced", it.name,
		    next->back.wanted ? ", and to go back to of " : "", next->back.wanted ? back.name : "");
	if (next->steps->dry)
		return EXIT_FINE;
	if (!placed_lock(&lock)) {
		steps_end(next->steps);
		return EXIT_TROUBLE;
	}
	record = json_object_new_object();
	ret = open_pair(&it, next->opt->given[OPT_INITRD], facts, record);
	model_text(record, "append", next->append);
	if (!ret && next->back.wanted) {
		ret = open_pair(&back, next->back.initrd, back_facts, record);
		model_text(record, "back_append", next->back.append);
		if (next->opt->given[OPT_CONFIRM_WITHIN])
			model_text(record, "confirm_within", next->opt->given[OPT_CONFIRM_WITHIN]);
	}
	if (!ret)
		ret = load_files(next, &it, next->back.wanted ? &back : NULL, record);
	close_pair(&it);
	close_pair(&back);
	json_object_put(record);
	if (lock >= 0)
		close(lock);
	steps_end(next->steps);
	return ret;
}

const char *next_why_not_unloaded(int err)
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

int next_unload_any(const struct options *opt)
{
	int lock, ret;

	if (!placed_lock(&lock))
		return EXIT_TROUBLE;
	placed_set_aside();
	ret = next_kexec(-1, -1, NULL, KEXEC_FILE_UNLOAD);
	if (ret) {
		placed_set_back();
		ret = trouble("the loaded kernel cannot be unloaded: %s", next_why_not_unloaded(-ret));
	} else {
		placed_forget();
	}
	ret = back_unload(opt) ?: ret;
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
	ret = next_unload_any(next->opt);
	next->loaded = !!ret;
	steps_end(next->steps);
	return ret;
}
