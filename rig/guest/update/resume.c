// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user-space driver does after a live update: retrieve what was preserved in
 * the same order, bind, restore the HWPT by token, rebuild IOAS and HWPT, replace,
 * destroy the restored HWPT, finish.
 *
 * Options: hole=1 leaves one page that a device is about to use out of the
 * rebuilt IOAS; adopt=... see update/adopt.c; sweep=1 see update/swept_call.h;
 * view=1 passes on what the kernel shows after each step; wire=late leaves the
 * interrupts of the network device to wire_late(); pf_first=1: who has the physical
 * function comes first, otherwise by command, see update/pf_update.h; tokens=1: the virtual
 * function is not opened with a wrong token.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/hda_interrupts.h"
#include "devices/igb.h"
#include "devices/igb_interrupts.h"
#include "devices/nvme_interrupts.h"
#include "devices/workload.h"
#include "interfaces/fault_injection.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "update/adopt.h"
#include "update/back.h"
#include "update/view.h"
#include "update/names.h"
#include "update/pf_update.h"
#include "update/preserve.h"
#include "update/refusals.h"
#include "update/resume.h"
#include "update/swept_call.h"

void (*rig_reached)(struct rig *r, const char *step);

static void reached(struct rig *r, const char *step)
{
	back_reached(step);
	if (rig_reached)
		rig_reached(r, step);
}

/* One call with what it needs. */
struct call {
	struct rig *r;
	struct vdev *v;
	uint64_t token;
	int restored, hwpt;
	struct uio_hwpt_verify *verify;
};

static int call_session(void *arg)
{
	return luo_session_retrieve(SESSION);
}

static int call_retrieve(void *arg)
{
	struct call *c = arg;

	return luo_retrieve(c->r->session, c->token);
}

static int call_bind(void *arg)
{
	struct call *c = arg;

	return vfio_bind(c->v, c->r->iommufd);
}

static int call_restore(void *arg)
{
	struct call *c = arg;

	return iommufd_hwpt_restore(c->r->iommufd, c->token);
}

static int call_verify(void *arg)
{
	struct call *c = arg;

	return iommufd_hwpt_verify(c->r->iommufd, c->restored, c->hwpt,
				   c->verify);
}

static int call_attach(void *arg)
{
	struct call *c = arg;

	return vfio_attach(c->v, c->hwpt);
}

static int call_finish(void *arg)
{
	struct call *c = arg;

	return luo_finish(c->r->session);
}

static int swept_attach(struct rig *r, const char *name, struct vdev *v,
			int hwpt)
{
	return swept_call(r, name, call_attach,
			  &(struct call){ .r = r, .v = v, .hwpt = hwpt });
}

static int must_retrieve(struct rig *r, uint64_t token, const char *what)
{
	struct call c = { .r = r, .token = token };
	char name[32];
	int fd;

	/* What 7.3 does with a memfd's pages of ordinary size is not ours; it cannot be done again. */
	snprintf(name, sizeof(name), "retrieve-%s", what);
	fd = token == TOKEN_MEMFD && !opt_num("guestmem", 0) && !opt_num("hugetlb", 0) ?
	     call_retrieve(&c) : swept_call(r, name, call_retrieve, &c);

	if (fd < 0)
		die("retrieve the %s: %s", what, strerror(-fd));
	return fd;
}

static void resume_device(struct rig *r, struct device *d, uint64_t token,
			  const char *what)
{
	char bound[16], opened[16];

	snprintf(opened, sizeof(opened), "cdev-%s", what);
	snprintf(bound, sizeof(bound), "bind-%s", what);
	d->v.fd = must_retrieve(r, token, what);
	reached(r, opened);
	if (opt_num("refusals", 0))
		refusals_of_bind(&d->v);
	if (opt_num("tokens", 0) && d->v.token)
		pf_wrong_tokens(&d->v, r->iommufd, what);
	must(swept_call(r, bound, call_bind,
			&(struct call){ .r = r, .v = &d->v }),
	     "bind a retrieved device");
	must(vfio_map(&d->v), "map a retrieved device's BAR");
	d->present = true;
	/* Before anything of ours: is it as the old kernel left it? */
	emit("retrieved", ",\"what\":\"%s\",\"pci_command\":%u", what,
	     vfio_config_read16(&d->v, 4));
	reached(r, bound);
}

static struct igb_place choose_hole(struct rig *r)
{
	if (!opt_num("hole", 0))
		return (struct igb_place){};
	if (r->nic.present)
		return igb_ahead(&r->igb);
	return (struct igb_place){ .offset = OFF_HDA_PCM + PCM_BYTES / 2 };
}

/* As attach_all(), but for what there is to sweep, and to reach. */
static void replace_all(struct rig *r, int nic, int audio, int disk)
{
	if (r->nic.present) {
		must(swept_attach(r, "attach-nic", &r->nic.v, nic),
		     "attach the network device");
		r->nic.hwpt = nic;
		reached(r, "replace-nic");
	}
	if (r->audio.present) {
		must(swept_attach(r, "attach-audio", &r->audio.v, audio),
		     "attach the audio device");
		r->audio.hwpt = audio;
	}
	if (r->disk.present) {
		must(swept_attach(r, "attach-disk", &r->disk.v, disk),
		     "attach the disk");
		r->disk.hwpt = disk;
	}
}

static void rig_finish(struct rig *r, const struct igb_place *hole)
{
	char where[IGB_PLACE_TEXT] = "";

	if (r->nic.present && hole->offset)
		igb_place_text(&r->igb, hole, where);
	phase("finish", "begin");
	/* Closing it may have finished it already. */
	if (r->session >= 0)
		must(swept_call(r, "finish", call_finish, &(struct call){ .r = r }),
		     "finish the session");
	view_step("finished");
	reached(r, "finish");
	close(r->session);
	r->session = -1;
	phase("finish", "end");

	r->st->updates_done++;
	emit("resumed", ",\"updates_done\":%u%s", r->st->updates_done, where);
}

static void verify(struct rig *r, const char *what, int restored, int hwpt)
{
	struct uio_hwpt_verify v;
	char name[16];

	snprintf(name, sizeof(name), "verify-%s", what);
	must(swept_call(r, name, call_verify,
			&(struct call){ .r = r, .restored = restored,
				       .hwpt = hwpt, .verify = &v }),
	     "compare a rebuilt HWPT with the restored one");
	emit("verified", ",\"what\":\"%s\",\"result\":%u,\"iova\":%llu,\"was\":%u,\"is\":%u",
	     what, v.out_result, (unsigned long long)v.out_iova,
	     v.out_restored.flags & 1, v.out_rebuilt.flags & 1);
}

/* While DMA goes on, and before anything depends on what was rebuilt. */
static void verify_all(struct rig *r, int nic, int audio, int old_nic,
		       int old_audio, int disk, int old_disk)
{
	phase("verify", "begin");
	if (r->nic.present)
		verify(r, "nic", old_nic, nic);
	if (r->audio.present && old_audio != old_nic)
		verify(r, "audio", old_audio, audio);
	if (r->disk.present)
		verify(r, "disk", old_disk, disk);
	phase("verify", "end");
}

void rig_resume(struct rig *r)
{
	int nic, audio, disk = -1, old_nic = -1, old_audio = -1, old_disk = -1;
	struct igb_place hole = {};

	r->session = -1;
	if (opt_num("sweep", 0) && !faults_on())
		die("this kernel has no fault injection");
	view_step("came");
	if (opt_num("pf_first", 0))
		pf_do(r, opt_num("tokens", 0) ? "resume-wrong" : "resume");
	phase("retrieve", "begin");
	r->session = swept_call(r, "session", call_session, NULL);
	must(r->session, "retrieve the live update session");
	view_step("session");
	reached(r, "session");
	r->memfd = must_retrieve(r, TOKEN_MEMFD, "memfd");
	reached(r, "memfd");
	if (preserve_level() >= LEVEL_IOMMUFD)
		r->iommufd = must_retrieve(r, TOKEN_IOMMUFD,
					   "iommufd");
	rig_mmap(r);
	if (r->st->magic != RIG_MAGIC || r->st->version != RIG_VERSION)
		die("the retrieved memfd is not the one preserved: magic %llx, version %u",
		    (unsigned long long)r->st->magic, r->st->version);
	rig_mark_end(r, false);
	if (preserve_level() < LEVEL_ALL) {
		phase("retrieve", "end");
		rig_finish(r, &hole);
		return;
	}
	rig_wire(r);
	view_step("retrieved");
	if (opt_num("refusals", 0))
		refusals_before_devices(r);
	reached(r, "iommufd");
	if (r->st->has_nic)
		resume_device(r, &r->nic, TOKEN_NIC, "nic");
	if (r->nic.present && strcmp(opt("wire", ""), "late"))
		igb_irq_wire(&r->nic.v);
	if (r->st->has_hda)
		resume_device(r, &r->audio, TOKEN_AUDIO, "audio");
	if (r->audio.present)
		hda_irq_wire(&r->hda);
	if (r->st->has_disk) {
		resume_device(r, &r->disk, TOKEN_DISK, "disk");
		nvme_irq_wire(&r->disk.v);
	}
	view_step("bound");
	if (r->nic.present) {
		old_nic = swept_call(r, "restore-nic", call_restore,
				     &(struct call){ .r = r, .token = TOKEN_HWPT_NIC });
		must(old_nic, "restore the network device's HWPT");
	}
	if (r->audio.present && r->nic.present && one_hwpt()) {
		old_audio = old_nic;
	} else if (r->audio.present) {
		old_audio = swept_call(r, "restore-audio", call_restore,
				       &(struct call){ .r = r, .token = TOKEN_HWPT_AUDIO });
		must(old_audio, "restore the audio device's HWPT");
	}
	if (r->disk.present) {
		old_disk = swept_call(r, "restore-disk", call_restore,
				      &(struct call){ .r = r, .token = TOKEN_HWPT_DISK });
		must(old_disk, "restore the disk's HWPT");
	}
	reached(r, "restore");
	phase("retrieve", "end");
	view_step("restored");

	phase("rebuild", "begin");
	hole = choose_hole(r);
	if (adopt_wanted()) {
		adopt_tables(r, hole.offset, old_nic, old_audio, &nic, &audio);
		reached(r, "ioas");
		reached(r, "hwpt");
	} else {
		build_ioas(r, hole.offset);
		reached(r, "ioas");
		build_hwpts(r, &nic, &audio);
		reached(r, "hwpt");
	}
	if (r->disk.present) {
		disk = iommufd_hwpt_alloc(r->iommufd, r->disk.v.devid, r->ioas);
		must(disk, "allocate a HWPT for the disk");
	}
	phase("rebuild", "end");
	if (!adopt_shares_tables())
		verify_all(r, nic, audio, old_nic, old_audio, disk, old_disk);

	back_reached("verified");
	back_confirm();
	place_memory(r, true);
	phase("replace", "begin");
	replace_all(r, nic, audio, disk);
	reached(r, "replace");
	phase("replace", "end");
	view_step("replaced");

	destroy_hwpts(r, old_nic, old_audio);
	if (old_disk >= 0)
		must(iommufd_destroy(r->iommufd, old_disk),
		     "destroy the disk's HWPT");
	if (adopt_shares_tables())
		must(rig_probe(r), "map and unmap in the IOAS that has adopted");
	view_step("destroyed");
	reached(r, "destroy");
	rig_finish(r, &hole);
}

void wire_late(struct rig *r)
{
	char bdf[BDF_LEN];
	int fd;

	must(vfio_find(ID_INTEL, ID_IGB, 0, bdf), "find the network device");
	fd = vfio_open_cdev(bdf);
	must(fd, "open the cdev of a device that somebody has");
	close(fd);
	igb_irq_wire(&r->nic.v);
	emit("wired", "");
}
