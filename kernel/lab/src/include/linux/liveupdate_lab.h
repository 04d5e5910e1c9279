/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The laboratory of live updates
 *
 * A test that has never been seen to fail proves nothing. The rig runs every
 * proof a second time with the law that it is about broken, and expects to be
 * told so by the referee outside of the machine. It also damages what a kernel
 * hands over, and expects that the next one notices. All of this is in files and
 * patches of the laboratory, which no other kernel has.
 */
#ifndef _LINUX_LIVEUPDATE_LAB_H
#define _LINUX_LIVEUPDATE_LAB_H

#include <linux/string.h>
#include <linux/types.h>

struct luo_ser;

/**
 * enum liveupdate_law - what can be broken with liveupdate.break=
 * @LIVEUPDATE_LAW_GAP: "gap": replacing the domain of a device blocks the
 *	device first and sets up the new translation then, as 7.3 does.
 * @LIVEUPDATE_LAW_HOLD: "hold": the devices of a session are stopped when it
 *	cannot be finished, as it happens when the process that has it dies.
 * @LIVEUPDATE_LAW_TRUST: "trust": domains, and entries of the hardware, are
 *	used although their check has found them wrong.
 * @LIVEUPDATE_LAW_UNDO: "undo": undoing a preserve leaves the IOAS frozen.
 * @LIVEUPDATE_LAW_UNDO_PAGE: "undo-page": undoing a preserve leaves the root
 *	table of each IOMMU with KHO.
 * @LIVEUPDATE_LAW_MASTER: "master": bus mastering of devices that are not
 *	preserved stays on, and the next kernel does not switch it off either.
 * @LIVEUPDATE_LAW_SCRUB: "scrub": the IOMMU's entries for devices that are not
 *	preserved stay in place until the next kernel removes them.
 * @LIVEUPDATE_LAW_FREE: "free": the domain of a device is given up before the
 *	hardware has stopped using it: nothing is invalidated after a replace.
 * @LIVEUPDATE_LAW_INTERRUPT: "interrupt": an eventfd is not signalled when it
 *	is connected to a device that came with a live update.
 * @LIVEUPDATE_LAW_FORMATS: "formats": reboot(2) does not ask whether the loaded
 *	kernel reads the formats that are about to be written.
 * @LIVEUPDATE_LAW_COST: "cost": the freeze of a device preserves all tables of
 *	its domain once more.
 * @LIVEUPDATE_LAW_REMAP: "remap": interrupt remapping is off over the jump.
 * @LIVEUPDATE_LAW_ADOPT: "adopt": tables are adopted without being compared.
 * @LIVEUPDATE_LAW_WAIT: "wait": the tables of a domain are preserved under the lock
 *	that all VMs share.
 * @LIVEUPDATE_LAW_POOL: "pool": huge pages that are thrown out of a retrieved memfd go
 *	back to their pool at once.
 * @LIVEUPDATE_LAW_CUT: "cut": a file of guestmemfs is cut, or removed and its memory
 *	freed, although a device has it.
 * @LIVEUPDATE_LAW_PIN: "pin": it does not come over that a file of guestmemfs was
 *	preserved.
 * @LIVEUPDATE_LAW_IMAGE: "image": the third inode of guestmemfs says before the
 *	jump that its file is shorter than it is.
 * @LIVEUPDATE_LAW_PF: "pf": a physical function whose virtual ones are preserved is shut
 *	down as any device: its bus mastering is switched off.
 * @LIVEUPDATE_LAW_SRIOV: "sriov": the next kernel sets SR-IOV up as ever, and so
 *	switches it off.
 * @LIVEUPDATE_LAW_PORT: "port": igb does not care whether virtual functions go on: it
 *	resets its device as ever.
 * @LIVEUPDATE_LAW_QUEUES: "queues": igb does not stop its own queues when it hands over.
 * @LIVEUPDATE_LAW_TOKEN: "token": vfio-pci does not know that a physical function which
 *	it takes over has virtual ones, and so asks nobody for a token.
 * @LIVEUPDATE_LAW_RESET: "reset": a device that came with a live update is reset
 *	when it is opened, as 7.3 does with every device.
 * @LIVEUPDATE_LAW_PAGES: "pages": a device without an IOMMU leaves its restored HWPT
 *	for one that maps other pages.
 * @LIVEUPDATE_LAW_DEVTLB: "devtlb": a device that uses ATS is not told to forget what
 *	it has cached when its domain is replaced.
 * @LIVEUPDATE_LAW_HELD: "held": with a way back, what is restored and given up reaches the
 *	allocator.
 * @LIVEUPDATE_LAW_BACK: "back": on the way back neither bus mastering of others is
 *	switched off nor are their entries of the IOMMU removed.
 * @LIVEUPDATE_LAW_PARKED: "parked": a kernel that could go back writes into a page of the
 *	image that it would go back to.
 * @LIVEUPDATE_LAW_DIGEST: "digest": the image to go back to is used unchecked.
 * @LIVEUPDATE_LAW_NR: number of laws, not a law
 *
 * The names are in the table in kernel/liveupdate/lab/break.c.
 */
enum liveupdate_law {
	LIVEUPDATE_LAW_GAP,
	LIVEUPDATE_LAW_HOLD,
	LIVEUPDATE_LAW_TRUST,
	LIVEUPDATE_LAW_UNDO,
	LIVEUPDATE_LAW_UNDO_PAGE,
	LIVEUPDATE_LAW_MASTER,
	LIVEUPDATE_LAW_SCRUB,
	LIVEUPDATE_LAW_FREE,
	LIVEUPDATE_LAW_INTERRUPT,
	LIVEUPDATE_LAW_FORMATS,
	LIVEUPDATE_LAW_COST,
	LIVEUPDATE_LAW_REMAP,
	LIVEUPDATE_LAW_ADOPT,
	LIVEUPDATE_LAW_WAIT,
	LIVEUPDATE_LAW_POOL,
	LIVEUPDATE_LAW_CUT,
	LIVEUPDATE_LAW_PIN,
	LIVEUPDATE_LAW_IMAGE,
	LIVEUPDATE_LAW_PF,
	LIVEUPDATE_LAW_SRIOV,
	LIVEUPDATE_LAW_PORT,
	LIVEUPDATE_LAW_QUEUES,
	LIVEUPDATE_LAW_TOKEN,
	LIVEUPDATE_LAW_RESET,
	LIVEUPDATE_LAW_PAGES,
	LIVEUPDATE_LAW_DEVTLB,
	LIVEUPDATE_LAW_HELD,
	LIVEUPDATE_LAW_BACK,
	LIVEUPDATE_LAW_PARKED,
	LIVEUPDATE_LAW_DIGEST,
	LIVEUPDATE_LAW_NR,
};

bool liveupdate_breaks(enum liveupdate_law law);

/* What a check of the handover has found; see linux/liveupdate_check.h. */
static inline const char *liveupdate_verdict(const char *why)
{
	return liveupdate_breaks(LIVEUPDATE_LAW_TRUST) ? NULL : why;
}

void liveupdate_corrupt_note(struct luo_ser *luo);
void liveupdate_corrupt(void);
#ifdef CONFIG_X86
void liveupdate_panic_at(const char *place);
/* Of drivers/iommu/amd, for the above */
void amd_liveupdate_take_locks(void);
#else
static inline void liveupdate_panic_at(const char *place)
{
}
#endif

/* What a kernel of the next versions appends to their version strings */
#define LIVEUPDATE_FORMAT_NEXT		".next"

#ifdef CONFIG_LIVEUPDATE_FORMATS_NEXT
extern const char luo_formats[];
bool luo_image_reads(const char *format);
const char *luo_format_written(const char *format);
bool luo_format_is(const char *format, const char *came);
#else
/* The version string that @format is written with. */
static inline const char *luo_format_written(const char *format)
{
	return format;
}

/* Does the reader of @format read @came, too? */
static inline bool luo_format_is(const char *format, const char *came)
{
	return !strcmp(format, came);
}
#endif

#endif /* _LINUX_LIVEUPDATE_LAB_H */
