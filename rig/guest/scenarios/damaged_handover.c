// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left of an update whose handover was damaged on the way: each step of
 * the takeover is tried and its answer reported. Devices that came back are used,
 * and the others are set up anew, so that the next update can follow.
 *
 * Options: salvage=1 takes this in place of the ordinary takeover, and wants
 * hwpt=each; corrupt=BDF,EDIT[,EDIT...] damages the handover of the next jump.
 *
 * A device is reported as "kept" (came back and never stopped), "fresh" (was
 * refused, is set up anew) or "stuck" (goes on, and nobody can have it).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "devices/igb.h"
#include "devices/igb_pf.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/damaged_handover.h"
#include "update/names.h"
#include "update/preserve.h"

#define CORRUPT		"/sys/module/liveupdate/parameters/corrupt"

void damage_handover(void)
{
	const char *how = opt("corrupt", "");

	if (how[0])
		write_file(CORRUPT, how);
}

static int step(const char *name, int ret)
{
	emit("step", ",\"name\":\"%s\",\"errno\":%d", name, ret < 0 ? -ret : 0);
	return ret;
}

/* How the kernel left it, before anybody opens it. */
static void found(const char *bdf, const char *name)
{
	uint8_t config[64] = {};
	char path[128];
	int fd;

	if (!bdf[0])
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, config, sizeof(config)) != sizeof(config))
		die("read %s: %s", path, strerror(errno));
	close(fd);
	emit("found", ",\"what\":\"%s\",\"pci_command\":%u", name,
	     config[4] | config[5] << 8);
}

static bool can_open(struct device *d)
{
	int fd;

	if (!d->v.bdf[0])
		return false;
	fd = vfio_open_cdev(d->v.bdf);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void regain(struct rig *r, struct device *d, uint64_t token,
		   const char *name)
{
	char text[32];
	int fd;

	if (!d->v.bdf[0])
		return;
	fd = step(name, luo_retrieve(r->session, token));
	if (fd < 0)
		return;
	d->v.fd = fd;
	snprintf(text, sizeof(text), "bind %s", name);
	if (step(text, vfio_bind(&d->v, r->iommufd)) < 0) {
		close(fd);
		return;
	}
	must(vfio_map(&d->v), "map a retrieved device's BAR");
	d->present = true;
}

/* Up to here nobody has touched it. What follows is seen after this is. */
static void fresh(const char *name)
{
	emit_noted("fresh", ",\"what\":\"%s\"", name);
}

static void begin(struct rig *r, struct device *d, const char *name)
{
	fresh(name);
	take_device(r, d, name);
	attach_new(r, d);
	must(vfio_map(&d->v), "map a device's BAR");
	vfio_enable_dma(&d->v);
	if (d == &r->nic && r->igb.vf)
		igb_pf_share(&d->v);
	if (d == &r->nic)
		igb_start(&r->igb);
	else
		hda_start(&r->hda);
}

/* All anew, but for what is stuck. */
static void begin_all(struct rig *r)
{
	bool nic = can_open(&r->nic), audio = can_open(&r->audio);
	char saved[64], devs[64];

	snprintf(saved, sizeof(saved), "devs=%s", opt("devs", "nic,audio"));
	snprintf(devs, sizeof(devs), "devs=%s%s", nic ? "nic," : "",
		 audio ? "audio" : "");
	memset(r, 0, sizeof(*r));
	r->session = -1;
	if (nic)
		fresh("nic");
	if (audio)
		fresh("audio");
	if (nic || audio) {
		opt_set(devs);
		rig_start(r);
		opt_set(saved);
	}
}

static bool salvage_files(struct rig *r)
{
	r->session = step("session", luo_session_retrieve(SESSION));
	if (r->session < 0)
		return false;
	r->memfd = step("memfd", luo_retrieve(r->session, TOKEN_MEMFD));
	r->iommufd = step("iommufd", luo_retrieve(r->session, TOKEN_IOMMUFD));
	if (r->memfd >= 0 && r->iommufd >= 0)
		return true;
	/* The files of the devices are of no use then, but may be asked for. */
	step("nic", luo_retrieve(r->session, TOKEN_NIC));
	step("audio", luo_retrieve(r->session, TOKEN_AUDIO));
	step("finish", luo_finish(r->session));
	return false;
}

static void salvage_devices(struct rig *r)
{
	int old_nic, old_audio;

	rig_mmap(r);
	if (r->st->magic != RIG_MAGIC || r->st->version != RIG_VERSION)
		die("the retrieved memfd is not the one preserved");
	rig_wire(r);
	regain(r, &r->nic, TOKEN_NIC, "nic");
	regain(r, &r->audio, TOKEN_AUDIO, "audio");
	old_nic = step("nic hwpt", iommufd_hwpt_restore(r->iommufd, TOKEN_HWPT_NIC));
	old_audio = step("audio hwpt", iommufd_hwpt_restore(r->iommufd,
							    TOKEN_HWPT_AUDIO));
	build_ioas(r, 0);
	if (r->nic.present)
		attach_new(r, &r->nic);
	if (r->audio.present)
		attach_new(r, &r->audio);
	if (old_nic >= 0)
		step("destroy nic hwpt", iommufd_destroy(r->iommufd, old_nic));
	if (old_audio >= 0)
		step("destroy audio hwpt", iommufd_destroy(r->iommufd, old_audio));
	step("finish", luo_finish(r->session));
	close(r->session);
	r->session = -1;
	r->st->updates_done++;
}

static const char *outcome(const struct device *d, bool kept)
{
	return kept ? "kept" : d->present ? "fresh" : "stuck";
}

/* If it is a VF whose PF was refused, it is gone: then it is as the kernel left the PF. */
static void find_all(struct rig *r)
{
	char bdf[BDF_LEN];

	if (igb_vfs() && vfio_find(ID_INTEL, ID_IGBVF, 0, bdf)) {
		must(vfio_find(ID_INTEL, ID_IGB, 0, bdf), "find the physical function (igb)");
		found(bdf, "nic");
		igb_pf_start();
		find_devices(r);
	} else {
		find_devices(r);
		found(r->nic.v.bdf, "nic");
	}
	found(r->audio.v.bdf, "audio");
}

void resume_damaged(struct rig *r)
{
	bool nic = false, audio = false;

	r->session = -1;
	find_all(r);
	if (preserve_wanted() && salvage_files(r)) {
		salvage_devices(r);
		nic = r->nic.present;
		audio = r->audio.present;
		if (!nic && can_open(&r->nic))
			begin(r, &r->nic, "nic");
		if (!audio && can_open(&r->audio))
			begin(r, &r->audio, "audio");
	} else {
		begin_all(r);
	}
	emit("resumed", ",\"updates_done\":%u,\"nic\":\"%s\",\"audio\":\"%s\"",
	     r->st ? r->st->updates_done : 0, outcome(&r->nic, nic),
	     outcome(&r->audio, audio));
}
