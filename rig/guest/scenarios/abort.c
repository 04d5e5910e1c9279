// SPDX-License-Identifier: GPL-2.0-only
/*
 * Abort before the jump. Whatever fails until then, the machine goes on as it
 * was, and the same thing done again works.
 *
 * The sweep lets the first place that can fail in a step fail, then the second,
 * and so on, until a step is through without having met the fault
 * (see interfaces/fault_injection.c). The frames go on meanwhile, and the referee looks at them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/fault_injection.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/kmemleak.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/abort.h"
#include "update/preserve.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define KHO_PAGES	DEBUGFS "liveupdate/memory"

/* How many pages KHO is told to preserve at the moment. */
static long kho_pages(void)
{
	static char text[64];
	unsigned long folios, pages;

	if (read_file(KHO_PAGES, text, sizeof(text)) <= 0 ||
	    sscanf(text, "format=1\nmemory folios=%lu pages=%lu\n", &folios,
		   &pages) != 2)
		die("read how many pages are preserved from %s", KHO_PAGES);
	return pages;
}

/* ---- as before ---- */

static int other_hwpt, own_hwpt;	/* both say the same */

static void attach_both(struct rig *r, int hwpt)
{
	must(vfio_attach(&r->nic.v, hwpt), "attach the network device again");
	must(vfio_attach(&r->audio.v, hwpt), "attach the audio device again");
}

/* With no session: nothing says that there ever was one. */
static void as_before(struct rig *r, long pages)
{
	long now = kho_pages();

	if (now != pages)
		die("%ld pages are preserved, %ld were before", now, pages);
	must(rig_probe(r), "map and unmap after a preserve was undone");
	must(rig_step(r, STEP_MARK), "mark after a preserve was undone");
	attach_both(r, other_hwpt);
	attach_both(r, own_hwpt);
	rig_poll(r);
}

static void undo_session(struct rig *r)
{
	if (r->session >= 0)
		close(r->session);
	r->session = -1;
}

static void steps(struct rig *r, int from, int end)
{
	static const char *const what[] = {
		"mark", "create a session", "preserve the memfd",
		"preserve the iommufd", "preserve the network device",
		"preserve the audio device",
	};

	for (int step = from; step < end; step++)
		must(rig_step(r, step), what[step]);
}

#define STEPS_ALL	(STEP_AUDIO + 1)

static void prepare_both(struct rig *r)
{
	if (!r->nic.present || !r->audio.present)
		die("this needs both devices");
	own_hwpt = r->nic.hwpt;
	other_hwpt = iommufd_hwpt_alloc(r->iommufd, r->nic.v.devid, r->ioas);
	must(other_hwpt, "allocate a second HWPT");
	must(rig_step(r, STEP_MARK), "mark the HWPT");
	r->nic.marked = r->nic.hwpt;
}

/*
 * A device that may not be preserved as it is: user space says that it does not
 * use it. It stays awake, since a preserved device does, and goes on with its
 * DMA; but the freeze refuses it.
 */
static int low_power(struct vdev *v, bool on)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 (on ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY :
			       VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
	};

	return ioctl(v->fd, VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

/* ---- the sweep ---- */

/* A step failed and the session is there still: all but that step works. */
static void as_before_step(struct rig *r, enum rig_step step, long pages)
{
	long now = kho_pages();

	if (now != pages)
		die("a step that failed: %ld pages are preserved, %ld were before it",
		    now, pages);
	if (step <= STEP_IOMMUFD)
		must(rig_probe(r), "map and unmap after a preserve that failed");
	if (step <= STEP_NIC) {
		must(vfio_attach(&r->nic.v, other_hwpt),
		     "attach after a preserve that failed");
		must(vfio_attach(&r->nic.v, own_hwpt),
		     "attach after a preserve that failed");
	}
	must(vfio_attach(&r->audio.v, other_hwpt),
	     "attach after a preserve that failed");
	must(vfio_attach(&r->audio.v, own_hwpt),
	     "attach after a preserve that failed");
	rig_poll(r);
}

/*
 * One step, all of its faults. After one that made it fail, the step is done
 * again in the same session and with the same token, with the fault one place
 * further; each REDO_EVERY times without a fault: it has to work. Then, and
 * after each fault that the step got over, all of it is undone.
 */
#define REDO_EVERY	8

static void sweep_step(struct rig *r, enum rig_step step, const char *name,
		       long pages)
{
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	for (unsigned int n = 1; n; n = fault_next(n, hit)) {
		long before;
		int ret;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		if (step > STEP_SESSION && r->session < 0)
			steps(r, STEP_SESSION, step);
		before = kho_pages();
		fault_arm(n);
		ret = rig_step(r, step);
		hit = fault_disarm(name);
		fault_count(&s, ret, hit, name);
		if (ret) {
			as_before_step(r, step, before);
			if (s.failed % REDO_EVERY && step > STEP_SESSION)
				continue;
			must(rig_step(r, step), "the step done again");
		}
		undo_session(r);
		as_before(r, pages);
	}
	fault_say(name, &s, begin, true);
}

/* Closing the session cannot fail, whatever there is no memory for. */
static void sweep_undo(struct rig *r, long pages)
{
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	for (unsigned int n = 1; n && s.points < POINTS_MAX;
	     n = fault_next(n, hit)) {
		steps(r, STEP_SESSION, STEPS_ALL);
		fault_arm(n);
		undo_session(r);
		hit = fault_disarm("undo");
		fault_count(&s, 0, hit, "undo");
		as_before(r, pages);
	}
	fault_say("undo", &s, begin, true);
}

/*
 * The freeze is in reboot(2), which comes back only if it fails. So that the
 * last one does, too, the device that is frozen last must not be: all places
 * of the other one's freeze are before that. Then they change places.
 */
static void sweep_freeze(struct rig *r, struct vdev *last, const char *name,
			 long pages)
{
	bool nic_last = last == &r->nic.v;
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	steps(r, STEP_SESSION, STEP_NIC);
	must(rig_step(r, nic_last ? STEP_AUDIO : STEP_NIC), "preserve a device");
	must(rig_step(r, nic_last ? STEP_NIC : STEP_AUDIO), "preserve a device");
	for (unsigned int n = 1; n; n = fault_next(n, hit)) {
		int ret;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		must(low_power(last, true), "low power entry before the jump");
		fault_arm(n);
		ret = kexec_try();
		hit = fault_disarm(name);
		must(low_power(last, false), "low power exit before the jump");
		if (!hit && ret != -EBUSY)
			die("%s: %s in place of EBUSY for a device that sleeps",
			    name, strerror(-ret));
		if (hit)
			fault_count(&s, ret, hit, name);
		/* Preserved, as it was before the reboot(2). */
		ret = vfio_attach(&r->nic.v, other_hwpt);
		if (ret != -EBUSY)
			die("%s: attach of a preserved device after the freeze: %s",
			    name, strerror(-ret));
		rig_poll(r);
	}
	undo_session(r);
	as_before(r, pages);
	fault_say(name, &s, begin, true);
}

void rig_sweep(struct rig *r)
{
	long pages;

	if (!faults_on()) {
		emit("sweep_over", ",\"unswept\":1");
		return;
	}
	prepare_both(r);
	kexec_load_this_stage();
	pages = kho_pages();

	sweep_step(r, STEP_MARK, "mark", pages);
	sweep_step(r, STEP_SESSION, "session", pages);
	sweep_step(r, STEP_AUDIO, "audio", pages);
	sweep_step(r, STEP_NIC, "nic", pages);
	sweep_step(r, STEP_IOMMUFD, "iommufd", pages);
	faults_pages(true);
	sweep_step(r, STEP_MEMFD, "memfd", pages);
	faults_pages(false);
	sweep_freeze(r, &r->audio.v, "freeze, audio last", pages);
	sweep_freeze(r, &r->nic.v, "freeze, nic last", pages);
	sweep_undo(r, pages);

	must(iommufd_destroy(r->iommufd, other_hwpt), "destroy the second HWPT");
	faults_off();
	kmemleak_check();
	emit("sweep_over", ",\"kho_pages\":%ld", pages);
}

/* ---- the jump fails ---- */

/* A device with everything of its own, in a session of its own. It does no DMA. */
static struct {
	struct vdev v;
	int memfd, iommufd, ioas, hwpt, session;
} second = { .session = -1 };

#define SECOND_SIZE	(16 * PAGE)
#define SECOND_SESSION	"continuo-second"
#define SECOND_TOKEN	0x2ull

static void second_start(void)
{
	must(vfio_find(0x8086, 0x10c9, 1, second.v.bdf),
	     "find the second device (igb)");
	second.memfd = memfd_create("rig-second", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (second.memfd < 0 || ftruncate(second.memfd, SECOND_SIZE) ||
	    fcntl(second.memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make the second memfd: %s", strerror(errno));
	second.iommufd = iommufd_open();
	must(second.iommufd, "open /dev/iommu");
	second.v.fd = vfio_open_cdev(second.v.bdf);
	must(second.v.fd, "open the second device's cdev");
	must(vfio_bind(&second.v, second.iommufd), "bind the second device");
	second.ioas = iommufd_ioas_alloc(second.iommufd);
	must(second.ioas, "allocate the second IOAS");
	must(iommufd_map_file(second.iommufd, second.ioas, second.memfd, 0,
			      SECOND_SIZE, IOVA_BASE),
	     "map the second memfd");
	second.hwpt = iommufd_hwpt_alloc(second.iommufd, second.v.devid,
					 second.ioas);
	must(second.hwpt, "allocate the second device's HWPT");
	must(vfio_attach(&second.v, second.hwpt), "attach the second device");
	must(vfio_map(&second.v), "map the second device's BAR");
	must(iommufd_hwpt_mark(second.iommufd, second.hwpt, SECOND_TOKEN, 0),
	     "mark the second device's HWPT");
}

static void second_preserve(void)
{
	second.session = luo_session_create(SECOND_SESSION);
	must(second.session, "create the second session");
	must(luo_preserve(second.session, second.memfd, 1),
	     "preserve the second memfd");
	must(luo_preserve(second.session, second.iommufd, 2),
	     "preserve the second iommufd");
	must(luo_preserve(second.session, second.v.fd, 3),
	     "preserve the second device");
}

static void second_undo(void)
{
	close(second.session);
	second.session = -1;
}

static void second_stop(void)
{
	close(second.v.fd);
	close(second.iommufd);
	close(second.memfd);
}

#define PCI_CAP_PTR	0x34
#define PCI_CAP_PM	0x01
#define PCI_PM_CTRL	4

static void power_state(struct vdev *v, unsigned int state)
{
	unsigned int at = vfio_config_read16(v, PCI_CAP_PTR) & 0xfc;

	while (at && (vfio_config_read16(v, at) & 0xff) != PCI_CAP_PM)
		at = vfio_config_read16(v, at) >> 8 & 0xfc;
	if (!at)
		die("the second device has no power management");
	vfio_config_write16(v, at + PCI_PM_CTRL, state);
	if ((vfio_config_read16(v, at + PCI_PM_CTRL) & 3) != state)
		die("the second device does not go to D%u", state);
}

static int detach(struct vdev *v)
{
	struct {
		uint32_t argsz, flags;
	} arg = { .argsz = sizeof(arg) };

	return ioctl(v->fd, _IO(VFIO_TYPE, VFIO_BASE + 20), &arg) ? -errno : 0;
}

/* reboot(2) has come back: still preserved, and nothing is frozen. */
static void back(struct rig *r, const char *name, unsigned int tries, int ret)
{
	int refused = vfio_attach(&r->nic.v, other_hwpt);

	if (refused != -EBUSY)
		die("%s: attach of a preserved device: %s", name,
		    strerror(-refused));
	/* Writes to the configuration space. */
	vfio_enable_dma(&r->nic.v);
	must(low_power(&r->audio.v, true), "low power entry after the jump failed");
	must(low_power(&r->audio.v, false), "low power exit after the jump failed");
	if (second.session >= 0 && ioctl(second.v.fd, VFIO_DEVICE_RESET))
		die("%s: reset of the second device after the jump failed: %s",
		    name, strerror(errno));
	rig_poll(r);
	emit("late", ",\"name\":\"%s\",\"tries\":%u,\"errno\":%d,\"text\":\"%s\"",
	     name, tries, -ret, strerror(-ret));
}

/*
 * Somebody loads a kernel: for a crash, so that no kernel is loaded in the end
 * (no memory is set apart for one), but the lock is held while it is read.
 */
static pid_t start_loader(void)
{
	pid_t child = fork();

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child)
		return child;
	for (;;) {
		int kernel = open("/next/bzImage", O_RDONLY | O_CLOEXEC);

		syscall(SYS_kexec_file_load, kernel, -1, 1ul, "",
			0x2ul | 0x4ul /* on crash, no initramfs */);
		close(kernel);
	}
}

#define BUSY_TRIES	200000u

static void busy_lock(struct rig *r)
{
	pid_t child = start_loader();
	unsigned int tries = 0;
	int ret;

	do {
		ret = kexec_try();
		if (!(++tries % 64))
			rig_poll(r);
	} while (ret == -EINVAL && tries < BUSY_TRIES);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	back(r, "kernel is being loaded", tries, ret);
}

static int try_asleep(struct vdev *v)
{
	int ret;

	must(low_power(v, true), "low power entry of a preserved device");
	ret = kexec_try();
	must(low_power(v, false), "low power exit of a preserved device");
	return ret;
}

void rig_late(struct rig *r)
{
	long pages;
	int ret;

	prepare_both(r);
	second_start();
	pages = kho_pages();

	/* Nothing is loaded yet. */
	steps(r, STEP_SESSION, STEPS_ALL);
	back(r, "no kernel loaded", 1, kexec_try());
	busy_lock(r);
	kexec_load_this_stage();

	back(r, "device sleeps", 1, try_asleep(&r->audio.v));

	/* The first session is frozen by the time that the second one fails. */
	second_preserve();
	back(r, "second session: device sleeps", 1, try_asleep(&second.v));

	power_state(&second.v, 3);
	ret = kexec_try();
	power_state(&second.v, 0);
	back(r, "second session: device in D3", 1, ret);

	must(detach(&second.v), "detach the second device");
	back(r, "second session: device detached", 1, kexec_try());
	second_undo();
	must(vfio_attach(&second.v, second.hwpt), "attach the second device again");

	/* The other way round: the second device is frozen, then let go. */
	undo_session(r);
	as_before(r, pages);
	second_preserve();
	steps(r, STEP_SESSION, STEPS_ALL);
	back(r, "device of the later session sleeps", 1,
	     try_asleep(&r->audio.v));
	second_undo();
	undo_session(r);
	as_before(r, pages);
	second_stop();
	must(iommufd_destroy(r->iommufd, other_hwpt), "destroy the second HWPT");
	emit("late_over", ",\"kho_pages\":%ld", pages);
}

/* ---- memory ---- */

/* The number after @name in a text of "name number" lines; -1 if it is not there. */
static long number_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, name, len) && strchr(": \t", p[len]))
			return strtol(p + len + 1, NULL, 10);
		if (!*p)
			break;
	}
	return -1;
}

void emit_memory(void)
{
	static char info[8192], vmstat[16384];

	/* What is free and only cached counts as free. */
	write_file("/proc/sys/vm/drop_caches", "3");
	read_file("/proc/meminfo", info, sizeof(info));
	read_file("/proc/vmstat", vmstat, sizeof(vmstat));
	emit("memory",
	     ",\"MemTotal_kb\":%ld,\"MemFree_kb\":%ld,\"MemAvailable_kb\":%ld,\"Slab_kb\":%ld,\"SUnreclaim_kb\":%ld,\"PageTables_kb\":%ld,\"SecPageTables_kb\":%ld,\"VmallocUsed_kb\":%ld,\"nr_iommu_pages\":%ld,\"kho_pages\":%ld",
	     number_of(info, "MemTotal"), number_of(info, "MemFree"),
	     number_of(info, "MemAvailable"), number_of(info, "Slab"),
	     number_of(info, "SUnreclaim"), number_of(info, "PageTables"),
	     number_of(info, "SecPageTables"), number_of(info, "VmallocUsed"),
	     number_of(vmstat, "nr_iommu_pages"), kho_pages());
}
