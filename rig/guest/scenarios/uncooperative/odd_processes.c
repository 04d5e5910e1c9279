// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/odd_processes.h"
#include "scenarios/uncooperative/requests.h"
#include "update/names.h"
#include "update/preserve.h"

static void run_child(void (*body)(struct rig *own))
{
	static struct rig own = { .session = -1 };

	own.session = luo_session_retrieve(SESSION);
	if (own.session < 0)
		die("retrieve the session: %s", strerror(-own.session));
	if (vfio_find(ID_INTEL, ID_IGB, 0, own.nic.v.bdf))
		die("the network device is not there");
	body(&own);
}

/* Each is a process of its own, which exits with what it has. */
static void in_child(void (*body)(struct rig *own))
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		run_child(body);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a process ended with status %#x", status);
}

static void session_alone(struct rig *own)
{
	cell("order", "finish with nothing", luo_finish(own->session));
	cell("order", "retrieve unknown",
	     luo_retrieve(own->session, NO_SUCH_TOKEN));
}

static void only_iommufd(struct rig *own)
{
	cell("order", "retrieve iommufd",
	     luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell("order", "finish with the iommufd alone",
	     luo_finish(own->session));
}

static void only_cdev(struct rig *own)
{
	int fd = luo_retrieve(own->session, TOKEN_NIC);

	cell("order", "retrieve cdev", fd);
	own->nic.v.fd = fd;
	cell("order", "bind to a new iommufd", bind_other(&own->nic.v));
	cell("order", "finish with the cdev alone", luo_finish(own->session));
}

static void cdev_first(struct rig *own)
{
	own->nic.v.fd = luo_retrieve(own->session, TOKEN_NIC);
	own->iommufd = luo_retrieve(own->session, TOKEN_IOMMUFD);
	cell("order", "bind cdev, retrieved before its iommufd",
	     vfio_bind(&own->nic.v, own->iommufd));
	cell("order", "finish before replace", luo_finish(own->session));
}

void uncoop_order(struct rig *r, const char *arg)
{
	in_child(session_alone);
	in_child(only_cdev);
	in_child(only_iommufd);
	in_child(cdev_first);
	emit("uncoop", ",\"what\":\"order\"");
}

/* What the device writes to is thrown out of the file while it does. */
static void punch(struct rig *own)
{
	unsigned long shift = opt_num("hugetlb", 0);
	int fd = luo_retrieve(own->session, TOKEN_MEMFD);

	if (fd < 0)
		die("retrieve the memfd: %s", strerror(-fd));
	cell("punched", "resize", ftruncate(fd, shift ? 1ul << shift : PAGE) ? -errno : 0);
	cell("punched", "punch",
	     fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       OFF_NIC_BUF, OFF_NIC_END - OFF_NIC_BUF) ? -errno : 0);
	cell("punched", "finish", luo_finish(own->session));
}

void uncoop_punch(struct rig *r, const char *arg)
{
	in_child(punch);
	emit("uncoop", ",\"what\":\"punch\"");
}

/* A page that no device writes to, but one reads. Preserving the file fills the hole. */
void uncoop_replace_page(struct rig *r, const char *arg)
{
	uint64_t at = (OFF_HDA_END - 1) & ~(DMA_PIECE - 1);

	if (fallocate(r->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		      DMA_PIECE))
		die("punch a hole: %s", strerror(errno));
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	mark_hwpts(r);
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	emit("uncoop", ",\"what\":\"replace-page\",\"errno\":%d",
	     -luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD));
	close(r->session);
	r->session = -1;
}

#define NOBODY	65534

static void drop_privileges(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		die("drop all privileges: %s", strerror(errno));
}

/* The child has all that its parent has, and may do less. */
void uncoop_preserve_unprivileged(struct rig *r, const char *arg)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		mark_hwpts(r);
		r->session = luo_session_create(SESSION);
		must(r->session, "create a live update session");
		preserve_files(r, LEVEL_IOMMUFD);
		drop_privileges();
		cell("without an IOMMU", "preserve, unprivileged",
		     luo_preserve(r->session, r->nic.v.fd, TOKEN_NIC));
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a process ended with status %#x", status);
	emit("uncoop", ",\"what\":\"preserve-unprivileged\"");
}

#define ALLOWED	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void retrieve_unprivileged(struct rig *own)
{
	cell("without an IOMMU", "retrieve cdev, mode is off",
	     luo_retrieve(own->session, TOKEN_NIC));
	write_file(ALLOWED, "1");
	drop_privileges();
	cell("without an IOMMU", "retrieve cdev, unprivileged",
	     luo_retrieve(own->session, TOKEN_NIC));
}

void uncoop_retrieve_unprivileged(struct rig *r, const char *arg)
{
	in_child(retrieve_unprivileged);
	emit("uncoop", ",\"what\":\"retrieve-unprivileged\"");
}

/* The HWPT is of other pages than the device writes to; @restored: the device's own. */
static int rebuild_punched(struct rig *own, int *restored)
{
	uint64_t from = (OFF_NIC_BUF + DMA_PIECE - 1) & ~(DMA_PIECE - 1);
	uint64_t end = OFF_NIC_END & ~(DMA_PIECE - 1);

	own->memfd = luo_retrieve(own->session, TOKEN_MEMFD);
	must(own->memfd, "retrieve the memfd");
	own->iommufd = luo_retrieve(own->session, TOKEN_IOMMUFD);
	must(own->iommufd, "retrieve the iommufd");
	own->nic.v.fd = luo_retrieve(own->session, TOKEN_NIC);
	must(own->nic.v.fd, "retrieve the network device");
	must(vfio_bind(&own->nic.v, own->iommufd), "bind it");
	*restored = iommufd_hwpt_restore(own->iommufd, TOKEN_HWPT_NIC);
	must(*restored, "restore its HWPT");
	rig_mmap(own);
	if (fallocate(own->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      from, end - from))
		die("punch a hole: %s", strerror(errno));
	build_ioas(own, 0);
	return iommufd_hwpt_alloc(own->iommufd, own->nic.v.devid, own->ioas);
}

static void rebuild_elsewhere(struct rig *own)
{
	int restored, hwpt = rebuild_punched(own, &restored), attached, finished;

	must(hwpt, "allocate a HWPT");
	attached = vfio_attach(&own->nic.v, hwpt);
	iommufd_destroy(own->iommufd, attached ? hwpt : restored);
	finished = luo_finish(own->session);
	emit("elsewhere", ",\"attach\":%d,\"finish\":%d", -attached, -finished);
}

static void verify_elsewhere(struct rig *own)
{
	struct uio_hwpt_verify verify;
	int restored, hwpt = rebuild_punched(own, &restored);

	must(hwpt, "allocate a HWPT");
	must(iommufd_hwpt_verify(own->iommufd, restored, hwpt, &verify), "verify");
	emit("elsewhere", ",\"result\":%u,\"iova\":%llu", verify.out_result,
	     (unsigned long long)verify.out_iova);
}

/* A process does that as far as the comparison, and exits. */
void uncoop_verify_elsewhere(struct rig *r, const char *arg)
{
	in_child(verify_elsewhere);
}

/* A process does that, and lives on. */
void uncoop_elsewhere(struct rig *r, const char *arg)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return;
	run_child(rebuild_elsewhere);
	for (;;)
		pause();
}

/* The limits of the machine allow for a part of the file. */
#define STARVE_KB	(16 << 10)

static int starve(struct rig *own)
{
	static char text[16384];
	int ret;

	read_file("/proc/meminfo", text, sizeof(text));
	snprintf(text, sizeof(text), "%ld",
		 number_of(text, "Committed_AS") + STARVE_KB);
	write_file("/proc/sys/vm/overcommit_kbytes", text);
	write_file("/proc/sys/vm/overcommit_memory", "2");
	ret = luo_retrieve(own->session, TOKEN_MEMFD);
	write_file("/proc/sys/vm/overcommit_memory", "0");
	return ret;
}

static void starve_held(struct rig *own)
{
	cell("starved", "retrieve memfd", starve(own));
	cell("starved", "finish", luo_finish(own->session));
}

void uncoop_starve(struct rig *r, const char *arg)
{
	in_child(starve_held);
	emit("uncoop", ",\"what\":\"starve\"");
}

/* Whoever is not root cannot open one more file than the machine may have. */
static void few_files(char most[static 64])
{
	read_file("/proc/sys/fs/file-max", most, 64);
	/* Not 1: the few that are open are not counted exactly. */
	write_file("/proc/sys/fs/file-max", "0");
	if (seteuid(65534))
		die("become nobody: %s", strerror(errno));
}

static void enough_files(const char *most)
{
	if (seteuid(0))
		die("become root again: %s", strerror(errno));
	write_file("/proc/sys/fs/file-max", most);
}

/* No device needs the memory, and nobody will. Huge pages are not charged as other memory is. */
static void starve_free(struct rig *own)
{
	bool huge = opt_num("hugetlb", 0);
	const char *event = huge ? "no files, no devices" :
				   "starved, no devices";
	static char most[64];
	int fd;

	if (huge) {
		few_files(most);
		fd = luo_retrieve(own->session, TOKEN_MEMFD);
		enough_files(most);
	} else {
		fd = starve(own);
	}
	cell(event, "retrieve memfd", fd);
	cell(event, "finish", luo_finish(own->session));
}

/* This kernel has no huge pages of the size that the memory has. */
static void lacks_size(struct rig *own)
{
	cell("no such size", "retrieve memfd", luo_retrieve(own->session, TOKEN_MEMFD));
	cell("no such size", "finish", luo_finish(own->session));
}

void uncoop_give_up(struct rig *r, const char *arg)
{
	in_child(!strcmp(arg, "size") ? lacks_size : starve_free);
	emit("uncoop", ",\"what\":\"give-up\"");
}

static void retrieve_each(struct rig *own, const char *state, const char *memfd)
{
	cell_fd(state, memfd, luo_retrieve(own->session, TOKEN_MEMFD));
	cell_fd(state, "retrieve iommufd",
		luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell_fd(state, "retrieve cdev", luo_retrieve(own->session, TOKEN_NIC));
}

static void short_of_files(struct rig *own)
{
	static char most[64];

	few_files(most);
	retrieve_each(own, "short", "retrieve memfd again");
	enough_files(most);
	cell("short", "finish", luo_finish(own->session));
}

void uncoop_short(struct rig *r, const char *arg)
{
	in_child(short_of_files);
	emit("uncoop", ",\"what\":\"short\"");
}

static void fed(struct rig *own)
{
	retrieve_each(own, "fed", "retrieve memfd again");
}

void uncoop_fed(struct rig *r, const char *arg)
{
	in_child(fed);
	emit("uncoop", ",\"what\":\"fed\"");
}

static void no_handler(struct rig *own)
{
	retrieve_each(own, "no handler", "retrieve memfd");
	cell("no handler", "finish", luo_finish(own->session));
}

void uncoop_no_handler(struct rig *r, const char *arg)
{
	in_child(no_handler);
	emit("uncoop", ",\"what\":\"no-handler\"");
}
