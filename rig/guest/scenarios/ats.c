// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio network device with ATS on goes over; rig/referee/vhost.py is what it is made of.
 *
 * Options: ats=1 says so. With ats_move=1 the next kernel's process has the buffers in other
 * memory, at the same IOVAs: from the moment when the HWPT has been replaced each frame
 * has to be there. The memory where the buffers were is given back then, as it were: it is
 * filled with a pattern, and whatever changes that was written by a translation which the
 * device had to have forgotten.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "abi.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/virtio.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/ats.h"
#include "update/names.h"

#define ID_REDHAT	0x1af4
#define ID_NET		0x1041
#define SIZE		(2ul << 20)
#define BUF_END		PAGE_UP(OFF_VIRTIO_END)
#define SPARE_IOVA	(IOVA_BASE + 0x40000000ull)
#define GIVEN_BACK	0xc5

static struct {
	int memfd, moved, iommufd, ioas, hwpt, restored, session;
	uint8_t *old;		/* buffers that were given back, or NULL */
	struct vdev dev;
	struct virtio nic;
} ats = { .moved = -1, .session = -1 };

bool ats_wanted(void)
{
	return opt_num("ats", 0);
}

static uint8_t *map_memory(int fd)
{
	uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap the memory: %s", strerror(errno));
	return p;
}

static void see_memory(void)
{
	ats.nic.dev = &ats.dev;
	ats.nic.mem = map_memory(ats.memfd);
	ats.nic.st = (struct virtio_state *)ats.nic.mem;
	ats.nic.iova = IOVA_BASE;
}

/* Ring and buffers; the latter are in the other memory if there is one. */
static void build(void)
{
	int buffers = ats.moved < 0 ? ats.memfd : ats.moved;

	ats.ioas = iommufd_ioas_alloc(ats.iommufd);
	must(ats.ioas, "allocate an IOAS");
	must(iommufd_map_file(ats.iommufd, ats.ioas, ats.memfd, OFF_VIRTIO_DESC,
			      OFF_VIRTIO_BUF - OFF_VIRTIO_DESC,
			      IOVA_BASE + OFF_VIRTIO_DESC),
	     "map the ring");
	must(iommufd_map_file(ats.iommufd, ats.ioas, buffers, OFF_VIRTIO_BUF,
			      BUF_END - OFF_VIRTIO_BUF,
			      IOVA_BASE + OFF_VIRTIO_BUF),
	     "map the buffers");
	ats.hwpt = iommufd_hwpt_alloc(ats.iommufd, ats.dev.devid, ats.ioas);
	must(ats.hwpt, "allocate a HWPT");
}

void ats_start(void)
{
	ats.memfd = make_memory(SIZE);
	see_memory();
	ats.iommufd = iommufd_open();
	must(ats.iommufd, "open /dev/iommu");
	must(vfio_find(ID_REDHAT, ID_NET, 0, ats.dev.bdf), "find the device");
	ats.dev.fd = vfio_open_cdev(ats.dev.bdf);
	must(ats.dev.fd, "open a cdev");
	must(vfio_bind(&ats.dev, ats.iommufd), "bind a device");
	build();
	must(vfio_attach(&ats.dev, ats.hwpt), "attach a device");
	virtio_start(&ats.nic);
	emit("ats", ",\"bdf\":\"%s\"", ats.dev.bdf);
}

void ats_poll(void)
{
	if (ats.nic.mem)
		virtio_take(&ats.nic, virtio_used(&ats.nic), NULL);
}

void ats_preserve(void)
{
	int ret;

	kexec_load_next();
	phase("preserve", "begin");
	ats.session = luo_session_create(SESSION);
	must(ats.session, "create a session");
	must(luo_preserve(ats.session, ats.memfd, TOKEN_MEMFD),
	     "preserve the memfd");
	must(iommufd_hwpt_mark(ats.iommufd, ats.hwpt, TOKEN_HWPT_NIC, 0),
	     "mark a HWPT");
	must(luo_preserve(ats.session, ats.iommufd, TOKEN_IOMMUFD),
	     "preserve the iommufd");
	ret = luo_preserve(ats.session, ats.dev.fd, TOKEN_NIC);
	phase("preserve", "end");
	emit("ats_preserved", ",\"errno\":%d", ret < 0 ? -ret : 0);
	if (ret < 0) {
		close(ats.session);
		return;
	}
	ats_poll();
	emit("jump", "");
	tcdrain(ctl_fd());
	ret = kexec_try();
	/* Not refused is not coming back. */
	close(ats.session);
	emit("stays", ",\"errno\":%d", -ret);
}

static void compare(void)
{
	struct uio_hwpt_verify v;

	must(iommufd_hwpt_verify(ats.iommufd, ats.restored, ats.hwpt, &v),
	     "compare the rebuilt HWPT with the restored one");
	if (v.out_result)
		die("the rebuilt HWPT is not like the restored one at %#llx",
		    (unsigned long long)v.out_iova);
}

/* All that was complete when the HWPT was replaced may be in either memory. */
static void move(void)
{
	uint8_t *old = ats.nic.mem + OFF_VIRTIO_BUF;

	ats.nic.buf = map_memory(ats.moved) + OFF_VIRTIO_BUF;
	virtio_take(&ats.nic, virtio_used(&ats.nic), old);
	memset(old, GIVEN_BACK, BUF_END - OFF_VIRTIO_BUF);
	ats.old = old;
}

void ats_resume(void)
{
	phase("retrieve", "begin");
	ats.session = luo_session_retrieve(SESSION);
	must(ats.session, "retrieve the session");
	ats.memfd = luo_retrieve(ats.session, TOKEN_MEMFD);
	must(ats.memfd, "retrieve the memfd");
	ats.iommufd = luo_retrieve(ats.session, TOKEN_IOMMUFD);
	must(ats.iommufd, "retrieve the iommufd");
	must(vfio_find(ID_REDHAT, ID_NET, 0, ats.dev.bdf), "find the device");
	ats.dev.fd = luo_retrieve(ats.session, TOKEN_NIC);
	must(ats.dev.fd, "retrieve the device");
	must(vfio_bind(&ats.dev, ats.iommufd), "bind the device");
	ats.restored = iommufd_hwpt_restore(ats.iommufd, TOKEN_HWPT_NIC);
	must(ats.restored, "restore the HWPT");
	phase("retrieve", "end");

	see_memory();
	ats_poll();
	if (opt_num("ats_move", 0))
		ats.moved = make_memory(SIZE);
	build();
	if (ats.moved < 0)
		compare();
	emit("rebuilt", "");
}

static void replace(void)
{
	must(vfio_attach(&ats.dev, ats.hwpt), "replace the HWPT");
	if (ats.moved >= 0)
		move();
}

static void finish(void)
{
	must(iommufd_destroy(ats.iommufd, ats.restored),
	     "destroy the restored HWPT");
	must(luo_finish(ats.session), "finish the session");
	close(ats.session);
	ats.session = -1;
}

static void unmap(void)
{
	must(iommufd_map_file(ats.iommufd, ats.ioas, ats.memfd, OFF_VIRTIO_BUF,
			      PAGE, SPARE_IOVA), "map a page");
	must(iommufd_unmap(ats.iommufd, ats.ioas, SPARE_IOVA, PAGE), "unmap a page");
}

void ats_do(const char *what)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} steps[] = {
		{ "replace", replace },
		{ "finish", finish },
		{ "unmap", unmap },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++)
		if (!strcmp(what, steps[i].name)) {
			steps[i].run();
			emit("ats_did", ",\"what\":\"%s\"", what);
			return;
		}
	die("ats: there is no step '%s'", what);
}

void ats_report(void)
{
	unsigned long changed = 0;

	ats_poll();
	for (unsigned long i = 0; ats.old && i < BUF_END - OFF_VIRTIO_BUF; i++)
		changed += ats.old[i] != GIVEN_BACK;
	emit("ats_report",
	     ",\"received\":%llu,\"seq\":%llu,\"lost\":%llu,\"bad\":%llu,\"crc_sum\":%llu,\"changed\":%lu",
	     (unsigned long long)ats.nic.st->received,
	     (unsigned long long)ats.nic.st->seq,
	     (unsigned long long)ats.nic.st->lost,
	     (unsigned long long)ats.nic.st->bad,
	     (unsigned long long)ats.nic.st->crc_sum, changed);
}
