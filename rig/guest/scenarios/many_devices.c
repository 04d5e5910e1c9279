// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many devices at once, which do nothing: what an update costs for each of them.
 *
 * Options: many=N devices of those that there are, with a HWPT for each or, with
 * hwpt=shared, one for all.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/many_devices.h"
#include "update/names.h"

#define MOST		64
#define ID_REDHAT	0x1af4
#define ID_RNG		0x1044
#define SIZE		(2ul << 20)
#define IOVA		0x1000000000ull

enum {
	TOKEN_FIRST_DEVICE = 0x1000,
	TOKEN_FIRST_HWPT = 0x11000000000000,
};

static struct many {
	int memfd, iommufd, ioas, session;
	unsigned int n, hwpts;
	struct vdev dev[MOST];
	int hwpt[MOST];
} many = { .session = -1 };

bool many_wanted(void)
{
	return opt_num("many", -1) >= 0;
}

static void begin(void)
{
	many.n = opt_num("many", 0);
	if (many.n > MOST)
		die("many=%u: %u devices at most", many.n, MOST);
	many.hwpts = !strcmp(opt("hwpt", "each"), "shared") && many.n ? 1 : many.n;
}

/* What each device reaches, of the same memory, from tables of its own HWPT. */
static void build(void)
{
	many.ioas = iommufd_ioas_alloc(many.iommufd);
	must(many.ioas, "allocate an IOAS");
	must(iommufd_map_file(many.iommufd, many.ioas, many.memfd, 0, SIZE, IOVA),
	     "map the memfd");
	for (unsigned int i = 0; i < many.hwpts; i++) {
		many.hwpt[i] = iommufd_hwpt_alloc(many.iommufd,
						  many.dev[i].devid, many.ioas);
		must(many.hwpt[i], "allocate a HWPT");
	}
}

static void attach(void)
{
	for (unsigned int i = 0; i < many.n; i++)
		must(vfio_attach(&many.dev[i], many.hwpt[i % many.hwpts]),
		     "attach a device");
}

void many_start(void)
{
	begin();
	many.memfd = memfd_create("many", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(many.memfd, "make a memfd");
	must(ftruncate(many.memfd, SIZE), "make the memfd large");
	must(fcntl(many.memfd, F_ADD_SEALS,
		   F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), "seal the memfd");
	many.iommufd = iommufd_open();
	must(many.iommufd, "open /dev/iommu");
	for (unsigned int i = 0; i < many.n; i++) {
		struct vdev *v = &many.dev[i];

		must(vfio_find(ID_REDHAT, ID_RNG, i, v->bdf), "find a device");
		v->fd = vfio_open_cdev(v->bdf);
		must(v->fd, "open a cdev");
		must(vfio_bind(v, many.iommufd), "bind a device");
	}
	build();
	attach();
	emit("many", ",\"devices\":%u,\"hwpts\":%u", many.n, many.hwpts);
}

void many_preserve(void)
{
	kexec_load_next();
	phase("preserve", "begin");
	many.session = luo_session_create(SESSION);
	must(many.session, "create a session");
	must(luo_preserve(many.session, many.memfd, TOKEN_MEMFD),
	     "preserve the memfd");
	for (unsigned int i = 0; i < many.hwpts; i++)
		must(iommufd_hwpt_mark(many.iommufd, many.hwpt[i],
				       TOKEN_FIRST_HWPT + i, 0), "mark a HWPT");
	if (many.n)
		must(luo_preserve(many.session, many.iommufd, TOKEN_IOMMUFD),
		     "preserve the iommufd");
	for (unsigned int i = 0; i < many.n; i++)
		must(luo_preserve(many.session, many.dev[i].fd,
				  TOKEN_FIRST_DEVICE + i),
		     "preserve a device");
	phase("preserve", "end");
}

void many_resume(void)
{
	int restored[MOST];

	begin();
	phase("retrieve", "begin");
	many.session = luo_session_retrieve(SESSION);
	must(many.session, "retrieve the session");
	many.memfd = luo_retrieve(many.session, TOKEN_MEMFD);
	must(many.memfd, "retrieve the memfd");
	many.iommufd = many.n ? luo_retrieve(many.session, TOKEN_IOMMUFD) :
				iommufd_open();
	must(many.iommufd, "retrieve the iommufd");
	for (unsigned int i = 0; i < many.n; i++) {
		many.dev[i].fd = luo_retrieve(many.session,
					      TOKEN_FIRST_DEVICE + i);
		must(many.dev[i].fd, "retrieve a device");
		must(vfio_bind(&many.dev[i], many.iommufd), "bind a device");
	}
	for (unsigned int i = 0; i < many.hwpts; i++) {
		restored[i] = iommufd_hwpt_restore(many.iommufd,
						   TOKEN_FIRST_HWPT + i);
		must(restored[i], "restore a HWPT");
	}
	phase("retrieve", "end");
	phase("rebuild", "begin");
	build();
	phase("rebuild", "end");
	phase("replace", "begin");
	attach();
	phase("replace", "end");
	for (unsigned int i = 0; i < many.hwpts; i++)
		must(iommufd_destroy(many.iommufd, restored[i]),
		     "destroy a restored HWPT");
	phase("finish", "begin");
	must(luo_finish(many.session), "finish the session");
	phase("finish", "end");
	close(many.session);
	many.session = -1;
	emit("resumed", ",\"devices\":%u", many.n);
}
