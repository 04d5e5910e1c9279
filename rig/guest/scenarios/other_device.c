// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other devices: is one of them preserved, or refused at which step? It is taken
 * with a session of its own beside the devices that do DMA, attached to their
 * HWPT, and everything is undone again. Each step's answer is reported; the ones
 * after a step that failed are left out.
 *
 *	try VENDOR:DEVICE [nth] [vfs=N] [vf=VENDOR:DEVICE] [own]
 *
 * With vfs=N the device gets N virtual functions before it is preserved. With
 * vf= it is only opened and given one, of that id, which is what is tried. With own it
 * gets a HWPT of its own, because it cannot be attached to theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/other_device.h"
#include "update/names.h"

#define TRY_SESSION	"other"
#define TOKEN_OTHER	0x6f74

static int tried(const char *step, int ret)
{
	emit("try", ",\"step\":\"%s\",\"errno\":%d", step, ret < 0 ? -ret : 0);
	return ret;
}

static int set_vfs(const char *bdf, unsigned int n)
{
	char path[128], text[16];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", bdf);
	snprintf(text, sizeof(text), "%u", n);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static const uint8_t vf_token[16] = "continuo's rig.";

/* Who opens a virtual function has to know what the physical one was told. */
static int set_vf_token(struct vdev *pf)
{
	struct {
		struct vfio_device_feature head;
		uint8_t token[16];
	} arg = {
		.head.argsz = sizeof(arg),
		.head.flags = VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};

	memcpy(arg.token, vf_token, sizeof(arg.token));
	return ioctl(pf->fd, VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

static int bind_vf(struct vdev *v, int iommufd)
{
	struct uvfio_bind arg = {
		.argsz = sizeof(arg),
		.flags = 1,		/* a token is there */
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)vf_token,
	};

	if (ioctl(v->fd, UVFIO_BIND_IOMMUFD, &arg))
		return -errno;
	v->devid = arg.out_devid;
	return 0;
}

static void make_vf(struct vdev *pf, struct vdev *vf, unsigned int vendor,
		    unsigned int device)
{
	int iommufd = iommufd_open();

	must(iommufd, "open /dev/iommu for a physical function");
	must(vfio_bind(pf, iommufd), "bind a physical function");
	must(set_vf_token(pf), "set the token for virtual functions");
	must(set_vfs(pf->bdf, 1), "make a virtual function");
	must(vfio_find(vendor, device, 0, vf->bdf), "find the virtual function");
	vf->fd = vfio_open_cdev(vf->bdf);
	must(vf->fd, "open the virtual function");
}

static int preserve_other(struct rig *r, struct vdev *v)
{
	int session = luo_session_create(TRY_SESSION), ret;

	must(session, "create a live update session");
	ret = tried("preserve memfd", luo_preserve(session, r->memfd, TOKEN_MEMFD));
	if (ret >= 0)
		ret = tried("preserve iommufd",
			    luo_preserve(session, r->iommufd, TOKEN_IOMMUFD));
	if (ret >= 0)
		ret = tried("preserve",
			    luo_preserve(session, v->fd, TOKEN_OTHER));
	close(session);
	return ret;
}

void preserve_other_device(struct rig *r, char *args)
{
	struct device *main = r->nic.present ? &r->nic : &r->audio;
	uint64_t token = main == &r->nic ? TOKEN_HWPT_NIC : TOKEN_HWPT_AUDIO;
	unsigned int vendor, device, nth = 0, vfs = 0, vf[2] = {};
	int hwpt = main->hwpt;
	char *word, *save = NULL;
	struct vdev v = {}, pf = {};

	if (sscanf(args, "%x:%x", &vendor, &device) != 2)
		die("try: '%s' is not VENDOR:DEVICE", args);
	strtok_r(args, " ", &save);
	while ((word = strtok_r(NULL, " ", &save))) {
		if (!strncmp(word, "vfs=", 4))
			vfs = strtoul(word + 4, NULL, 0);
		else if (!strncmp(word, "vf=", 3))
			sscanf(word + 3, "%x:%x", &vf[0], &vf[1]);
		else if (!strcmp(word, "own"))
			hwpt = 0;
		else
			nth = strtoul(word, NULL, 0);
	}
	must(vfio_find(vendor, device, nth, v.bdf), "find the other device");
	v.fd = tried("open", vfio_open_cdev(v.bdf));
	if (v.fd < 0)
		goto out;
	if (vfs && tried("vfs", set_vfs(v.bdf, vfs)) < 0)
		goto out_close;
	if (vf[0]) {
		pf = v;
		make_vf(&pf, &v, vf[0], vf[1]);
	}
	if (tried("bind", vf[0] ? bind_vf(&v, r->iommufd) :
				  vfio_bind(&v, r->iommufd)) < 0)
		goto out_close;
	if (!hwpt) {
		hwpt = tried("HWPT", iommufd_hwpt_alloc(r->iommufd, v.devid, r->ioas));
		if (hwpt < 0)
			goto out_close;
	}
	if (tried("attach", vfio_attach(&v, hwpt)) < 0)
		goto out_destroy;
	if (hwpt != (int)main->hwpt) {
		must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_OTHER, 0),
		     "mark a HWPT");
	} else if (main->marked != main->hwpt) {
		must(iommufd_hwpt_mark(r->iommufd, main->hwpt, token, 0),
		     "mark the HWPT");
		main->marked = main->hwpt;
	}
	preserve_other(r, &v);
out_destroy:
	/* The device has left it when its file is closed. */
	close(v.fd);
	v.fd = -1;
	if (hwpt != (int)main->hwpt)
		must(iommufd_destroy(r->iommufd, hwpt), "destroy the HWPT");
out_close:
	if (v.fd >= 0)
		close(v.fd);
	if (vfs)
		tried("vfs off", set_vfs(v.bdf, 0));
	if (vf[0]) {
		tried("vf off", set_vfs(pf.bdf, 0));
		close(pf.fd);
	}
out:
	emit("tried", ",\"bdf\":\"%s\"", v.bdf);
}
