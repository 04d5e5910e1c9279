// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/array.h"
#include "core/clock.h"
#include "core/end.h"
#include "hypervisor/disk.h"

#define DISK		"/dev/vda"
#define PATIENCE_US	120000000ull

/* QEMU is at home at these paths, whereas the root is an initramfs. */
static const char *const links[] = {
	"/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/bin/qemu-system-x86_64",
	"/usr/share/qemu", "/usr/share/seabios",
};

static void make_parents(const char *path)
{
	char parent[64];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(parent, path, slash - path);
		parent[slash - path] = 0;
		if (mkdir(parent, 0755) && errno != EEXIST)
			die("mkdir %s: %s", parent, strerror(errno));
	}
}

void disk_mount(void)
{
	char target[80];

	mkdir(HOST, 0755);
	if (mount(DISK, HOST, "ext4", 0, NULL))
		die("mount %s: %s", DISK, strerror(errno));
	for (unsigned int i = 0; i < ARRAY_SIZE(links); i++) {
		make_parents(links[i]);
		strcpy(target, HOST);
		strcat(target, links[i]);
		if (symlink(target, links[i]))
			die("link %s to %s: %s", links[i], target, strerror(errno));
	}
}

void disk_umount(void)
{
	uint64_t end = now_us() + PATIENCE_US;

	while (umount(HOST)) {
		if (errno != EBUSY || now_us() > end)
			die("umount %s: %s", HOST, strerror(errno));
		usleep(10000);
	}
}
