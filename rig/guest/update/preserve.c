// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user-space driver does before a live update, in the order the kernel
 * asks for (docs of the kernel part; DESIGN "Life of a preserved device"): mark
 * the HWPTs, preserve memfd, iommufd and cdevs, jump.
 *
 * Options: preserve=0 leaves the session out, preserve=memfd and
 * preserve=iommufd stop after that file (steps on the way to a kernel that can
 * do it all; the devices' DMA ends then); mark=once marks the HWPTs before the
 * first update only, and asks the kernel to keep the marks; mark=first does the
 * same without asking; pf_owner=none: who has the physical function is not asked, see
 * update/pf_update.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/bystander.h"
#include "devices/pf_owner.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/kmemleak.h"
#include "interfaces/luo.h"
#include "update/view.h"
#include "update/names.h"
#include "update/pf_preserve.h"
#include "update/preserve.h"

enum level preserve_level(void)
{
	const char *text = opt("preserve", "1");

	return !strcmp(text, "0") ? LEVEL_NONE :
	       !strcmp(text, "memfd") ? LEVEL_MEMFD :
	       !strcmp(text, "iommufd") ? LEVEL_IOMMUFD : LEVEL_ALL;
}

bool preserve_wanted(void)
{
	return preserve_level() != LEVEL_NONE;
}

/* A mark stays for the life of the HWPT, whatever becomes of a session. */
void mark_hwpts(struct rig *r)
{
	const char *mark = opt("mark", "always");
	uint32_t flags = strcmp(mark, "once") ? 0 : UIO_MARK_KEEP;

	if (strcmp(mark, "always") && r->st->updates_done)
		return;
	if (r->nic.present && r->nic.marked != r->nic.hwpt) {
		must(iommufd_hwpt_mark(r->iommufd, r->nic.hwpt, TOKEN_HWPT_NIC,
				       flags),
		     "mark the network device's HWPT");
		r->nic.marked = r->nic.hwpt;
	}
	if (r->audio.present && r->audio.hwpt != r->nic.hwpt &&
	    r->audio.marked != r->audio.hwpt) {
		must(iommufd_hwpt_mark(r->iommufd, r->audio.hwpt,
				       TOKEN_HWPT_AUDIO, flags),
		     "mark the audio device's HWPT");
		r->audio.marked = r->audio.hwpt;
	}
	if (r->disk.present && r->disk.marked != r->disk.hwpt) {
		must(iommufd_hwpt_mark(r->iommufd, r->disk.hwpt,
				       TOKEN_HWPT_DISK, flags),
		     "mark the disk's HWPT");
		r->disk.marked = r->disk.hwpt;
	}
}

void preserve_files(struct rig *r, enum level level)
{
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD),
	     "preserve the memfd");
	if (level == LEVEL_MEMFD)
		return;
	must(luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD),
	     "preserve the iommufd");
	if (level == LEVEL_IOMMUFD)
		return;
	if (r->nic.present)
		must(luo_preserve(r->session, r->nic.v.fd, TOKEN_NIC),
		     "preserve the network device");
	if (r->audio.present)
		must(luo_preserve(r->session, r->audio.v.fd, TOKEN_AUDIO),
		     "preserve the audio device");
	if (r->disk.present)
		must(luo_preserve(r->session, r->disk.v.fd, TOKEN_DISK),
		     "preserve the disk");
}

void rig_preserve(struct rig *r)
{
	phase("load", "begin");
	kexec_load_next();
	phase("load", "end");
	if (preserve_level() == LEVEL_NONE)
		return;

	phase("preserve", "begin");
	if (pf_owner.present && pf_owner.session < 0 && strcmp(opt("pf_owner", ""), "none"))
		pf_preserve();
	bystander_preserve_memory();
	if (preserve_level() > LEVEL_MEMFD)
		mark_hwpts(r);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	preserve_files(r, preserve_level());
	phase("preserve", "end");
	view_step("preserved");
}

int preserve_step(struct rig *r, enum preserve_step step)
{
	switch (step) {
	case STEP_MARK:
		return iommufd_hwpt_mark(r->iommufd, r->nic.hwpt,
					 TOKEN_HWPT_NIC, 0);
	case STEP_SESSION:
		r->session = luo_session_create(SESSION);
		return r->session < 0 ? r->session : 0;
	case STEP_MEMFD:
		return luo_preserve(r->session, r->memfd, TOKEN_MEMFD);
	case STEP_IOMMUFD:
		return luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD);
	case STEP_NIC:
		return luo_preserve(r->session, r->nic.v.fd, TOKEN_NIC);
	case STEP_AUDIO:
		return luo_preserve(r->session, r->audio.v.fd, TOKEN_AUDIO);
	}
	return -EINVAL;
}

void preserve_and_undo(struct rig *r, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		mark_hwpts(r);
		r->session = luo_session_create(SESSION);
		must(r->session, "create a live update session");
		preserve_files(r, LEVEL_ALL);
		close(r->session);
		r->session = -1;
		/* The IOAS must be as free as before. */
		must(probe_map(r), "map after a preserve was undone");
		must(probe_unmap(r), "unmap after a preserve was undone");
		rig_poll(r);
	}
	kmemleak_check();
	emit("undone", ",\"n\":%lu", n);
}
