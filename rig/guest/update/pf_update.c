// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "devices/pf_owner.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "update/names.h"
#include "update/pf_preserve.h"
#include "update/pf_update.h"
#include "update/preserve.h"

static const uint8_t wrong_token[VF_TOKEN_SIZE] = "a common secreT";

static void say(const char *what, int ret)
{
	emit("pf", ",\"what\":\"%s\",\"bdf\":\"%s\",\"errno\":%d", what,
	     pf_owner.v.bdf, ret < 0 ? -ret : 0);
}

static void undo(void)
{
	close(pf_owner.session);
	pf_owner.session = -1;
}

void pf_wrong_tokens(struct vdev *v, int iommufd, const char *what)
{
	char text[48];

	v->token = NULL;
	snprintf(text, sizeof(text), "bind %s without a token", what);
	say(text, vfio_bind(v, iommufd));
	v->token = wrong_token;
	snprintf(text, sizeof(text), "bind %s with a wrong token", what);
	say(text, vfio_bind(v, iommufd));
	v->token = vf_token;
}

static int get(struct pf_owner *o, uint64_t token)
{
	int fd = luo_retrieve(o->session, token);

	must(fd, "retrieve a file of the PF's owner");
	return fd;
}

static void resume(bool wrong)
{
	struct pf_owner *o = &pf_owner;
	int old;

	o->session = luo_session_retrieve(PF_SESSION);
	must(o->session, "retrieve the session of the PF's owner");
	o->memfd = get(o, TOKEN_MEMFD);
	o->iommufd = get(o, TOKEN_IOMMUFD);
	pf_owner_mmap();
	pf_owner_find();
	o->v.fd = luo_retrieve(o->session, TOKEN_NIC);
	if (o->v.fd < 0) {
		say("resume", o->v.fd);
		return;
	}
	if (wrong)
		pf_wrong_tokens(&o->v, o->iommufd, "pf");
	o->v.token = vf_token;
	must(vfio_bind(&o->v, o->iommufd), "bind the retrieved PF");
	must(vfio_map(&o->v), "map the retrieved PF's BAR");
	emit("retrieved", ",\"what\":\"pf\",\"pci_command\":%u",
	     vfio_config_read16(&o->v, 4));
	old = iommufd_hwpt_restore(o->iommufd, TOKEN_HWPT_NIC);
	must(old, "restore the PF's HWPT");
	pf_owner_build();
	must(vfio_attach(&o->v, o->hwpt), "attach the PF");
	must(iommufd_destroy(o->iommufd, old), "destroy the PF's restored HWPT");
	must(luo_finish(o->session), "finish the session of the PF's owner");
	undo();
	o->present = true;
	say("resume", 0);
}

/* Closed for all: there are no mappings but that of the BAR. */
static void close_pf(void)
{
	pf_owner_report();
	pf_owner.present = false;
	igb_stop(&pf_owner.igb);
	vfio_unmap(&pf_owner.v);
	close(pf_owner.v.fd);
	pf_owner.v.fd = -1;
	say("close", 0);
}

static int open_and_bind(struct vdev *v)
{
	int iommufd = iommufd_open(), ret;

	must(iommufd, "open /dev/iommu");
	ret = v->fd = vfio_open_cdev(v->bdf);
	if (ret >= 0) {
		ret = vfio_bind(v, iommufd);
		close(v->fd);
	}
	close(iommufd);
	return ret;
}

static void open_vf(const char *how)
{
	struct vdev v = {
		.token = !strcmp(how, "none") ? NULL :
			 !strcmp(how, "wrong") ? wrong_token : vf_token,
	};
	char text[32];

	must(vfio_find(ID_INTEL, ID_IGBVF, 1, v.bdf), "find the second virtual function");
	snprintf(text, sizeof(text), "open-vf %s", how);
	say(text, open_and_bind(&v));
}

static void vf_first(struct rig *r)
{
	static const enum preserve_step before[] = {
		STEP_MARK, STEP_SESSION, STEP_MEMFD, STEP_IOMMUFD,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(before); i++)
		must(preserve_step(r, before[i]), "preserve what goes with a virtual function");
	say("vf-first", preserve_step(r, STEP_NIC));
	close(r->session);
	r->session = -1;
}

static void retrieve_vf(void)
{
	int session = luo_session_retrieve(SESSION), iommufd;
	struct vdev v = { .token = vf_token };

	must(session, "retrieve the live update session");
	must(luo_retrieve(session, TOKEN_MEMFD), "retrieve the memfd");
	iommufd = luo_retrieve(session, TOKEN_IOMMUFD);
	must(iommufd, "retrieve the iommufd");
	v.fd = luo_retrieve(session, TOKEN_NIC);
	say("retrieve-vf", v.fd);
	if (v.fd >= 0)
		say("bind-vf", vfio_bind(&v, iommufd));
}

void pf_do(struct rig *r, const char *what)
{
	int fd, ret;

	if (!strcmp(what, "preserve")) {
		ret = pf_try_preserve();
		if (ret)
			undo();
		say(what, ret);
	} else if (!strcmp(what, "undo")) {
		undo();
		say(what, 0);
	} else if (!strcmp(what, "resume")) {
		resume(false);
	} else if (!strcmp(what, "resume-wrong")) {
		resume(true);
	} else if (!strcmp(what, "reset")) {
		say(what, vfio_reset(&pf_owner.v));
	} else if (!strcmp(what, "token")) {
		say(what, vfio_set_token(&pf_owner.v, wrong_token));
	} else if (!strcmp(what, "close")) {
		close_pf();
	} else if (!strcmp(what, "open")) {
		fd = vfio_open_cdev(pf_owner.v.bdf);
		say(what, fd);
		if (fd >= 0)
			close(fd);
	} else if (!strncmp(what, "open-vf ", 8)) {
		open_vf(what + 8);
	} else if (!strcmp(what, "vf-first")) {
		vf_first(r);
	} else if (!strcmp(what, "retrieve-vf")) {
		retrieve_vf();
	} else {
		die("pf %s?", what);
	}
}
