// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many devices at once, which do nothing: what an update costs for each of them, and
 * for the memory that they reach.
 *
 * Options: many=N devices of those that there are, with a HWPT for each or, with
 * hwpt=shared, one for all; for the memory see make_memory(), it has 2 MiB otherwise. With
 * vfs=M they are virtual functions: M are switched on of each PF that there is, in turn
 * one of each PF is preserved.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "abi.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/igb_pf.h"
#include "devices/workload.h"
#include "interfaces/guestmem.h"
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
#define WORDS		(4096 / sizeof(uint64_t))	/* in a page */

enum {
	TOKEN_FIRST_DEVICE = 0x1000,
	TOKEN_FIRST_HWPT = 0x11000000000000,
};

static struct many {
	int memfd, iommufd, ioas, session;
	unsigned int n, hwpts;
	uint64_t size;		/* of the memory */
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

/* --- what took how long, said when nothing is measured --- */

static struct {
	uint64_t since_us;
	char text[512];
} parts;

static void part_begin(void)
{
	parts.since_us = now_us();
}

/* The next part begins where this one ends, unless part_begin() says otherwise. */
static void part_end(const char *name)
{
	uint64_t now = now_us();
	size_t used = strlen(parts.text);

	snprintf(parts.text + used, sizeof(parts.text) - used, ",\"%s\":%llu",
		 name, (unsigned long long)(now - parts.since_us));
	part_begin();
}

static void parts_say(void)
{
	emit("parts", "%s", parts.text);
	parts.text[0] = 0;
}

/*
 * The one clock that goes on through the jump, with the kernel's log around it: how long
 * the jump and the boot take can be told from it. A thread writes the log to the console:
 * wait until it has done so, and nothing that is measured has that on top. Not with
 * later=1: then nothing is said, or waited for, that does not belong to the update.
 */
static void say_cycle(void)
{
	char text[64];

	if (opt_num("later", 0))
		return;
	tcdrain(ctl_fd());
	snprintf(text, sizeof(text), "rig: cycle %llu", (unsigned long long)cycle());
	write_file("/dev/kmsg", text);
	usleep(20000);
}

/* --- the memory --- */

static uint64_t size_of_memory(void)
{
	struct stat st;

	must(fstat(many.memfd, &st), "stat the memory");
	return st.st_size;
}

/* Writes a word into each page, or sees that it is there. */
static void touch(bool write)
{
	volatile uint64_t *p;

	p = mmap(NULL, many.size, PROT_READ | PROT_WRITE, MAP_SHARED, many.memfd, 0);
	if (p == MAP_FAILED)
		die("mmap the memory: %s", strerror(errno));
	for (uint64_t i = 0; i < many.size / sizeof(*p); i += WORDS)
		if (write)
			p[i] = ~i;
		else if (p[i] != ~i)
			die("the page at %#llx is not the one that was written",
			    (unsigned long long)i * sizeof(*p));
	munmap((void *)p, many.size);
}

/* Begins the first part. */
static void mount_guestmem(void)
{
	int err;

	part_begin();
	/* Once 2 ms go by here, whatever is done; it is not known for what. */
	part_end("before");
	if (!opt_num("guestmem", 0))
		return;
	err = guestmem_mount();
	if (err)
		die("mount guestmemfs: %s", strerror(err));
	part_end("mount");
}

/* What each device reaches, of the same memory, from tables of its own HWPT. */
static void build(void)
{
	many.ioas = iommufd_ioas_alloc(many.iommufd);
	must(many.ioas, "allocate an IOAS");
	must(iommufd_map_file(many.iommufd, many.ioas, many.memfd, 0, many.size,
			      IOVA),
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

/* The devices that are used; of the VFs of each PF, the first ones. */
static void find_many(void)
{
	unsigned int vfs = opt_num("vfs", 0), pfs = vfs ? igb_pf_start_idle(vfs) : 0;

	if (vfs && (!pfs || many.n > pfs * vfs))
		die("many=%u: there are %u PFs with %u VFs each", many.n, pfs, vfs);
	for (unsigned int i = 0; i < many.n; i++)
		must(vfs ? vfio_find(ID_INTEL, ID_IGBVF, i % pfs * vfs + i / pfs, many.dev[i].bdf) :
			   vfio_find(ID_REDHAT, ID_RNG, i, many.dev[i].bdf),
		     "find a device");
}

void many_start(void)
{
	begin();
	find_many();
	mount_guestmem();
	many.memfd = make_memory(SIZE);
	many.size = size_of_memory();
	touch(true);
	part_end("make");
	many.iommufd = iommufd_open();
	must(many.iommufd, "open /dev/iommu");
	for (unsigned int i = 0; i < many.n; i++) {
		struct vdev *v = &many.dev[i];

		v->fd = vfio_open_cdev(v->bdf);
		must(v->fd, "open a cdev");
		must(vfio_bind(v, many.iommufd), "bind a device");
	}
	part_begin();
	build();
	part_end("map");
	attach();
	parts_say();
	emit("many", ",\"devices\":%u,\"hwpts\":%u", many.n, many.hwpts);
}

void many_preserve(void)
{
	kexec_load_next();
	phase("preserve", "begin");
	part_begin();
	many.session = luo_session_create(SESSION);
	must(many.session, "create a session");
	must(luo_preserve(many.session, many.memfd, TOKEN_MEMFD),
	     "preserve the memfd");
	part_end("preserve memory");
	for (unsigned int i = 0; i < many.hwpts; i++)
		must(iommufd_hwpt_mark(many.iommufd, many.hwpt[i],
				       TOKEN_FIRST_HWPT + i, 0), "mark a HWPT");
	if (many.n)
		must(luo_preserve(many.session, many.iommufd, TOKEN_IOMMUFD),
		     "preserve the iommufd");
	part_end("preserve iommufd");
	for (unsigned int i = 0; i < many.n; i++)
		must(luo_preserve(many.session, many.dev[i].fd,
				  TOKEN_FIRST_DEVICE + i),
		     "preserve a device");
	part_end("preserve devices");
	phase("preserve", "end");
	parts_say();
	say_cycle();
}

void many_resume(void)
{
	struct uio_hwpt_verify v;
	int restored[MOST];

	say_cycle();
	begin();
	mount_guestmem();
	phase("retrieve", "begin");
	part_begin();
	many.session = luo_session_retrieve(SESSION);
	must(many.session, "retrieve the session");
	many.memfd = luo_retrieve(many.session, TOKEN_MEMFD);
	must(many.memfd, "retrieve the memfd");
	part_end("retrieve memory");
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
	part_end("retrieve the rest");
	phase("retrieve", "end");
	many.size = size_of_memory();
	phase("rebuild", "begin");
	part_begin();
	build();
	part_end("rebuild");
	phase("rebuild", "end");
	phase("verify", "begin");
	part_begin();
	for (unsigned int i = 0; i < many.hwpts; i++) {
		must(iommufd_hwpt_verify(many.iommufd, restored[i], many.hwpt[i], &v),
		     "compare a rebuilt HWPT with the restored one");
		if (v.out_result)
			die("the rebuilt HWPT is not like the restored one at %#llx",
			    (unsigned long long)v.out_iova);
	}
	part_end("verify");
	phase("verify", "end");
	phase("replace", "begin");
	part_begin();
	attach();
	part_end("replace");
	phase("replace", "end");
	part_begin();
	for (unsigned int i = 0; i < many.hwpts; i++)
		must(iommufd_destroy(many.iommufd, restored[i]),
		     "destroy a restored HWPT");
	part_end("destroy");
	phase("finish", "begin");
	part_begin();
	must(luo_finish(many.session), "finish the session");
	part_end("finish");
	phase("finish", "end");
	close(many.session);
	part_begin();
	touch(false);
	part_end("touch");
	parts_say();
	many.session = -1;
	emit("resumed", ",\"devices\":%u", many.n);
}
