// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user-space driver does around a live update, in the order the kernel
 * asks for (docs of the kernel part; DESIGN "Life of a preserved device"):
 * mark the HWPTs, preserve memfd, iommufd and cdevs, jump; then retrieve them
 * in the same order, bind, restore the HWPT by token, rebuild IOAS and HWPT,
 * replace, destroy the restored HWPT, finish.
 *
 * Options (see core/options.h): preserve=0 leaves the session out, preserve=memfd and
 * preserve=iommufd stop after that file (steps on the way to a kernel that can
 * do it all; the devices' DMA ends then); hole=1 leaves one
 * page that a device is about to use out of the rebuilt IOAS; hwpt=each gives
 * each device a HWPT of its own (they share one otherwise); view=1 passes on
 * what debugfs shows after each step; mark=once marks the HWPTs before the
 * first update only, and asks the kernel to keep the marks; mark=first does the
 * same without asking; wire=late leaves the interrupts of the network device to
 * rig_wire_late().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "devices/hda_interrupts.h"
#include "devices/igb.h"
#include "devices/igb_interrupts.h"
#include "interfaces/fault_injection.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/kmemleak.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "update/adopt.h"
#include "update/update.h"

void (*rig_reached)(struct rig *r, const char *step);

/* How far ahead of the receive ring's head the page left out is. */
#define HOLE_AHEAD	600u

/*
 * With sweep=1: each place at which a call can fail does, once. The call is done
 * again until it went well. A fault that it got over ends that: the call is
 * done, and cannot be done again. The next update goes on one place further, and
 * says so by an option that goes along ("past-NAME").
 */
int rig_swept(struct rig *r, const char *name, int (*call)(void *arg), void *arg)
{
	uint64_t begin = now_us();
	struct swept s = {};
	char option[64];
	unsigned int n;
	int ret;

	snprintf(option, sizeof(option), "past-%s", name);
	n = opt_num(option, 1);
	if (!opt_num("sweep", 0) || !n)
		return call(arg);
	do {
		bool hit;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		fault_arm(n);
		ret = call(arg);
		hit = fault_disarm(name);
		fault_count(&s, ret, hit, name);
		n = fault_next(n, hit);
		if (r->mem)
			rig_poll(r);
	} while (ret < 0);
	snprintf(option, sizeof(option), "past-%s=%u", name, n);
	opt_set(option);
	fault_say(name, &s, begin, !n);
	return ret;
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
	struct call c = { .r = r, .v = v, .hwpt = hwpt };

	/* Also called before there is anything to go on with. */
	return r->session < 0 ? vfio_attach(v, hwpt) :
	       rig_swept(r, name, call_attach, &c);
}

static void reached(struct rig *r, const char *step)
{
	if (rig_reached)
		rig_reached(r, step);
}

enum level { LEVEL_NONE, LEVEL_MEMFD, LEVEL_IOMMUFD, LEVEL_ALL };

static enum level preserve_level(void)
{
	const char *text = opt("preserve", "1");

	return !strcmp(text, "0") ? LEVEL_NONE :
	       !strcmp(text, "memfd") ? LEVEL_MEMFD :
	       !strcmp(text, "iommufd") ? LEVEL_IOMMUFD : LEVEL_ALL;
}

bool rig_preserves(void)
{
	return preserve_level() != LEVEL_NONE;
}

/* @ret: 0 or -errno of what should have been refused. */
static void refusal(const char *name, int ret)
{
	emit("refusal", ",\"name\":\"%s\",\"errno\":%d,\"text\":\"%s\"", name,
	     ret < 0 ? -ret : 0, ret < 0 ? strerror(-ret) : "not refused");
}

static bool one_hwpt(void)
{
	return strcmp(opt("hwpt", "shared"), "each");
}

void rig_wire(struct rig *r)
{
	r->igb = (struct igb){
		.dev = &r->nic.v,
		.st = &r->st->nic,
		.name = "nic",
		.mem = r->mem + OFF_NIC_RING,
		.iova = IOVA_BASE + OFF_NIC_RING,
	};
	r->hda = (struct hda){
		.dev = &r->audio.v,
		.mem = r->mem + OFF_HDA_BDL,
		.iova = IOVA_BASE + OFF_HDA_BDL,
	};
}

void rig_mmap(struct rig *r)
{
	r->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, r->memfd, 0);
	if (r->mem == MAP_FAILED)
		die("mmap the DMA memory: %s", strerror(errno));
	r->st = (struct rig_state *)(r->mem + OFF_STATE);
}

/* With pieces=N, in the Nth kernel, so that no large leaf fits into one of them. */
#define PIECE	(1ul << 20)

static void map_range(struct rig *r, uint64_t from, uint64_t end)
{
	bool pieces = opt_num("pieces", 0) == opt_num("stage", 1);
	uint64_t upto;

	for (; from < end; from = upto) {
		upto = pieces ? (from + PIECE) & ~(PIECE - 1) : end;
		if (upto > end)
			upto = end;
		must(iommufd_map_file(r->iommufd, r->ioas, r->memfd, from,
				      upto - from, IOVA_BASE + from),
		     "map the memfd into the IOAS");
	}
}

/* The same page again and again, so that there are tables and no more memory. */
static void map_tables(struct rig *r, uint64_t from)
{
	for (uint64_t i = from; i < r->st->tables; i++)
		must(iommufd_map_file(r->iommufd, r->ioas, r->memfd,
				      OFF_NIC_RING, PAGE,
				      IOVA_TABLES + i * TABLE_SPAN),
		     "map a page for its table");
}

void rig_tables(struct rig *r, uint64_t n)
{
	uint64_t from = r->st->tables;

	r->st->tables = n;
	map_tables(r, from);
	emit("tables", ",\"tables\":%llu", (unsigned long long)n);
}

/* Builds the IOAS; @hole is an offset whose page is left out, or 0. */
const struct rig_area rig_area[RIG_AREAS] = {
	{ OFF_NIC_RING, OFF_NIC_BUF },
	{ OFF_NIC_BUF, OFF_NIC_END },
	{ OFF_HDA_BDL, OFF_HDA_END },
};

void build_ioas(struct rig *r, uint64_t hole)
{
	r->ioas = iommufd_ioas_alloc(r->iommufd);
	must(r->ioas, "allocate an IOAS");
	hole &= ~(PAGE - 1);
	for (unsigned int i = 0; i < RIG_AREAS; i++) {
		if (hole >= rig_area[i].from && hole < rig_area[i].end) {
			map_range(r, rig_area[i].from, hole);
			map_range(r, hole + PAGE, rig_area[i].end);
		} else {
			map_range(r, rig_area[i].from, rig_area[i].end);
		}
	}
	map_tables(r, 0);
}

/* HWPTs for all devices from the current IOAS, not attached yet. */
static void build_hwpts(struct rig *r, int *nic, int *audio)
{
	*nic = *audio = -1;
	if (r->nic.present) {
		*nic = iommufd_hwpt_alloc(r->iommufd, r->nic.v.devid, r->ioas);
		must(*nic, "allocate a HWPT for the network device");
	}
	if (!r->audio.present)
		return;
	if (r->nic.present && one_hwpt()) {
		*audio = *nic;
		return;
	}
	*audio = iommufd_hwpt_alloc(r->iommufd, r->audio.v.devid, r->ioas);
	must(*audio, "allocate a HWPT for the audio device");
}

static void attach_all(struct rig *r, int nic, int audio)
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
}

static void destroy_hwpts(struct rig *r, int nic, int audio)
{
	if (nic >= 0)
		must(iommufd_destroy(r->iommufd, nic), "destroy a HWPT");
	if (audio >= 0 && audio != nic)
		must(iommufd_destroy(r->iommufd, audio), "destroy a HWPT");
}

void take_device(struct rig *r, struct device *d, const char *what)
{
	d->v.fd = vfio_open_cdev(d->v.bdf);
	if (d->v.fd < 0)
		die("open the VFIO cdev of the %s device %s: %s", what,
		    d->v.bdf, strerror(-d->v.fd));
	must(vfio_bind(&d->v, r->iommufd), "bind a device to the iommufd");
	d->present = true;
}

void find_devices(struct rig *r)
{
	const char *devs = opt("devs", "nic,audio");

	if (strstr(devs, "nic"))
		must(vfio_find(ID_INTEL, ID_IGB, 0, r->nic.v.bdf),
		     "find the network device (igb)");
	if (strstr(devs, "audio") &&
	    vfio_find(ID_INTEL, ID_HDA_ICH6, 0, r->audio.v.bdf))
		must(vfio_find(ID_INTEL, ID_HDA_ICH9, 0, r->audio.v.bdf),
		     "find the audio device (intel-hda)");
}

void rig_start(struct rig *r)
{
	uint8_t mac[6] = {};
	int nic, audio;

	r->session = -1;
	find_devices(r);
	if (opt_num("huge", 0))
		write_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			   "force");
	r->memfd = memfd_create("rig-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->memfd < 0 || ftruncate(r->memfd, MEM_SIZE))
		die("make the memfd for DMA: %s", strerror(errno));
	/* What is mapped for DMA must not change its size any more. */
	if (fcntl(r->memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("seal the memfd for DMA: %s", strerror(errno));
	rig_mmap(r);
	memset(r->mem, 0, MEM_SIZE);
	r->st->magic = RIG_MAGIC;
	r->st->version = RIG_VERSION;

	r->iommufd = iommufd_open();
	must(r->iommufd, "open /dev/iommu");
	if (r->nic.v.bdf[0])
		take_device(r, &r->nic, "network");
	if (r->audio.v.bdf[0])
		take_device(r, &r->audio, "audio");
	r->st->has_nic = r->nic.present;
	r->st->has_hda = r->audio.present;

	build_ioas(r, 0);
	build_hwpts(r, &nic, &audio);
	attach_all(r, nic, audio);
	rig_wire(r);

	if (r->nic.present) {
		must(vfio_map(&r->nic.v), "map the network device's BAR");
		vfio_enable_dma(&r->nic.v);
		irq_wire(&r->nic.v);
		igb_start(&r->igb);
		irq_program(&r->nic.v);
		igb_mac(&r->igb, mac);
	}
	if (r->audio.present) {
		must(vfio_map(&r->audio.v), "map the audio device's BAR");
		vfio_enable_dma(&r->audio.v);
		intx_wire(&r->hda);
		hda_start(&r->hda);
	}
	emit("ready",
	     ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"nic\":\"%s\",\"audio\":\"%s\",\"slots\":%u,\"nic_writes\":[%llu,%llu],\"audio_writes\":[%llu,%llu]",
	     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], r->nic.v.bdf,
	     r->audio.v.bdf, NIC_SLOTS, IOVA_BASE + OFF_NIC_BUF,
	     IOVA_BASE + OFF_NIC_END, IOVA_BASE + OFF_HDA_POS,
	     IOVA_BASE + OFF_HDA_POS + PAGE);
}

/* A mark stays for the life of the HWPT, whatever becomes of a session. */
static void mark_hwpts(struct rig *r)
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
}

static void preserve_files(struct rig *r, enum level level)
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
}

void rig_preserve(struct rig *r)
{
	phase("load", "begin");
	kexec_load_next();
	phase("load", "end");
	if (preserve_level() == LEVEL_NONE)
		return;

	phase("preserve", "begin");
	if (preserve_level() > LEVEL_MEMFD)
		mark_hwpts(r);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	preserve_files(r, preserve_level());
	phase("preserve", "end");
	view_step("preserved");
}

static int must_retrieve(struct rig *r, uint64_t token, const char *what)
{
	struct call c = { .r = r, .token = token };
	char name[32];
	int fd;

	/* What 7.3 does with a memfd's pages is not ours; it cannot be done again. */
	snprintf(name, sizeof(name), "retrieve-%s", what);
	fd = token == TOKEN_MEMFD ? call_retrieve(&c) :
				    rig_swept(r, name, call_retrieve, &c);

	if (fd < 0)
		die("retrieve the %s: %s", what, strerror(-fd));
	return fd;
}

static void resume_device(struct rig *r, struct device *d, uint64_t token,
			  const char *what)
{
	d->v.fd = must_retrieve(r, token, what);
	reached(r, d == &r->nic ? "cdev-nic" : "cdev-audio");
	if (opt_num("refusals", 0)) {
		int other = iommufd_open();

		must(other, "open /dev/iommu");
		refusal("bind to another iommufd", vfio_bind(&d->v, other));
		close(other);
	}
	must(rig_swept(r, d == &r->nic ? "bind-nic" : "bind-audio", call_bind,
		       &(struct call){ .r = r, .v = &d->v }),
	     "bind a retrieved device");
	must(vfio_map(&d->v), "map a retrieved device's BAR");
	d->present = true;
	/* Before anything of ours: is it as the old kernel left it? */
	emit("retrieved", ",\"what\":\"%s\",\"pci_command\":%u", what,
	     vfio_config_read16(&d->v, 4));
	reached(r, d == &r->nic ? "bind-nic" : "bind-audio");
}

/* Before the devices are back: they are their session's, and so is its end. */
static void resume_refusals(struct rig *r)
{
	bool nic = r->st->has_nic;
	struct vdev v = {};
	int fd;

	must(vfio_find(ID_INTEL, nic ? ID_IGB : ID_HDA_ICH6, 0, v.bdf),
	     "find a device");
	fd = vfio_open_cdev(v.bdf);
	v.fd = fd;
	refusal("open past the session",
		fd < 0 ? fd : vfio_bind(&v, r->iommufd));
	if (fd >= 0)
		close(fd);
	refusal("finish too early", luo_finish(r->session));
}

static uint64_t choose_hole(struct rig *r)
{
	if (!opt_num("hole", 0))
		return 0;
	if (r->nic.present)
		return OFF_NIC_BUF + (uint64_t)((igb_head(&r->igb) + HOLE_AHEAD) %
						NIC_SLOTS) * NIC_PITCH;
	return OFF_HDA_PCM + PCM_BYTES / 2;
}

static void rig_finish(struct rig *r, uint64_t hole)
{
	phase("finish", "begin");
	/* Closing it may have finished it already. */
	if (r->session >= 0)
		must(rig_swept(r, "finish", call_finish, &(struct call){ .r = r }),
		     "finish the session");
	view_step("finished");
	reached(r, "finish");
	close(r->session);
	r->session = -1;
	phase("finish", "end");

	r->st->updates_done++;
	emit("resumed", ",\"updates_done\":%u,\"hole\":%llu",
	     r->st->updates_done, (unsigned long long)hole);
}

static void verify(struct rig *r, const char *what, int restored, int hwpt)
{
	struct uio_hwpt_verify v;

	must(rig_swept(r, !strcmp(what, "nic") ? "verify-nic" : "verify-audio",
		       call_verify,
		       &(struct call){ .r = r, .restored = restored,
				       .hwpt = hwpt, .verify = &v }),
	     "compare a rebuilt HWPT with the restored one");
	emit("verified", ",\"what\":\"%s\",\"result\":%u,\"iova\":%llu,\"was\":%u,\"is\":%u",
	     what, v.out_result, (unsigned long long)v.out_iova,
	     v.out_restored.flags & 1, v.out_rebuilt.flags & 1);
}

/* While DMA goes on, and before anything depends on what was rebuilt. */
static void verify_all(struct rig *r, int nic, int audio, int old_nic,
		       int old_audio)
{
	phase("verify", "begin");
	if (r->nic.present)
		verify(r, "nic", old_nic, nic);
	if (r->audio.present && old_audio != old_nic)
		verify(r, "audio", old_audio, audio);
	phase("verify", "end");
}

void rig_resume(struct rig *r)
{
	int nic, audio, old_nic = -1, old_audio = -1;
	uint64_t hole;

	r->session = -1;
	if (opt_num("sweep", 0) && !faults_on())
		die("this kernel has no fault injection");
	view_step("came");
	phase("retrieve", "begin");
	r->session = rig_swept(r, "session", call_session, NULL);
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
	if (preserve_level() < LEVEL_ALL) {
		phase("retrieve", "end");
		rig_finish(r, 0);
		return;
	}
	rig_wire(r);
	view_step("retrieved");
	if (opt_num("refusals", 0))
		resume_refusals(r);
	reached(r, "iommufd");
	if (r->st->has_nic)
		resume_device(r, &r->nic, TOKEN_NIC, "nic");
	if (r->nic.present && strcmp(opt("wire", ""), "late"))
		irq_wire(&r->nic.v);
	if (r->st->has_hda)
		resume_device(r, &r->audio, TOKEN_AUDIO, "audio");
	if (r->audio.present)
		intx_wire(&r->hda);
	view_step("bound");
	if (r->nic.present) {
		old_nic = rig_swept(r, "restore-nic", call_restore,
				    &(struct call){ .r = r, .token = TOKEN_HWPT_NIC });
		must(old_nic, "restore the network device's HWPT");
	}
	if (r->audio.present && r->nic.present && one_hwpt()) {
		old_audio = old_nic;
	} else if (r->audio.present) {
		old_audio = rig_swept(r, "restore-audio", call_restore,
				      &(struct call){ .r = r, .token = TOKEN_HWPT_AUDIO });
		must(old_audio, "restore the audio device's HWPT");
	}
	reached(r, "restore");
	phase("retrieve", "end");
	view_step("restored");

	phase("rebuild", "begin");
	hole = choose_hole(r);
	if (rig_adopts()) {
		rig_adopt(r, hole, old_nic, old_audio, &nic, &audio);
		reached(r, "ioas");
		reached(r, "hwpt");
	} else {
		build_ioas(r, hole);
		reached(r, "ioas");
		build_hwpts(r, &nic, &audio);
		reached(r, "hwpt");
	}
	phase("rebuild", "end");
	if (!rig_shares())
		verify_all(r, nic, audio, old_nic, old_audio);

	phase("replace", "begin");
	attach_all(r, nic, audio);
	reached(r, "replace");
	phase("replace", "end");
	view_step("replaced");

	destroy_hwpts(r, old_nic, old_audio);
	if (rig_shares())
		must(rig_probe(r), "map and unmap in the IOAS that has adopted");
	view_step("destroyed");
	reached(r, "destroy");
	rig_finish(r, hole);
}

void rig_poll(struct rig *r)
{
	if (r->nic.present && irq_due())
		igb_poll(&r->igb);
	if (r->audio.present)
		intx_poll(&r->hda);
}

void rig_wire_late(struct rig *r)
{
	char bdf[BDF_LEN];
	int fd;

	must(vfio_find(ID_INTEL, ID_IGB, 0, bdf), "find the network device");
	fd = vfio_open_cdev(bdf);
	must(fd, "open the cdev of a device that somebody has");
	close(fd);
	irq_wire(&r->nic.v);
	emit("wired", "");
}

void emit_audio(struct rig *r)
{
	if (r->audio.present)
		emit("audio", ",\"lpib\":%u,\"written\":%u,\"interrupts\":%llu",
		     hda_position(&r->hda), hda_position_written(&r->hda),
		     intx_count());
}

void rig_report(struct rig *r)
{
	rig_poll(r);
	if (r->nic.present) {
		igb_flush(&r->igb);
		emit("nic", ",\"next\":%llu,\"posted\":%llu,\"bad\":%llu,\"head\":%u,\"interrupts\":%llu",
		     (unsigned long long)r->st->nic.next,
		     (unsigned long long)r->st->nic.posted,
		     (unsigned long long)r->st->nic.bad,
		     igb_head(&r->igb), irq_count());
	}
	emit_audio(r);
}

void rig_replace(struct rig *r, unsigned long n)
{
	int nic[2], audio[2], ioas[2];
	uint64_t t0, spent = 0, longest = 0;

	nic[0] = r->nic.hwpt;
	audio[0] = r->audio.hwpt;
	ioas[0] = r->ioas;
	build_ioas(r, 0);
	ioas[1] = r->ioas;
	build_hwpts(r, &nic[1], &audio[1]);

	emit("replacing", ",\"n\":%lu", n);
	for (unsigned long i = 1; i <= n; i++) {
		t0 = now_us();
		attach_all(r, nic[i & 1], audio[i & 1]);
		t0 = now_us() - t0;
		spent += t0;
		if (t0 > longest)
			longest = t0;
		if (!(i % 16))
			rig_poll(r);
	}
	/* Keep what the devices are attached to; ids may be used again. */
	r->nic.marked = r->audio.marked = 0;
	if (n & 1)
		destroy_hwpts(r, nic[0], audio[0]);
	else
		destroy_hwpts(r, nic[1], audio[1]);
	r->ioas = ioas[n & 1];
	must(iommufd_destroy(r->iommufd, ioas[~n & 1]), "destroy an IOAS");
	emit("replaced", ",\"n\":%lu,\"spent_us\":%llu,\"longest_us\":%llu", n,
	     (unsigned long long)spent, (unsigned long long)longest);
}

/* A page that no device uses, at an IOVA that nothing else is mapped at. */
#define PROBE_IOVA	(IOVA_BASE + 0x40000000ull)

static int probe_map(struct rig *r)
{
	return iommufd_map_file(r->iommufd, r->ioas, r->memfd, OFF_STATE, PAGE,
				PROBE_IOVA);
}

static int probe_unmap(struct rig *r)
{
	return iommufd_unmap(r->iommufd, r->ioas, PROBE_IOVA, PAGE);
}

void rig_undo(struct rig *r, unsigned long n)
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

int rig_step(struct rig *r, enum rig_step step)
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

int rig_probe(struct rig *r)
{
	return probe_map(r) ?: probe_unmap(r);
}

static int fresh_session(struct rig *r)
{
	if (r->session >= 0)
		close(r->session);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	return r->session;
}

void rig_refusals(struct rig *r)
{
	struct vdev *v = r->nic.present ? &r->nic.v : &r->audio.v;
	int hwpt = r->nic.present ? r->nic.hwpt : r->audio.hwpt;
	int other = iommufd_hwpt_alloc(r->iommufd, v->devid, r->ioas);

	must(other, "allocate a second HWPT");
	emit("seals", ",\"seals\":%d", fcntl(r->memfd, F_GET_SEALS));

	/* Nothing is marked yet: the device is attached to what stays behind. */
	fresh_session(r);
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	if (!luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD))
		refusal("unmarked hwpt", luo_preserve(r->session, v->fd, TOKEN_NIC));
	else
		refusal("unmarked hwpt", -EINVAL);

	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 0),
	     "mark a HWPT");
	r->nic.marked = r->nic.present ? hwpt : 0;
	r->audio.marked = r->nic.present ? 0 : hwpt;
	refusal("token twice",
		iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC, 0));
	refusal("unknown flag of a mark",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 1u << 2));
	refusal("keep and unmark",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC,
				  UIO_MARK_KEEP | UIO_MARK_UNMARK));
	refusal("unmark by another token",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_AUDIO,
				  UIO_MARK_UNMARK));
	/* What is unmarked leaves its token free. */
	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC,
			       UIO_MARK_UNMARK), "unmark a HWPT");
	must(iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC, 0),
	     "mark another HWPT with the token that is free again");
	must(iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC,
			       UIO_MARK_UNMARK), "unmark the other HWPT");
	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 0),
	     "mark a HWPT again");
	must(iommufd_destroy(r->iommufd, other), "destroy the second HWPT");

	fresh_session(r);
	refusal("iommufd before memfd",
		luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD));

	fresh_session(r);
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	refusal("device before iommufd",
		luo_preserve(r->session, v->fd, TOKEN_NIC));

	fresh_session(r);
	must(probe_map(r), "map a page");
	mark_hwpts(r);
	preserve_files(r, LEVEL_ALL);
	refusal("unmap while preserved", probe_unmap(r));
	refusal("map while preserved",
		iommufd_map_file(r->iommufd, r->ioas, r->memfd, OFF_STATE, PAGE,
				 PROBE_IOVA + PAGE));
	refusal("destroy while preserved", iommufd_destroy(r->iommufd, hwpt));
	close(r->session);
	r->session = -1;
	must(probe_unmap(r), "unmap after a preserve was undone");
	emit("refused", "");
}

static struct rig_state bystander_state;
static struct vdev bystander_dev;
static struct igb bystander;

void bystander_start(void)
{
	int memfd, iommufd, ioas;
	uint8_t *mem, mac[6];

	must(vfio_find(ID_INTEL, ID_IGB, 1, bystander_dev.bdf),
	     "find the bystander (a second igb)");
	memfd = memfd_create("rig-bystander", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd < 0 || ftruncate(memfd, OFF_NIC_END))
		die("make the bystander's memfd: %s", strerror(errno));
	mem = mmap(NULL, OFF_NIC_END, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	if (mem == MAP_FAILED)
		die("mmap the bystander's memfd: %s", strerror(errno));
	iommufd = iommufd_open();
	must(iommufd, "open /dev/iommu for the bystander");
	bystander_dev.fd = vfio_open_cdev(bystander_dev.bdf);
	must(bystander_dev.fd, "open the bystander's cdev");
	must(vfio_bind(&bystander_dev, iommufd), "bind the bystander");
	ioas = iommufd_ioas_alloc(iommufd);
	must(ioas, "allocate the bystander's IOAS");
	must(iommufd_map_file(iommufd, ioas, memfd, OFF_NIC_RING,
			      OFF_NIC_END - OFF_NIC_RING,
			      IOVA_BASE + OFF_NIC_RING),
	     "map the bystander's memory");
	must(vfio_attach(&bystander_dev, ioas), "attach the bystander");
	must(vfio_map(&bystander_dev), "map the bystander's BAR");
	bystander = (struct igb){
		.dev = &bystander_dev,
		.st = &bystander_state.nic,
		.name = "bystander",
		.mem = mem + OFF_NIC_RING,
		.iova = IOVA_BASE + OFF_NIC_RING,
	};
	vfio_enable_dma(&bystander_dev);
	igb_start(&bystander);
	igb_mac(&bystander, mac);
	emit("bystander",
	     ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"nic\":\"%s\"",
	     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
	     bystander_dev.bdf);
}

void bystander_poll(void)
{
	if (bystander.mem && igb_poll(&bystander))
		igb_flush(&bystander);
}
