// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loaded kernel does not read what this one writes: reboot(2) has to say so,
 * and the machine goes on. What is tried are copies of the next kernel with
 * something written over: each file in /skew says where and what.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "scenarios/unread_formats.h"
#include "update/names.h"
#include "update/preserve.h"

#define KERNEL		"/next/bzImage"
#define CHANGES		"/skew"
#define FILES_MAX	32

/* reboot(2) has come back: nothing is frozen, and all is still preserved. */
static void back(struct rig *r, const char *image, int ret)
{
	if (rig_probe(r) != -EBUSY)
		die("%s: a preserved IOAS takes a map after the jump was refused",
		    image);
	rig_poll(r);
	emit("skew", ",\"image\":\"%s\",\"errno\":%d,\"text\":\"%s\"", image,
	     -ret, strerror(-ret));
}

/* A copy of the next kernel, with the bytes (hex) at an offset (decimal) changed. */
static void load_changed(const char *name)
{
	static char image[64 << 20];
	char path[300], text[256];
	ssize_t len = read_file(KERNEL, image, sizeof(image));
	unsigned long at;
	char *hex;
	int fd;

	if (len <= 0 || len == sizeof(image) - 1)
		die("read %s", KERNEL);
	snprintf(path, sizeof(path), CHANGES "/%s", name);
	if (read_file(path, text, sizeof(text)) <= 0)
		die("read %s", path);
	at = strtoul(text, &hex, 10);
	for (hex++; hex[0] && hex[1]; hex += 2, at++) {
		unsigned int byte;

		if (at >= (unsigned long)len || sscanf(hex, "%2x", &byte) != 1)
			die("%s: what is this: %s", path, text);
		image[at] = byte;
	}

	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0 || write(fd, image, len) != len)
		die("write the image %s: %s", name, strerror(errno));
	if (syscall(SYS_kexec_file_load, fd, -1, 1ul, "",
		    0x4ul /* no initramfs */))
		die("kexec_file_load of %s: %s", name, strerror(errno));
	close(fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void preserve_all(struct rig *r)
{
	for (int step = STEP_SESSION; step <= STEP_AUDIO; step++)
		must(preserve_step(r, step), "preserve");
}

void jump_to_unread_formats(struct rig *r)
{
	char *names[FILES_MAX];
	DIR *dir = opendir(CHANGES);
	struct dirent *entry;
	unsigned int n = 0;

	if (!dir)
		die("open %s: %s", CHANGES, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (n == FILES_MAX)
			die("too many files in %s", CHANGES);
		names[n++] = strdup(entry->d_name);
	}
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);

	must(preserve_step(r, STEP_MARK), "mark the HWPT");
	r->nic.marked = r->nic.hwpt;
	preserve_all(r);
	for (unsigned int i = 0; i < n; i++) {
		load_changed(names[i]);
		back(r, names[i], kexec_try());
		free(names[i]);
	}
	kexec_load_segments();
	back(r, "kexec_load", kexec_try());
	close(r->session);
	r->session = -1;
	emit("skew_over", "");
}

/* With a back image loaded, for what knows no way back. */
void jump_with_back_image(struct rig *r)
{
	opt_set("back=1");
	kexec_load_this_stage();
	opt_set("back=0");
	must(preserve_step(r, STEP_MARK), "mark the HWPT");
	r->nic.marked = r->nic.hwpt;
	preserve_all(r);
	back(r, "back", kexec_try());
	close(r->session);
	r->session = -1;
	kexec_unload_back();
	emit("skew_over", "");
}

/*
 * A mark that is to be kept needs the newer format of the iommufd, which the
 * loaded kernel does not read. Without it the older one does.
 */
void jump_with_kept_mark(struct rig *r)
{
	must(iommufd_hwpt_mark(r->iommufd, r->nic.hwpt, TOKEN_HWPT_NIC,
			       UIO_MARK_KEEP), "mark the HWPT, to be kept");
	r->nic.marked = r->nic.hwpt;
	kexec_load_this_stage();
	preserve_all(r);
	back(r, "kept", kexec_try());
	close(r->session);
	r->session = -1;
	must(iommufd_hwpt_mark(r->iommufd, r->nic.hwpt, TOKEN_HWPT_NIC, 0),
	     "mark the HWPT, not to be kept");
	emit("skew_over", "");
}
