// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/removal.h"
#include "scenarios/uncooperative/requests.h"

#define PCI_COMMAND	0x04

static void named(const char *name, char bdf[BDF_LEN])
{
	bool nic = !strcmp(name, "nic");

	if (vfio_find(ID_INTEL, nic ? ID_IGB : ID_HDA_ICH6, 0, bdf) &&
	    (nic || vfio_find(ID_INTEL, ID_HDA_ICH9, 0, bdf)))
		bdf[0] = 0;
}

static pid_t remover;

void uncoop_remove(struct rig *r, const char *name)
{
	char bdf[BDF_LEN];

	named(name, bdf);
	if (!bdf[0])
		die("the device %s is not there", name);
	remover = fork();
	if (remover < 0)
		die("fork: %s", strerror(errno));
	if (!remover) {
		int ret;

		/* What it has inherited would keep the device from going. */
		if (r->nic.present)
			munmap((void *)r->nic.v.bar0, r->nic.v.bar0_len);
		if (r->audio.present)
			munmap((void *)r->audio.v.bar0, r->audio.v.bar0_len);
		for (int fd = 3; fd < 256; fd++)
			if (fd != ctl_fd())
				close(fd);
		ret = sysfs_write(bdf, "remove", "1");
		emit("removed", ",\"dev\":\"%s\",\"errno\":%d", name, -ret);
		_exit(0);
	}
	emit("removing", ",\"dev\":\"%s\"", name);
}

void uncoop_rescan(struct rig *r, const char *arg)
{
	int ret = try_write("/sys/bus/pci/rescan", "1");

	emit("uncoop", ",\"what\":\"rescan\",\"errno\":%d", -ret);
}

/* Without any driver's help: as PCI has it in config space. */
void uncoop_look(struct rig *r, const char *name)
{
	char bdf[BDF_LEN], path[160];
	uint16_t command = 0;
	int fd, there;

	named(name, bdf);
	there = bdf[0] != 0;
	snprintf(path, sizeof(path), PCI_DIR "/%s/config", bdf);
	fd = there ? open(path, O_RDONLY) : -1;
	if (fd >= 0 && pread(fd, &command, 2, PCI_COMMAND) != 2)
		die("read the config space of %s", bdf);
	if (fd >= 0)
		close(fd);
	emit("look", ",\"dev\":\"%s\",\"there\":%d,\"command\":%u", name,
	     there, command);
}

void uncoop_close(struct rig *r, const char *name)
{
	struct device *d = strcmp(name, "nic") ? &r->audio : &r->nic;

	if (d == &r->nic) {
		rig_poll(r);
		igb_flush(&r->igb);
	}
	munmap((void *)d->v.bar0, d->v.bar0_len);
	close(d->v.fd);
	d->present = false;
	emit("closed", ",\"dev\":\"%s\"", name);
}
