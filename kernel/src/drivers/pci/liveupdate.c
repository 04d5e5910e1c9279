// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: PCI devices that go on working while the kernel is replaced
 *
 * A device that is *preserved* does DMA through a kexec: neither the kernel
 * that ends (where the device is *outgoing*) nor the one that starts (where it
 * is *incoming*) does anything to it or to the bridges above it that could
 * stop, refuse or misdirect a transaction. This file keeps the list of such
 * devices, see include/linux/kho/abi/pci.h, and answers for the rest of the
 * PCI core what may be done to a device. The translation of the DMA is the
 * affair of the IOMMU core, the memory that of the session.
 *
 * Happy path:
 *
 * 1. The driver of the device (vfio-pci), in the .preserve() of its Live
 *    Update file handler, calls pci_liveupdate_preserve(). The device and the
 *    bridges above it get into the list, the bridges counted. They stay in D0
 *    from here on. Otherwise the device can be used as before.
 *
 * 2. In .freeze() it calls pci_liveupdate_freeze(): what the list says is
 *    compared with the hardware a last time. From here on neither the device nor
 *    a bridge above it can be reset, or lose its driver, or get virtual functions.
 *    User space runs until the last moment, so the driver, too, must not let it
 *    change anything of the device from here on, see pci_liveupdate_frozen().
 *
 * 3. pci_device_shutdown() asks pci_liveupdate_shutdown(). The driver's
 *    .shutdown() is not called for a preserved device, nor for the port driver
 *    of a preserved bridge, its power state is not changed and bus mastering
 *    stays on. Only its interrupts are shut off, by configuration writes: INTx
 *    is disabled, MSI and MSI-X are disabled. What the device would have
 *    signalled until its new driver sets up interrupts is lost; the driver has
 *    to look at the device's own state once. DMA goes on.
 *
 * 4. The next kernel finds the device, and pci_liveupdate_setup() finds it in
 *    the list. What the list says is compared with the hardware. Then the
 *    device is incoming: BARs, bridge windows, bus numbers, ARI, ACS, payload
 *    size and other settings of PCI Express, link power management included,
 *    stay as they are. BARs are sized as ever: memory decoding is off for
 *    that moment, which no DMA notices. There is no reset, no low power state
 *    and no way to switch off bus mastering (pci_clear_master() and
 *    pci_disable_device() leave it alone). Only a driver that says that it can
 *    take over such a device (&struct pci_driver.liveupdate_takeover) may bind.
 *
 * 5. The driver calls pci_liveupdate_finish() in .finish(). The device is an
 *    ordinary one again, and so are the bridges with no other incoming device
 *    below. It can be preserved for the next update.
 *
 * Unhappy paths:
 *
 * - *Cannot be preserved*: pci_liveupdate_preserve() says why in the log and
 *   leaves nothing behind. Devices whose DMA carries another requester ID (behind a
 *   bridge to conventional PCI, or by a quirk), devices not in D0, not finished from
 *   the last update, or gone.
 * - *The machine is to sleep*: suspend and hibernation would stop a device that
 *   is preserved or incoming, so they are refused with -EBUSY as long as there is
 *   one. While the machine goes to sleep no device can be preserved. The same
 *   holds for going back to a hibernated kernel.
 * - *Undone before the jump*: pci_liveupdate_unpreserve() takes the device,
 *   and the bridges that no other preserved device needs, off the list.
 * - *Changed before the jump*: pci_liveupdate_freeze() fails, reboot(2) returns
 *   the error, pci_liveupdate_unfreeze() lifts the hold of those that had
 *   been frozen. The machine goes on.
 * - *Another device at its place*: a device that does not agree with its entry
 *   is refused, and so is each one below a refused bridge. Refused is: its bus
 *   mastering is switched off where it is found, it is never incoming, and it
 *   is reset before a driver can have it. If it cannot be reset, no driver gets
 *   it: with bus mastering on, it would go on with what it was doing. If vfio-pci
 *   has it already, nobody can open it before the reset. Refused devices do not
 *   wait for each other, unless they are below the same bridge.
 * - *The handover cannot be used by the IOMMU code*: that code blocks the
 *   device and calls pci_liveupdate_refuse(), with the same effect.
 * - *The list cannot be read* (of another version, damaged, incomplete, Live
 *   Update switched off): no device is incoming. Since the previous kernel
 *   switched off bus mastering of all others, a device that has it on after
 *   such a boot is one that was preserved: it is refused. The boot goes on.
 * - *A device of the list is not there*: its entry is not used. The bridges
 *   above it become ordinary when the last session that has devices is
 *   finished.
 * - *A driver that cannot take over*: is turned away with -ENODEV, so that the
 *   driver core goes on quietly, and with one line in the log.
 * - *User space never finishes*: the device stays incoming. It does DMA into
 *   memory that is preserved, and nobody but the owner of the session can get
 *   at it. When the machine is shut down, and it is not handed over once more,
 *   its bus mastering is switched off before its translation is.
 * - *Removed while incoming*: if its file was retrieved, removing waits until the
 *   file is closed, that is, for the end of the update. Otherwise bus mastering is
 *   switched off, the IOMMU code blocks it, then it is reset. What is found
 *   there later is an ordinary device.
 *
 * Virtual functions: see liveupdate_iov.c. What holds for the bridges above a device
 * holds for the physical function of a virtual one.
 *
 * Quirks run for an incoming device as for any other, because later code needs
 * what they note down. Those that touch a device of a generic class, and so
 * could hit a preserved device, are the hand-off of USB controllers, which
 * leaves incoming devices alone, and the VGA ones; VGA devices are not
 * preserved.
 *
 * Locking: pci_liveupdate.lock protects both lists and the transitions of the
 * bits in &struct pci_dev.liveupdate. It nests inside the locks of Live Update
 * (session, FLB), of VFIO and of the IOMMU core; nothing is called under it
 * that takes one of those.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitfield.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/iommu-liveupdate.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/pci.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "liveupdate_iov.h"
#include "liveupdate_rules.h"
#include "pci.h"

/* So many devices, bridges included, can be preserved at a time. */
#define PCI_LIVEUPDATE_MAX	4096

/* Room for devices that are plugged in while others are preserved. */
#define PCI_LIVEUPDATE_SPARE	64

/* In pci_dev_ser.flags of the incoming list only, never in a handover. */
#define PCI_DEV_SER_TAKEN	BIT(31)

#define PCI_LIVEUPDATE_BARS \
	GENMASK(PCI_LIVEUPDATE_BAR0 + PCI_STD_NUM_BARS - 1, PCI_LIVEUPDATE_BAR0)

/**
 * struct pci_liveupdate_state - State of this file.
 * @lock: Protects all of it.
 * @out: Outgoing list, NULL if there is none.
 * @max_out: Number of entries that @out has room for.
 * @out_pfs: SR-IOV of the PFs in @out, NULL if there is none in it.
 * @out_checked: @out has not changed since the freeze found no fault with it.
 * @out_frozen: Number of calls of pci_liveupdate_freeze() that were not undone.
 * @in: A copy of the incoming list, NULL if there is none, it is bad, or all is finished.
 * @in_pa: Where the list itself is, which is not written.
 * @in_pfs: SR-IOV of the PFs in @in, NULL if there are none.
 * @refuse_reason: Why no device is taken over; NULL if that is not so.
 * @inherit: There was an incoming list, good or bad.
 * @sleep: The machine goes to sleep, or wakes up.
 */
struct pci_liveupdate_state {
	struct mutex lock;	/* Protects all of it */
	struct pci_ser *out;
	u32 max_out;
	struct pci_sriov_list_ser *out_pfs;
	bool out_checked;
	u32 out_frozen;
	struct pci_ser *in;
	phys_addr_t in_pa;
	const struct pci_sriov_list_ser *in_pfs;
	const char *refuse_reason;
	bool inherit;
	bool sleep;
};

static struct pci_liveupdate_state pci_liveupdate = {
	.lock = __MUTEX_INITIALIZER(pci_liveupdate.lock),
};

static struct liveupdate_flb pci_liveupdate_flb;

/* The layout is a contract; see include/linux/kho/abi/pci.h. */
static_assert(sizeof(struct pci_ser) == 16);
static_assert(sizeof(struct pci_sriov_ser) == 64);
static_assert(sizeof(struct pci_sriov_list_ser) == 8);
static_assert(sizeof(struct pci_dev_ser) == 32);
static_assert(offsetof(struct pci_dev_ser, class_rev) == 12);
static_assert(offsetof(struct pci_dev_ser, hdr_type) == 24);

/* The list */

static u64 pci_liveupdate_dev_key(struct pci_dev *dev)
{
	return pci_ser_key(pci_domain_nr(dev->bus), pci_dev_id(dev));
}

static struct pci_dev_ser *pci_liveupdate_find(struct pci_ser *ser,
					       struct pci_dev *dev)
{
	u64 key = pci_liveupdate_dev_key(dev);
	u32 index = pci_ser_lower_bound(ser, key);
	struct pci_dev_ser *entry = &ser->devices[index];

	if (index == ser->nr_devices ||
	    pci_ser_key(entry->segment, entry->bdf) != key)
		return NULL;
	return entry;
}

/* What @dev cannot do without: its PF, or else the bridge; NULL at the root. */
static struct pci_dev *pci_liveupdate_above(struct pci_dev *dev)
{
	return dev->is_virtfn ? pci_physfn(dev) : pci_upstream_bridge(dev);
}

/* What the registers of @dev say. Used on both sides, so both agree. */
static void pci_liveupdate_describe(struct pci_dev *dev,
				    struct pci_dev_ser *entry)
{
	u32 class_rev, buses;
	u16 ctrl;
	int pos;

	memset(entry, 0, sizeof(*entry));
	entry->segment = pci_domain_nr(dev->bus);
	entry->bdf = pci_dev_id(dev);
	entry->vendor = dev->vendor;
	entry->device = dev->device;
	entry->hdr_type = dev->hdr_type;
	entry->users = 1;
	if (dev->is_virtfn) {
		entry->flags |= PCI_DEV_SER_VF;
		entry->pf = pci_dev_id(pci_physfn(dev));
	}

	pci_read_config_dword(dev, PCI_CLASS_REVISION, &class_rev);
	entry->class_rev = class_rev;

	pos = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ACS);
	if (pos) {
		pci_read_config_word(dev, pos + PCI_ACS_CTRL, &ctrl);
		entry->acs_ctrl = ctrl;
		entry->flags |= PCI_DEV_SER_ACS;
	}

	if (dev->hdr_type != PCI_HEADER_TYPE_BRIDGE)
		return;

	entry->flags |= PCI_DEV_SER_BRIDGE;
	pci_read_config_dword(dev, PCI_PRIMARY_BUS, &buses);
	entry->primary = FIELD_GET(PCI_PRIMARY_BUS_MASK, buses);
	entry->secondary = FIELD_GET(PCI_SECONDARY_BUS_MASK, buses);
	entry->subordinate = FIELD_GET(PCI_SUBORDINATE_BUS_MASK, buses);

	pcie_capability_read_word(dev, PCI_EXP_DEVCTL2, &ctrl);
	if (ctrl & PCI_EXP_DEVCTL2_ARI)
		entry->flags |= PCI_DEV_SER_ARI;
}

/* NULL if @dev is as @entry says, else the rule that it breaks. */
static const struct liveupdate_rule *
pci_liveupdate_differs(struct pci_dev *dev, const struct pci_dev_ser *entry)
{
	struct pci_dev_ser now;

	pci_liveupdate_describe(dev, &now);
	if (now.vendor != entry->vendor || now.device != entry->device)
		return &rule_pci_id;
	if (now.class_rev != entry->class_rev)
		return &rule_pci_class;
	if (now.hdr_type != entry->hdr_type)
		return &rule_pci_header;
	if ((now.flags ^ entry->flags) & PCI_DEV_SER_VF || now.pf != entry->pf)
		return &rule_pci_function;
	if (now.primary != entry->primary ||
	    now.secondary != entry->secondary ||
	    now.subordinate != entry->subordinate)
		return &rule_pci_buses;
	if ((now.flags ^ entry->flags) & PCI_DEV_SER_ARI)
		return &rule_pci_ari;
	if (((now.flags ^ entry->flags) & PCI_DEV_SER_ACS) ||
	    now.acs_ctrl != entry->acs_ctrl)
		return &rule_pci_acs;
	return NULL;
}

/* Called with the device lock held, or when nobody else can reset @dev. */
static void pci_liveupdate_hold_reset(struct pci_dev *dev)
{
	if (pci_is_bridge(dev) ||
	    dev->dev_flags & PCI_DEV_FLAGS_NO_BUS_RESET)
		return;
	dev->dev_flags |= PCI_DEV_FLAGS_NO_BUS_RESET;
	set_bit(PCI_LIVEUPDATE_NO_BUS_RESET, &dev->liveupdate);
}

static void pci_liveupdate_allow_reset(struct pci_dev *dev)
{
	if (test_and_clear_bit(PCI_LIVEUPDATE_NO_BUS_RESET, &dev->liveupdate))
		dev->dev_flags &= ~PCI_DEV_FLAGS_NO_BUS_RESET;
}

#include "liveupdate_show.h"
#include "liveupdate_back.h"

/* Outgoing */

static int pci_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args)
{
	struct pci_dev *dev = NULL;
	struct pci_ser *ser;
	u32 max = PCI_LIVEUPDATE_SPARE;
	size_t size;

	for_each_pci_dev(dev)
		max++;
	max = min(max, PCI_LIVEUPDATE_MAX);

	size = struct_size(ser, devices, max);
	ser = kho_alloc_preserve(size);
	if (IS_ERR(ser)) {
		pr_err("no memory for the list of preserved devices (%zu bytes): %pe\n",
		       size, ser);
		return PTR_ERR(ser);
	}
	ser->version = PCI_SER_VERSION_1;

	guard(mutex)(&pci_liveupdate.lock);
	pci_liveupdate.out = ser;
	pci_liveupdate.max_out = max;
	args->data = virt_to_phys(ser);
	args->obj = ser;
	return 0;
}

static void pci_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	scoped_guard(mutex, &pci_liveupdate.lock) {
		WARN_ON(pci_liveupdate.out->nr_devices || pci_liveupdate.out_pfs);
		pci_liveupdate.out = NULL;
		pci_liveupdate.max_out = 0;
	}
	kho_unpreserve_free(args->obj);
}

/* Is it a PF whose own DMA goes on, and not only that of its VFs? */
static bool pci_liveupdate_is_running_pf(const struct pci_dev_ser *entry)
{
	return (entry->flags & (PCI_DEV_SER_PF | PCI_DEV_SER_FOR_VFS)) ==
	       PCI_DEV_SER_PF;
}

/* The oldest one that can hold it */
static u32 pci_liveupdate_version(const struct pci_ser *ser)
{
	u32 i;

	if (!pci_liveupdate.out_pfs)
		return PCI_SER_VERSION_1;
	if (pci_liveupdate_iov_has_flags(pci_liveupdate.out_pfs))
		return PCI_SER_VERSION;
	if (pci_liveupdate_iov_has_drivers(pci_liveupdate.out_pfs))
		return PCI_SER_VERSION_4;
	for (i = 0; i < ser->nr_devices; i++)
		if (pci_liveupdate_is_running_pf(&ser->devices[i]))
			return PCI_SER_VERSION_3;
	return PCI_SER_VERSION_2;
}

static const char *pci_liveupdate_flb_written(struct liveupdate_flb_op_args *args)
{
	static const char *const names[] = {
		[PCI_SER_VERSION_1]	= PCI_LIVEUPDATE_FLB_COMPATIBLE_V1,
		[PCI_SER_VERSION_2]	= PCI_LIVEUPDATE_FLB_COMPATIBLE_V2,
		[PCI_SER_VERSION_3]	= PCI_LIVEUPDATE_FLB_COMPATIBLE_V3,
		[PCI_SER_VERSION_4]	= PCI_LIVEUPDATE_FLB_COMPATIBLE_V4,
		[PCI_SER_VERSION]	= PCI_LIVEUPDATE_FLB_COMPATIBLE,
	};
	struct pci_ser *ser = args->obj;
	struct pci_sriov_list_ser *pfs;

	guard(mutex)(&pci_liveupdate.lock);
	pfs = pci_liveupdate.out_pfs;
	/*
	 * What user space can change at any time, and no VF that goes on needs. For the first
	 * file only: each PF is looked up among all devices.
	 */
	if (pfs && !pci_liveupdate.out_frozen)
		pci_liveupdate_iov_note_flags(pfs, luo_format_reads(PCI_LIVEUPDATE_FLB_COMPATIBLE));
	ser->version = pci_liveupdate_version(ser);
	ser->sriov_pa = pfs ? virt_to_phys(pfs) : 0;
	if (luo_format_ask(names[ser->version]) ||
	    pci_liveupdate_iov_ask_drivers(pfs))
		return ERR_PTR(-ENOEXEC);
	return names[ser->version];
}

/* Who wants to take its driver from a PF waits here until no VF needs it. */
static DECLARE_WAIT_QUEUE_HEAD(pci_liveupdate_vfs_wait);

static void pci_liveupdate_wake(void)
{
	wake_up_all(&pci_liveupdate_vfs_wait);
}

/* The caller made sure that there is room. */
static struct pci_dev_ser *pci_liveupdate_insert(struct pci_ser *ser,
						 struct pci_dev *dev)
{
	u32 index = pci_ser_lower_bound(ser, pci_liveupdate_dev_key(dev));
	struct pci_dev_ser *entry = &ser->devices[index];

	memmove(entry + 1, entry, sizeof(*entry) * (ser->nr_devices - index));
	pci_liveupdate_describe(dev, entry);
	ser->nr_devices++;
	set_bit(PCI_LIVEUPDATE_OUTGOING, &dev->liveupdate);
	return entry;
}

/* @dev is a PF, and there for its VFs, of which there is none yet. */
static struct pci_dev_ser *
pci_liveupdate_insert_pf(struct pci_ser *ser, struct pci_dev *dev,
			 struct pci_pf_driver_ser *driver)
{
	struct pci_dev_ser *entry = pci_liveupdate_insert(ser, dev);

	entry->flags |= PCI_DEV_SER_PF | PCI_DEV_SER_FOR_VFS;
	entry->users = 0;
	pci_liveupdate_iov_insert(pci_liveupdate.out_pfs, dev, driver);
	return entry;
}

/* @dev itself goes on. If it has VFs, it keeps them, whether they go on or not. */
static void pci_liveupdate_insert_endpoint(struct pci_ser *ser,
					   struct pci_dev *dev)
{
	struct pci_dev_ser *entry = pci_liveupdate_find(ser, dev);

	if (entry) {
		/* For its VFs it is held active already. */
		pm_runtime_put(&dev->dev);
	} else if (pci_num_vf(dev)) {
		entry = pci_liveupdate_insert_pf(ser, dev, NULL);
	} else {
		pci_liveupdate_insert(ser, dev);
		return;
	}
	entry->flags &= ~PCI_DEV_SER_FOR_VFS;
	entry->users++;
}

/* Drop one user of @dev; the entry goes with the last one. */
static void pci_liveupdate_put_outgoing(struct pci_ser *ser,
					struct pci_dev *dev)
{
	struct pci_dev_ser *entry = pci_liveupdate_find(ser, dev);

	if (WARN_ON(!entry) || --entry->users)
		return;

	clear_bit(PCI_LIVEUPDATE_OUTGOING, &dev->liveupdate);
	if (entry->flags & PCI_DEV_SER_PF &&
	    !pci_liveupdate_iov_remove(pci_liveupdate.out_pfs, dev)) {
		kho_unpreserve_free(pci_liveupdate.out_pfs);
		pci_liveupdate.out_pfs = NULL;
	}
	ser->nr_devices--;
	memmove(entry, entry + 1,
		sizeof(*entry) * (ser->devices + ser->nr_devices - entry));
	/* Nothing that is no longer true is handed over. */
	memset(ser->devices + ser->nr_devices, 0, sizeof(*entry));
	pm_runtime_put(&dev->dev);
}

static int pci_liveupdate_other_alias(struct pci_dev *dev, u16 alias,
				      void *data)
{
	return alias != *(u16 *)data;
}

static int pci_liveupdate_check_bridge(struct pci_dev *dev,
				       struct pci_dev *bridge)
{
	int type = pci_is_pcie(bridge) ? pci_pcie_type(bridge) : -1;

	return liveupdate_require(type == PCI_EXP_TYPE_ROOT_PORT ||
				  type == PCI_EXP_TYPE_UPSTREAM ||
				  type == PCI_EXP_TYPE_DOWNSTREAM,
				  &rule_pci_bridge, "%s below %s",
				  pci_name(dev), pci_name(bridge)) ?:
	       liveupdate_require(bridge->current_state == PCI_D0,
				  &rule_pci_bridge_d0, "%s below %s",
				  pci_name(dev), pci_name(bridge));
}

/*
 * Can the driver have a PF whose VFs go on? One that does more than switching them on
 * and off keeps things about them, which it has to hand over.
 */
static bool pci_liveupdate_takes_pf(const struct pci_driver *drv)
{
	return IS_ENABLED(CONFIG_PCI_IOV) &&
	       (drv->liveupdate_pf ||
		(drv->liveupdate_takeover &&
		 drv->sriov_configure == pci_sriov_configure_simple));
}

/* SR-IOV of @pf can be kept: for @dev, which is one of its VFs, or the PF itself. */
static int pci_liveupdate_check_sriov(struct pci_dev *dev, struct pci_dev *pf)
{
	return liveupdate_require(pci_liveupdate_iov_alone(pf), &rule_pci_pf_link,
				  "%s of %s", pci_name(dev), pci_name(pf)) ?:
	       liveupdate_require(pci_liveupdate_iov_addressed(pf),
				  &rule_pci_pf_bars, "%s of %s", pci_name(dev),
				  pci_name(pf));
}

/*
 * The PF of @dev goes on as it is, but for its own DMA: that goes on if it is preserved
 * itself, as one that user space drives has to be.
 */
static int pci_liveupdate_check_pf(struct pci_dev *dev, struct pci_dev *pf)
{
	const struct pci_dev_ser *entry = pci_liveupdate_find(pci_liveupdate.out, pf);
	struct pci_driver *driver = READ_ONCE(pf->driver);
	bool takes = !driver || pci_liveupdate_takes_pf(driver) ||
		     (entry && !(entry->flags & PCI_DEV_SER_FOR_VFS));

	return liveupdate_require(takes || driver->liveupdate_takeover,
				  &rule_pci_pf_driver, "%s of %s",
				  pci_name(dev), pci_name(pf)) ?:
	       liveupdate_require(takes, &rule_pci_pf_first, "%s of %s",
				  pci_name(dev), pci_name(pf)) ?:
	       pci_liveupdate_check_sriov(dev, pf) ?:
	       liveupdate_require(pf->error_state == pci_channel_io_normal,
				  &rule_pci_silent, "%s of %s",
				  pci_name(dev), pci_name(pf)) ?:
	       liveupdate_require(pf->current_state == PCI_D0, &rule_pci_pf_d0, "%s of %s",
				  pci_name(dev), pci_name(pf));
}

static int pci_liveupdate_check(struct pci_dev *dev)
{
	u16 id = pci_dev_id(dev);
	struct pci_dev *bridge;
	int ret;

	ret = liveupdate_require(dev->hdr_type == PCI_HEADER_TYPE_NORMAL,
				 &rule_pci_endpoint, "%s", pci_name(dev)) ?:
	      liveupdate_require(!pci_for_each_dma_alias(dev, pci_liveupdate_other_alias, &id),
				 &rule_pci_alias, "%s", pci_name(dev)) ?:
	      liveupdate_require(dev->error_state == pci_channel_io_normal &&
				 pci_device_is_present(dev),
				 &rule_pci_silent, "%s", pci_name(dev)) ?:
	      liveupdate_require(dev->current_state == PCI_D0, &rule_pci_d0,
				 "%s", pci_name(dev));
	if (ret)
		return ret;
	ret = dev->is_virtfn ? pci_liveupdate_check_pf(dev, pci_physfn(dev)) :
	      pci_num_vf(dev) ? pci_liveupdate_check_sriov(dev, dev) : 0;
	if (ret)
		return ret;
	for (bridge = pci_upstream_bridge(dev); bridge;
	     bridge = pci_upstream_bridge(bridge)) {
		ret = pci_liveupdate_check_bridge(dev, bridge);
		if (ret)
			return ret;
	}
	return 0;
}

/* For who lets go again: pm_runtime_put(). -EINVAL: runtime PM is off, then D0 is for good. */
static bool pci_liveupdate_get_active(struct pci_dev *dev)
{
	int active = pm_runtime_get_if_active(&dev->dev);

	if (active == -EINVAL)
		pm_runtime_get_noresume(&dev->dev);
	return active;
}

/* Room for one more PF, for @dev: one of its VFs, or the PF itself. */
static int pci_liveupdate_make_room(struct pci_dev *dev, struct pci_dev *pf)
{
	int ret;

	ret = liveupdate_require(!pci_liveupdate.out_pfs ||
				 pci_liveupdate_iov_room(pci_liveupdate.out_pfs),
				 &rule_pci_pf_full, "%s of %s",
				 pci_name(dev), pci_name(pf));
	if (!ret && !pci_liveupdate.out_pfs) {
		pci_liveupdate.out_pfs = pci_liveupdate_iov_alloc();
		ret = pci_liveupdate.out_pfs ? 0 : -ENOMEM;
	}
	return ret;
}

/*
 * A PF that is on the list already keeps its VFs, unless these were switched on
 * after it was preserved itself. A new one stays active from here on, and what is in @driver
 * is for its driver.
 */
static int pci_liveupdate_prepare_pf(struct pci_ser *ser, struct pci_dev *dev,
				     struct pci_dev *pf,
				     struct pci_pf_driver_ser **driver)
{
	struct pci_dev_ser *entry = pci_liveupdate_find(ser, pf);
	bool active;
	int ret;

	ret = liveupdate_require(!entry || entry->flags & PCI_DEV_SER_PF,
				 &rule_pci_pf_late, "%s of %s",
				 pci_name(dev), pci_name(pf));
	if (ret || entry)
		return ret;
	active = pci_liveupdate_get_active(pf);
	ret = liveupdate_require(active, &rule_pci_pf_d0, "%s of %s",
				 pci_name(dev), pci_name(pf)) ?:
	      pci_liveupdate_iov_alloc_driver(pf, driver) ?:
	      pci_liveupdate_make_room(dev, pf);
	if (ret && *driver) {
		kho_unpreserve_free(*driver);
		*driver = NULL;
	}
	if (ret && active)
		pm_runtime_put(&pf->dev);
	return ret;
}

/**
 * pci_liveupdate_preserve() - Hand over a device to the next kernel
 * @dev: The device; an endpoint.
 *
 * Puts the device and the bridges above it on the list, and the physical function
 * of a virtual one. Each of them is counted once for each preserved device that
 * needs it. A physical function with a driver that would have to be told of it is
 * preserved by that driver, before its virtual ones.
 *
 * Context: In the .preserve() of a file handler that has registered with
 * pci_liveupdate_register_flb().
 * Return: 0 on success. -EOPNOTSUPP if a device of this kind cannot be handed
 * over, -EBUSY if it cannot be now (the machine goes to sleep, for one), -ENODEV
 * if it is gone, -EEXIST if it is preserved already, -ENOENT if its physical function
 * has to be preserved first, -ENOSPC if the list is full, -ENOMEM.
 * The reason is in the log.
 */
int pci_liveupdate_preserve(struct pci_dev *dev)
{
	struct pci_pf_driver_ser *driver = NULL;
	struct pci_dev_ser *entry;
	struct pci_dev *above;
	struct pci_ser *ser;
	bool active;
	u32 count;
	int ret;

	guard(mutex)(&pci_liveupdate.lock);
	ser = pci_liveupdate.out;
	if (WARN_ON(!ser))
		return -EINVAL;

	entry = pci_liveupdate_find(ser, dev);
	ret = liveupdate_require(!entry || entry->flags & PCI_DEV_SER_FOR_VFS,
				 &rule_pci_again, "%s", pci_name(dev)) ?:
	      liveupdate_require(!pci_liveupdate_incoming(dev),
				 &rule_pci_unfinished, "%s", pci_name(dev)) ?:
	      liveupdate_require(!pci_liveupdate.sleep, &rule_pci_sleep, "%s",
				 pci_name(dev));
	if (ret)
		return ret;

	active = pci_liveupdate_get_active(dev);
	ret = liveupdate_require(active, &rule_pci_suspended, "%s",
				 pci_name(dev));
	if (!active)
		return ret;
	if (!ret)
		ret = pci_liveupdate_check(dev);
	if (ret)
		goto err_pm;

	count = !entry;
	for (above = pci_liveupdate_above(dev); above;
	     above = pci_liveupdate_above(above))
		count += !pci_liveupdate_find(ser, above);
	ret = liveupdate_require(count <= pci_liveupdate.max_out - ser->nr_devices,
				 &rule_pci_full, "%s", pci_name(dev));
	if (!ret && dev->is_virtfn)
		ret = pci_liveupdate_prepare_pf(ser, dev, pci_physfn(dev), &driver);
	else if (!ret && !entry && pci_num_vf(dev))
		ret = pci_liveupdate_make_room(dev, dev);
	if (ret)
		goto err_pm;

	/* Nothing fails from here on. */
	pci_liveupdate.out_checked = false;
	pci_liveupdate_insert_endpoint(ser, dev);
	for (above = pci_liveupdate_above(dev); above;
	     above = pci_liveupdate_above(above)) {
		entry = pci_liveupdate_find(ser, above);
		if (!entry && dev->is_virtfn && above == pci_physfn(dev)) {
			entry = pci_liveupdate_insert_pf(ser, above, driver);
		} else if (!entry) {
			/* Is active, and stays so, because the device below is. */
			pm_runtime_get_noresume(&above->dev);
			pci_liveupdate_insert(ser, above);
			continue;
		}
		entry->users++;
	}
	return 0;

err_pm:
	pm_runtime_put(&dev->dev);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_preserve);

/**
 * pci_liveupdate_unpreserve() - Undo pci_liveupdate_preserve()
 * @dev: The device.
 *
 * A physical function of which virtual ones are preserved stays on the list for them.
 */
void pci_liveupdate_unpreserve(struct pci_dev *dev)
{
	struct pci_dev_ser *entry;

	guard(mutex)(&pci_liveupdate.lock);
	if (WARN_ON(!pci_liveupdate_outgoing(dev)))
		return;

	pci_liveupdate.out_checked = false;
	entry = pci_liveupdate_find(pci_liveupdate.out, dev);
	if (pci_liveupdate_is_running_pf(entry))
		entry->flags |= PCI_DEV_SER_FOR_VFS;
	for (; dev; dev = pci_liveupdate_above(dev))
		pci_liveupdate_put_outgoing(pci_liveupdate.out, dev);
	pci_liveupdate_wake();
}
EXPORT_SYMBOL_GPL(pci_liveupdate_unpreserve);

/*
 * Who resets a device, enables its virtual functions or takes its driver from it
 * holds its lock, and tests the bit under the lock. So nothing of the kind is under
 * way when this has succeeded, nor begins. Who unbinds the device or removes it waits
 * without the lock, see pci_liveupdate_wait(): its driver would wait for user space
 * and keep the lock, and the shutdown needs the lock.
 */
static int pci_liveupdate_hold(struct pci_dev *dev)
{
	bool locked = device_trylock(&dev->dev);
	int ret;

	ret = liveupdate_require(locked, &rule_pci_held, "%s", pci_name(dev));
	if (!ret) {
		set_bit(PCI_LIVEUPDATE_FROZEN, &dev->liveupdate);
		pci_liveupdate_hold_reset(dev);
	}
	if (locked)
		device_unlock(&dev->dev);
	return ret;
}

/* What is above goes with the first device: if one is let go, all are. */
static void pci_liveupdate_let_go(struct pci_dev *dev)
{
	for (; dev; dev = pci_liveupdate_above(dev)) {
		pci_liveupdate_allow_reset(dev);
		clear_and_wake_up_bit(PCI_LIVEUPDATE_FROZEN, &dev->liveupdate);
	}
}

/**
 * pci_liveupdate_wait() - Wait as long as a device must keep its driver
 * @dev: Any device. It can be so again by the time that the caller has its lock.
 *
 * Context: May sleep, until the freeze is undone or the machine jumps; for a PF until
 * no VF of it is carried over any more. The caller does not have the lock of the device.
 */
void pci_liveupdate_wait(struct device *dev)
{
	if (!dev_is_pci(dev))
		return;
	wait_on_bit(&to_pci_dev(dev)->liveupdate, PCI_LIVEUPDATE_FROZEN,
		    TASK_UNINTERRUPTIBLE);
	if (!pci_liveupdate_keeps_vfs(to_pci_dev(dev)))
		return;
	dev_warn(dev, "liveupdate: virtual functions of it are carried over: it keeps its driver until their sessions are undone or finished\n");
	wait_event_idle(pci_liveupdate_vfs_wait,
			!pci_liveupdate_keeps_vfs(to_pci_dev(dev)));
}

static int pci_liveupdate_unchanged(struct pci_dev *dev)
{
	const struct pci_dev_ser *entry = pci_liveupdate_find(pci_liveupdate.out, dev);
	const struct liveupdate_rule *rule;

	rule = pci_liveupdate_differs(dev, entry) ?:
	       pci_liveupdate_iov_differs(dev, entry, pci_liveupdate.out_pfs);
	return liveupdate_require(!rule, rule ?: &rule_pci_id, "%s",
				  pci_name(dev)) ?:
	       pci_liveupdate_iov_fill(pci_liveupdate.out_pfs, dev);
}

/* What was preserved for the list, to be asked of what the next kernel will ask */
static const void *pci_liveupdate_out_get(struct liveupdate_mem *mem, u64 pa,
					  unsigned int order)
{
	void *p = pa == virt_to_phys(pci_liveupdate.out) ?
		  (void *)pci_liveupdate.out :
		  pci_liveupdate_iov_driver_at(pci_liveupdate.out_pfs, pa) ?:
		  pci_liveupdate.out_pfs;

	return p && pa == virt_to_phys(p) &&
	       folio_order(virt_to_folio(p)) == order ? p : NULL;
}

/* Once for all devices, unless one comes or goes in between */
static int pci_liveupdate_check_list(void)
{
	struct liveupdate_mem mem = { .get = pci_liveupdate_out_get };
	const struct pci_sriov_list_ser *pfs;
	const struct pci_ser *ser;
	const char *why = NULL;

	if (!pci_liveupdate.out_checked)
		why = pci_ser_check(&mem, virt_to_phys(pci_liveupdate.out),
				    PCI_LIVEUPDATE_MAX, &ser, &pfs);
	pci_liveupdate.out_checked = !why;
	return liveupdate_require(!why, &rule_pci_list, "list (%s)",
				  why ?: "no fault");
}

/**
 * pci_liveupdate_freeze() - Last check of a preserved device
 * @dev: The device.
 *
 * From here to pci_liveupdate_unfreeze() neither the device nor a bridge above it
 * can be reset or lose its driver. Each has to be as it was described, and the next
 * kernel's own check of the list is made here first.
 *
 * Context: In the .freeze() of the file handler.
 * Return: 0 on success. -EBUSY if the device is being reset or unbound, or is
 * not as described, or the next kernel would refuse the list; -ENODEV, -ENOENT,
 * -EOPNOTSUPP as of pci_liveupdate_preserve(). The reason is in the log.
 */
int pci_liveupdate_freeze(struct pci_dev *dev)
{
	struct pci_dev *it;
	int ret = 0;

	guard(mutex)(&pci_liveupdate.lock);
	if (WARN_ON(!pci_liveupdate_outgoing(dev)))
		return -EINVAL;

	for (it = dev; it && !ret; it = pci_liveupdate_above(it))
		ret = pci_liveupdate_hold(it);
	if (!ret)
		ret = pci_liveupdate_check(dev);
	for (it = dev; it && !ret; it = pci_liveupdate_above(it))
		ret = pci_liveupdate_unchanged(it);
	if (!ret)
		ret = pci_liveupdate_check_list();
	if (ret)
		pci_liveupdate_let_go(dev);
	else
		pci_liveupdate.out_frozen++;
	return ret;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_freeze);

/**
 * pci_liveupdate_unfreeze() - Undo pci_liveupdate_freeze()
 * @dev: The device.
 */
void pci_liveupdate_unfreeze(struct pci_dev *dev)
{
	guard(mutex)(&pci_liveupdate.lock);
	pci_liveupdate_let_go(dev);
	pci_liveupdate.out_frozen--;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_unfreeze);

/**
 * pci_liveupdate_reset_bus() - May this bus be reset?
 * @bus: The bus; all devices on it and below are locked.
 * @slot: Only what is in this slot is reset and locked; NULL for all.
 *
 * %PCI_DEV_FLAGS_NO_BUS_RESET says the same to callers that have no lock yet,
 * and may be set after they asked. Under them the answer stays true.
 *
 * Return: 0 if it may, -EBUSY if there is a device that must not be stopped.
 */
int pci_liveupdate_reset_bus(struct pci_bus *bus, struct pci_slot *slot)
{
	struct pci_dev *dev;

	list_for_each_entry(dev, &bus->devices, bus_list) {
		if (slot && dev->slot != slot)
			continue;
		device_lock_assert(&dev->dev);
		if (pci_liveupdate_held(dev))
			return -EBUSY;
		if (dev->subordinate &&
		    pci_liveupdate_reset_bus(dev->subordinate, NULL))
			return -EBUSY;
	}
	return 0;
}

/*
 * A device that nobody has finished, and that is not handed over once more. It
 * is still doing DMA; its translation is switched off soon.
 */
static void pci_liveupdate_end(struct pci_dev *dev)
{
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    !test_and_clear_bit(PCI_LIVEUPDATE_INCOMING, &dev->liveupdate))
		return;
	pci_clear_master(dev);
	pci_warn(dev, "liveupdate: stopped: its session was not finished, and it is not handed over again\n");
}

/**
 * pci_liveupdate_shutdown() - Shut down a device, if it is preserved
 * @dev: The device, or a bridge.
 *
 * Shuts off the interrupts of a preserved device and nothing else. The order
 * is such that the device cannot fall back from one kind to another.
 *
 * Return: true if that was all that may be done to the device; false if it is
 * an ordinary device, and untouched but for being stopped if it is incoming.
 */
bool pci_liveupdate_shutdown(struct pci_dev *dev)
{
	u16 val;

	if (!kexec_in_progress || !pci_liveupdate_outgoing(dev)) {
		pci_liveupdate_end(dev);
		return false;
	}

	pci_liveupdate_iov_stop(pci_liveupdate.out_pfs, dev);

	pci_read_config_word(dev, PCI_COMMAND, &val);
	if (!(val & PCI_COMMAND_INTX_DISABLE))
		pci_write_config_word(dev, PCI_COMMAND,
				      val | PCI_COMMAND_INTX_DISABLE);

	if (dev->msix_cap) {
		pci_read_config_word(dev, dev->msix_cap + PCI_MSIX_FLAGS, &val);
		if (val & PCI_MSIX_FLAGS_ENABLE) {
			val |= PCI_MSIX_FLAGS_MASKALL;
			pci_write_config_word(dev,
					      dev->msix_cap + PCI_MSIX_FLAGS,
					      val);
			val &= ~PCI_MSIX_FLAGS_ENABLE;
			pci_write_config_word(dev,
					      dev->msix_cap + PCI_MSIX_FLAGS,
					      val);
		}
	}

	if (dev->msi_cap) {
		pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &val);
		if (val & PCI_MSI_FLAGS_ENABLE)
			pci_write_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS,
					      val & ~PCI_MSI_FLAGS_ENABLE);
	}

	pci_dbg(dev, "liveupdate: left running for the next kernel\n");
	return true;
}

/* Incoming */

/*
 * Never fails: an error would come back as a warning when Live Update finishes
 * the object. A bad list is remembered as such, and leaked, because nothing is
 * known about its memory.
 */
static int pci_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	struct liveupdate_kho_mem kho;
	const struct pci_sriov_list_ser *pfs;
	const struct pci_ser *ser;
	const char *reason;

	args->obj = &pci_liveupdate;

	liveupdate_kho_mem_init(&kho);
	reason = pci_ser_check(&kho.mem, args->data, PCI_LIVEUPDATE_MAX, &ser,
			       &pfs);
	liveupdate_kho_mem_destroy(&kho);

	guard(mutex)(&pci_liveupdate.lock);
	pci_liveupdate.inherit = true;
	if (reason) {
		luo_back_instead(reason);
		pr_err("handover of PCI devices at %#llx cannot be used: %s; no device is taken over\n",
		       args->data, reason);
		liveupdate_refused("list", "pci", reason, "name=%s",
				   PCI_LIVEUPDATE_FLB_COMPATIBLE);
		pci_liveupdate.refuse_reason = reason;
		return 0;
	}

	pr_info("%u devices and bridges were left running by the previous kernel\n",
		ser->nr_devices);
	/* Once, at boot: there is no second try, and devices would be stopped. */
	pci_liveupdate.in = kvmalloc(struct_size(ser, devices, ser->nr_devices),
				     GFP_KERNEL | __GFP_NOFAIL);
	memcpy(pci_liveupdate.in, ser, struct_size(ser, devices, ser->nr_devices));
	pci_liveupdate.in_pa = args->data;
	pci_liveupdate.in_pfs = pfs;
	return 0;
}

static void pci_liveupdate_release(struct pci_dev *dev);
static void __pci_liveupdate_refuse(struct pci_dev *dev, const char *reason);

static void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args)
{
	const struct pci_sriov_list_ser *pfs;
	struct pci_dev *dev = NULL;
	struct pci_ser *ser;

	scoped_guard(mutex, &pci_liveupdate.lock) {
		for_each_pci_dev(dev)
			if (pci_liveupdate_running(dev))
				__pci_liveupdate_refuse(dev, "no session had it");
		/* What is above a device that was not there, if any. */
		for_each_pci_dev(dev) {
			if (pci_liveupdate_incoming(dev))
				pci_liveupdate_release(dev);
		}
		ser = pci_liveupdate.in;
		pfs = pci_liveupdate.in_pfs;
		pci_liveupdate.in = NULL;
		pci_liveupdate.in_pfs = NULL;
	}
	if (!ser)
		return;
	kvfree(ser);
	kho_restore_free(phys_to_virt(pci_liveupdate.in_pa));
	if (pfs)
		pci_liveupdate_iov_free(pfs);
}

static const char *const pci_liveupdate_flb_older[] = {
	PCI_LIVEUPDATE_FLB_COMPATIBLE_V4, PCI_LIVEUPDATE_FLB_COMPATIBLE_V3,
	PCI_LIVEUPDATE_FLB_COMPATIBLE_V2, PCI_LIVEUPDATE_FLB_COMPATIBLE_V1,
	NULL
};

static const struct liveupdate_flb_versions pci_liveupdate_flb_versions = {
	.older = pci_liveupdate_flb_older,
	.written = pci_liveupdate_flb_written,
};

static const struct liveupdate_flb_ops pci_liveupdate_flb_ops = {
	.preserve = pci_liveupdate_flb_preserve,
	.unpreserve = pci_liveupdate_flb_unpreserve,
	.retrieve = pci_liveupdate_flb_retrieve,
	.finish = pci_liveupdate_flb_finish,
	.owner = THIS_MODULE,
	.versions = &pci_liveupdate_flb_versions,
};

static struct liveupdate_flb pci_liveupdate_flb = {
	.ops = &pci_liveupdate_flb_ops,
	.compatible = PCI_LIVEUPDATE_FLB_COMPATIBLE,
};

/**
 * pci_liveupdate_register_flb() - Bind the list to the files of a handler
 * @fh: The file handler, registered, of a driver of PCI devices.
 *
 * Nothing undoes it: the list goes when the handler is unregistered.
 *
 * Return: 0, or the error of liveupdate_register_flb().
 */
int pci_liveupdate_register_flb(struct liveupdate_file_handler *fh)
{
	return liveupdate_register_flb(fh, &pci_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_register_flb);

/* Read the list, once. Not under the lock, which nests inside the FLB's. */
static void pci_liveupdate_load(void)
{
	static DEFINE_MUTEX(load_lock);
	static bool loaded;
	void *obj;
	int ret;

	guard(mutex)(&load_lock);
	if (loaded)
		return;
	loaded = true;

	ret = liveupdate_flb_get_incoming(&pci_liveupdate_flb, &obj);
	if (!ret) {
		liveupdate_flb_put_incoming(&pci_liveupdate_flb);
		return;
	}

	/* Nothing was preserved, or by a kernel with another kind of list. */
	if (ret == -ENOENT || ret == -ENODATA)
		return;
	luo_back_instead(ret == -EOPNOTSUPP ? "Live Update is switched off" :
					      "handover cannot be read");

	guard(mutex)(&pci_liveupdate.lock);
	if (ret == -EOPNOTSUPP) {
		pci_liveupdate.refuse_reason = "Live Update is switched off";
		liveupdate_refused("list", "pci", pci_liveupdate.refuse_reason,
				   "name=%s", PCI_LIVEUPDATE_FLB_COMPATIBLE);
		return;
	}
	pr_err("handover of PCI devices cannot be read: %pe; no device is taken over\n",
	       ERR_PTR(ret));
	pci_liveupdate.refuse_reason = "handover cannot be read";
	liveupdate_refused("list", "pci", pci_liveupdate.refuse_reason,
			   "name=%s", PCI_LIVEUPDATE_FLB_COMPATIBLE);
}

/**
 * pci_liveupdate_inherit_buses() - Do bus numbers have to stay as they are?
 *
 * Return: true if the previous kernel left devices running; for as long as this
 * kernel runs.
 */
bool pci_liveupdate_inherit_buses(void)
{
	if (!is_kho_boot())
		return false;
	pci_liveupdate_load();
	return READ_ONCE(pci_liveupdate.inherit);
}

/**
 * pci_liveupdate_claim_config() - Do resources have to stay as they are?
 *
 * On x86 what is set up already is claimed as it is in any case, before
 * anything else is assigned.
 *
 * Return: true if the architecture would assign resources anew and must not.
 */
bool pci_liveupdate_claim_config(void)
{
	return !IS_ENABLED(CONFIG_X86) && pci_liveupdate_inherit_buses();
}

static void pci_liveupdate_fix_bars(struct pci_dev *dev)
{
	struct resource *res;
	int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		res = &dev->resource[i];
		if (!res->flags || res->flags & (IORESOURCE_UNSET |
						 IORESOURCE_PCI_FIXED))
			continue;
		res->flags |= IORESOURCE_PCI_FIXED;
		set_bit(PCI_LIVEUPDATE_BAR0 + i, &dev->liveupdate);
	}
}

static void pci_liveupdate_stop(struct pci_dev *dev, const char *reason);

/* @dev becomes an ordinary device. */
static void pci_liveupdate_release(struct pci_dev *dev)
{
	int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (test_and_clear_bit(PCI_LIVEUPDATE_BAR0 + i,
				       &dev->liveupdate))
			dev->resource[i].flags &= ~IORESOURCE_PCI_FIXED;
	}
	pci_liveupdate_iov_release(dev);
	pci_liveupdate_allow_reset(dev);
	clear_bit(PCI_LIVEUPDATE_FOR_VFS, &dev->liveupdate);
	clear_bit(PCI_LIVEUPDATE_INCOMING, &dev->liveupdate);
	if (test_and_clear_bit(PCI_LIVEUPDATE_PM, &dev->liveupdate))
		pm_runtime_put(&dev->dev);
	if (test_and_clear_bit(PCI_LIVEUPDATE_STOP, &dev->liveupdate))
		pci_liveupdate_stop(dev, "it was refused while virtual functions needed it");
	pci_liveupdate_wake();
}

/* Drop one user of each bridge above @dev, and of its PF. */
static void pci_liveupdate_put_above(struct pci_dev *dev)
{
	struct pci_dev *above;

	for (above = pci_liveupdate_above(dev); above;
	     above = pci_liveupdate_above(above)) {
		struct pci_dev_ser *entry;

		if (!pci_liveupdate_incoming(above) || !pci_liveupdate.in)
			continue;
		entry = pci_liveupdate_find(pci_liveupdate.in, above);
		if (!entry || !entry->users || --entry->users)
			continue;
		pci_liveupdate_release(above);
		pci_dbg(above, "liveupdate: finished\n");
	}
}

/*
 * While the kernel boots, devices are reset when they are added and when they get a
 * driver, and otherwise at the end: a reset tells the IOMMU before and after, and
 * in between the IOMMU code must not have come to know the device.
 */
static bool pci_liveupdate_booted;

static void pci_liveupdate_reset_later(struct pci_dev *dev);

/* Of an incoming device, for which pci_clear_master() does nothing. */
static void pci_liveupdate_clear_master(struct pci_dev *dev)
{
	u16 cmd;

	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	dev->is_busmaster = false;
}

/* @dev is not taken over: stop it here and now, and have it reset. */
static void pci_liveupdate_stop(struct pci_dev *dev, const char *reason)
{
	pci_clear_master(dev);
	pci_err(dev, "liveupdate: not taken over, bus mastering is off: %s\n",
		reason);
	liveupdate_refused_pci(pci_domain_nr(dev->bus), pci_dev_id(dev),
			       pci_is_bridge(dev) ? "bridge" : "device", "pci",
			       reason);

	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return;
	set_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate);
	liveupdate_refused_reset(pci_domain_nr(dev->bus), pci_dev_id(dev),
				 false, 0);
	/* Paired with the release in pci_liveupdate_reset_late(): there is a queue. */
	if (pci_dev_is_added(dev) && smp_load_acquire(&pci_liveupdate_booted))
		pci_liveupdate_reset_later(dev);
}

/*
 * The previous kernel switches off bus mastering of all that it does not hand
 * over. A device with it on either was not shut down at all or belongs to a
 * handover that this kernel cannot read. Neither may go on.
 */
static void pci_liveupdate_stop_stray(struct pci_dev *dev, const char *reason)
{
	u16 cmd;

	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    dev->class >> 8 == PCI_CLASS_BRIDGE_HOST)
		return;

	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd) || !(cmd & PCI_COMMAND_MASTER))
		return;

	pci_clear_master(dev);
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (cmd & PCI_COMMAND_MASTER)
		return;	/* Hard-wired: says nothing about the device. */
	pci_liveupdate_stop(dev, reason);
}

static void pci_liveupdate_inherit_ltr(struct pci_dev *dev)
{
#ifdef CONFIG_PCIEASPM
	u16 ctrl;

	pcie_capability_read_word(dev, PCI_EXP_DEVCTL2, &ctrl);
	dev->ltr_path = !!(ctrl & PCI_EXP_DEVCTL2_LTR_EN);
#endif
}

/* NULL if @dev is incoming from here on, else why not. */
static const char *pci_liveupdate_take(struct pci_dev *dev,
				       const struct pci_dev_ser *entry)
{
	const char *reason = pci_liveupdate.refuse_reason;
	struct pci_dev *above = pci_liveupdate_above(dev);
	const struct liveupdate_rule *rule;

	rule = reason ? NULL :
	       pci_liveupdate_differs(dev, entry) ?:
	       pci_liveupdate_iov_differs(dev, entry, pci_liveupdate.in_pfs);
	if (rule)
		reason = rule->why;
	if (!reason && above && !pci_liveupdate_incoming(above))
		reason = dev->is_virtfn ? "the physical function was not taken over" :
					  "the bridge above is not preserved";
	if (reason)
		return reason;

	if (entry->flags & PCI_DEV_SER_FOR_VFS) {
		set_bit(PCI_LIVEUPDATE_FOR_VFS, &dev->liveupdate);
		pci_liveupdate_iov_take(dev, pci_liveupdate.in_pfs);
	}
	set_bit(PCI_LIVEUPDATE_INCOMING, &dev->liveupdate);
	set_bit(PCI_LIVEUPDATE_LOST_IRQS, &dev->liveupdate);
	pci_liveupdate_fix_bars(dev);

	/* What would have been noted down when it was configured. */
	dev->ari_enabled = !!(entry->flags & PCI_DEV_SER_ARI);
	pci_liveupdate_inherit_ltr(dev);
	pci_dbg(dev, "liveupdate: running since the previous kernel\n");
	return NULL;
}

/**
 * pci_liveupdate_setup() - Look up a new device in the handover
 * @dev: The device, not configured yet.
 *
 * Makes it incoming, or refuses it.
 */
void pci_liveupdate_setup(struct pci_dev *dev)
{
	struct pci_dev_ser *entry = NULL;
	const char *reason;

	if (!is_kho_boot())
		return;
	pci_liveupdate_load();

	guard(mutex)(&pci_liveupdate.lock);
	pci_back_note(dev);
	if (pci_liveupdate.in)
		entry = pci_liveupdate_find(pci_liveupdate.in, dev);
	if (entry && !(entry->flags & PCI_DEV_SER_TAKEN)) {
		reason = pci_liveupdate_take(dev, entry);
		entry->flags |= PCI_DEV_SER_TAKEN;
		if (!reason)
			return;
		luo_back_instead(reason);
		pci_liveupdate_stop(dev, reason);
		if (!(entry->flags & (PCI_DEV_SER_BRIDGE | PCI_DEV_SER_FOR_VFS)))
			pci_liveupdate_put_above(dev);
		return;
	}

	/* Found once more: what no IOMMU keeps off its memory still waits for its reset. */
	if (iommu_liveupdate_waits_for_reset(&dev->dev)) {
		pci_liveupdate_stop(dev, "it was removed, and was not reset");
		return;
	}

	/* Later on it is a device that was plugged in. */
	if (system_state < SYSTEM_RUNNING)
		pci_liveupdate_stop_stray(dev, pci_liveupdate.refuse_reason ?:
					  "running, but not in the handover");
}

/**
 * pci_liveupdate_sriov_sizes() - How large VF BARs are that must not be touched
 * @dev: A physical function, whose SR-IOV capability is being set up.
 * @sizes: Room for %PCI_SRIOV_NUM_BARS words: what the registers would read if all
 *	ones had been written to them. NULL if the caller does not want to know yet.
 *
 * Return: true if the device came with a live update and its virtual functions are
 * on: nothing may be written to its SR-IOV capability.
 */
bool pci_liveupdate_sriov_sizes(struct pci_dev *dev, u32 *sizes)
{
	if (!pci_liveupdate_incoming(dev))
		return false;
	guard(mutex)(&pci_liveupdate.lock);
	return pci_liveupdate_iov_sizes(dev, pci_liveupdate.in_pfs, sizes);
}

/*
 * A refused device stays one until a reset has succeeded. The device is locked, and
 * so is the bridge above it.
 */
static int pci_liveupdate_reset_locked(struct pci_dev *dev)
{
	int ret;

	device_lock_assert(&dev->dev);
	if (!test_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate))
		return 0;

	/* Who uses a VF must not lose it: the PF waits, without a driver. */
	ret = pci_liveupdate_iov_in_use(dev) ? -EBUSY :
	      pci_reset_function_locked(dev);
	liveupdate_refused_reset(pci_domain_nr(dev->bus), pci_dev_id(dev), true,
				 ret);
	if (ret) {
		pci_err(dev, "liveupdate: cannot be reset: %pe; no driver can have it until it was switched off and is found anew\n",
			ERR_PTR(ret));
		return ret;
	}
	clear_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate);
	pci_info(dev, "liveupdate: was reset\n");
	iommu_liveupdate_gone(&dev->dev);
	return 0;
}

static int pci_liveupdate_reset(struct pci_dev *dev)
{
	struct pci_dev *bridge = pci_upstream_bridge(dev);
	int ret;

	if (!test_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate))
		return 0;
	if (bridge)
		pci_dev_lock(bridge);
	pci_dev_lock(dev);
	ret = pci_liveupdate_reset_locked(dev);
	pci_dev_unlock(dev);
	if (bridge)
		pci_dev_unlock(bridge);
	return ret;
}

/* For who has the lock of the device already: out of order, so try. */
static int pci_liveupdate_try_reset(struct pci_dev *dev)
{
	struct pci_dev *bridge = pci_upstream_bridge(dev);
	int ret;

	if (!test_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate))
		return 0;
	if (bridge && !pci_dev_trylock(bridge))
		return -EAGAIN;
	ret = pci_liveupdate_reset_locked(dev);
	if (bridge)
		pci_dev_unlock(bridge);
	return ret;
}

/**
 * struct pci_liveupdate_job - A refused device is to be reset.
 * @work: Of a queue whose work can run all at the same time.
 * @dev: The device, with a reference.
 *
 * A reset can take a minute, and a driver that loses its device waits for the user.
 * So each device has a job of its own.
 */
struct pci_liveupdate_job {
	struct work_struct work;
	struct pci_dev *dev;
};

static struct workqueue_struct *pci_liveupdate_wq;

/* A driver that had the device when it was refused loses it, if it cannot be reset. */
static void pci_liveupdate_reset_or_release(struct pci_dev *dev)
{
	if (pci_dev_is_added(dev) && pci_liveupdate_reset(dev))
		device_release_driver(&dev->dev);
}

static void pci_liveupdate_reset_work(struct work_struct *work)
{
	struct pci_liveupdate_job *job =
		container_of(work, struct pci_liveupdate_job, work);

	pci_liveupdate_reset_or_release(job->dev);
	pci_dev_put(job->dev);
	kfree(job);
}

/* Without memory for it the mark stays, and with that nobody can use the device. */
static void pci_liveupdate_reset_later(struct pci_dev *dev)
{
	struct pci_liveupdate_job *job = kzalloc_obj(*job);

	if (!job) {
		pci_err(dev, "liveupdate: no memory to reset it; it is reset when it is bound or removed\n");
		return;
	}
	job->dev = pci_dev_get(dev);
	INIT_WORK(&job->work, pci_liveupdate_reset_work);
	queue_work(pci_liveupdate_wq, &job->work);
}

/**
 * pci_liveupdate_add() - A device is about to get a driver
 * @dev: The device; runtime PM is not enabled yet.
 *
 * An incoming device is held in D0, and no reset of its bus includes it. One
 * that was refused is reset, if it can be. The virtual functions that came with a
 * physical one are found.
 */
void pci_liveupdate_add(struct pci_dev *dev)
{
	scoped_guard(mutex, &pci_liveupdate.lock) {
		if (pci_liveupdate_incoming(dev)) {
			pm_runtime_get_noresume(&dev->dev);
			set_bit(PCI_LIVEUPDATE_PM, &dev->liveupdate);
			pci_liveupdate_hold_reset(dev);
			pci_liveupdate_iov_inherit(dev, pci_liveupdate.in_pfs);
		}
	}
	pci_liveupdate_reset(dev);
	pci_liveupdate_iov_add(dev);
}

/*
 * Who drives a PF has a say in who may have its VFs: with vfio-pci, by a token. So a
 * VF, whether it is incoming or not, waits until that one has taken its PF over.
 */
static bool pci_liveupdate_waits_for_pf(struct pci_dev *dev)
{
	return dev->is_virtfn && pci_liveupdate_running(pci_physfn(dev)) &&
	       !device_is_bound(&pci_physfn(dev)->dev);
}

/*
 * A PF whose VFs go on gets a driver that takes it over with what was handed over for it, or
 * one that does not touch it; also after its VFs are finished, as long as they are in use.
 */
static bool pci_liveupdate_takes_over(const struct pci_driver *drv,
				      struct pci_dev *dev)
{
	bool pf = pci_liveupdate_takes_pf(drv);

	if (pci_liveupdate_running(dev))
		return drv->liveupdate_takeover && !pf;
	if (pci_liveupdate_blocked(dev) || pci_liveupdate_keeps_vfs(dev) ||
	    (pci_liveupdate_iov_hands_over(dev, NULL) &&
	     pci_liveupdate_iov_in_use(dev)))
		return pf && (!drv->liveupdate_pf ||
			      pci_liveupdate_iov_hands_over(dev, drv));
	return !pci_liveupdate_incoming(dev) || drv->liveupdate_takeover;
}

/**
 * pci_liveupdate_probe() - May this driver have this device?
 * @drv: The driver.
 * @dev: The device; locked.
 *
 * A refused device is reset first, if that has not been possible yet.
 *
 * Return: 0 if it may. -ENODEV if the device is incoming and the driver cannot
 * take it over, or if the device was refused and cannot be reset. -EPROBE_DEFER
 * if the bridge above it is in use, so that it cannot be reset now, if it is a
 * virtual function of an incoming device that has no driver yet, or if the machine is about to
 * jump.
 */
int pci_liveupdate_probe(const struct pci_driver *drv, struct pci_dev *dev)
{
	int ret = pci_liveupdate_try_reset(dev);

	if (pci_liveupdate_frozen(dev))
		return -EPROBE_DEFER;
	if (ret)
		return ret == -EAGAIN ? -EPROBE_DEFER : -ENODEV;
	if (pci_liveupdate_waits_for_pf(dev))
		return -EPROBE_DEFER;
	if (pci_liveupdate_takes_over(drv, dev)) {
		/* Another driver may switch its VFs off, and others on. */
		if (!pci_liveupdate_iov_hands_over(dev, drv))
			pci_liveupdate_iov_forget(dev);
		return 0;
	}

	dev_warn_ratelimited(&dev->dev,
			     "liveupdate: driver %s cannot take over a running device\n",
			     drv->name);
	return -ENODEV;
}

/* A PF whose own DMA goes on, and VFs of it that have not been finished */
static bool pci_liveupdate_has_vfs(struct pci_dev *dev)
{
	const struct pci_dev_ser *entry = pci_liveupdate.in ?
		pci_liveupdate_find(pci_liveupdate.in, dev) : NULL;

	return entry && entry->flags & PCI_DEV_SER_PF && entry->users > 1;
}

/* From here on it is incoming for these alone, as one that came so. */
static void pci_liveupdate_leave_to_vfs(struct pci_dev *dev)
{
	pci_liveupdate_find(pci_liveupdate.in, dev)->users--;
	set_bit(PCI_LIVEUPDATE_FOR_VFS, &dev->liveupdate);
	pci_liveupdate_put_above(dev);
}

/* What the Interrupt Line register holds if the firmware has not set it. */
#define LINE_UNKNOWN	0xff

/**
 * pci_liveupdate_enable_device() - Enable a device whose user may have to wait for it
 * @dev: The device; an endpoint.
 *
 * pci_enable_device() looks up where INTx goes to: ACPI's interpreter makes the whole table
 * (_PRT) of the bridge, 128 entries long on some machines, each time. While VMs stand still
 * that is done for no device that came running, most of which use MSI or MSI-X. Who connects
 * INTx calls pci_liveupdate_route_intx() before.
 *
 * Not so if firmware has not set the Interrupt Line register. Then &struct pci_dev.irq
 * tells whether there is INTx at all only after the lookup, and user space is told. With a
 * line of the firmware's there is INTx whatever the lookup finds.
 *
 * Context: As pci_enable_device(); in the opening of the device.
 * Return: 0, or an error of pci_enable_device().
 */
int pci_liveupdate_enable_device(struct pci_dev *dev)
{
	u8 pin = dev->pin;
	int ret;

	clear_bit(PCI_LIVEUPDATE_ROUTE, &dev->liveupdate);
	if (!pci_liveupdate_running(dev) || !pin || dev->irq_managed ||
	    !dev->irq || dev->irq >= LINE_UNKNOWN)
		return pci_enable_device(dev);

	/* Who has no pin has nothing to look up. No device is below that would ask for it. */
	dev->pin = 0;
	ret = pci_enable_device(dev);
	dev->pin = pin;
	if (!ret)
		set_bit(PCI_LIVEUPDATE_ROUTE, &dev->liveupdate);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_enable_device);

/**
 * pci_liveupdate_route_intx() - INTx of a device is about to be connected
 * @dev: The device; enabled by pci_liveupdate_enable_device().
 *
 * Does what was left for later there, and nothing the next time. With MSI or MSI-X on
 * there is nothing to be done yet: INTx cannot be connected.
 *
 * Context: The callers for a device do not run beside each other.
 * Return: 0, or why the interrupt cannot be had.
 */
int pci_liveupdate_route_intx(struct pci_dev *dev)
{
	int ret;

	if (pci_dev_msi_enabled(dev) ||
	    !test_bit(PCI_LIVEUPDATE_ROUTE, &dev->liveupdate))
		return 0;
	/* None of its BARs, only the interrupt */
	ret = pcibios_enable_device(dev, 0);
	if (!ret)
		clear_bit(PCI_LIVEUPDATE_ROUTE, &dev->liveupdate);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_route_intx);

/**
 * pci_liveupdate_finish() - An incoming device becomes an ordinary one
 * @dev: The device; an endpoint.
 *
 * So do the bridges above with no other incoming device below. A physical function of
 * which virtual ones are still incoming becomes one with the last of these: until then
 * it cannot be reset, nor get another driver. Does nothing if the device is not incoming.
 *
 * Context: In the .finish() of the file handler.
 */
void pci_liveupdate_finish(struct pci_dev *dev)
{
	guard(mutex)(&pci_liveupdate.lock);
	if (!pci_liveupdate_incoming(dev))
		return;

	if (WARN_ON(!pci_liveupdate_running(dev)))
		return;
	if (pci_liveupdate_has_vfs(dev)) {
		pci_liveupdate_leave_to_vfs(dev);
		pci_info(dev, "liveupdate: finished, but for its virtual functions\n");
		return;
	}
	pci_liveupdate_release(dev);
	pci_liveupdate_put_above(dev);
	pci_info(dev, "liveupdate: finished\n");
}
EXPORT_SYMBOL_GPL(pci_liveupdate_finish);

static void __pci_liveupdate_refuse(struct pci_dev *dev, const char *reason)
{
	lockdep_assert_held(&pci_liveupdate.lock);
	if (!pci_liveupdate_incoming(dev) ||
	    dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return;
	luo_back_instead(reason);

	if (pci_liveupdate_running(dev) && pci_liveupdate_has_vfs(dev)) {
		pci_err(dev, "liveupdate: not taken over, bus mastering is off: %s\n",
			reason);
		liveupdate_refused_pci(pci_domain_nr(dev->bus), pci_dev_id(dev),
				       "device", "pci", reason);
		pci_liveupdate_leave_to_vfs(dev);
	}
	/* Its VFs are the affair of others; they do not need its bus mastering. */
	if (!pci_liveupdate_running(dev)) {
		pci_liveupdate_iov_forget(dev);
		set_bit(PCI_LIVEUPDATE_STOP, &dev->liveupdate);
		pci_liveupdate_clear_master(dev);
		return;
	}

	/* First: while it is incoming, nothing can be switched off. */
	pci_liveupdate_release(dev);
	pci_liveupdate_stop(dev, reason);
	pci_liveupdate_put_above(dev);
}

/**
 * pci_liveupdate_refuse() - An incoming device cannot be used
 * @dev: The device; an endpoint.
 * @reason: Why; a constant string for the log.
 *
 * Bus mastering is off on return, and the device is not incoming any more. It
 * is reset before a driver gets it, or none does. Does nothing if the device is not incoming.
 *
 * Context: May sleep. At any time after the device was enumerated.
 */
void pci_liveupdate_refuse(struct pci_dev *dev, const char *reason)
{
	guard(mutex)(&pci_liveupdate.lock);
	__pci_liveupdate_refuse(dev, reason);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_refuse);

/**
 * pci_liveupdate_refuse_all() - No incoming device can be used
 * @reason: Why; a constant string for the log.
 *
 * As pci_liveupdate_refuse(), for all devices found so far and all to be found
 * yet.
 *
 * Context: May sleep. At any time.
 */
void pci_liveupdate_refuse_all(const char *reason)
{
	struct pci_dev *dev = NULL;

	luo_back_instead(reason);
	guard(mutex)(&pci_liveupdate.lock);
	if (!pci_liveupdate.refuse_reason)
		pci_liveupdate.refuse_reason = reason;
	for_each_pci_dev(dev)
		__pci_liveupdate_refuse(dev, reason);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_refuse_all);

/**
 * pci_liveupdate_remove() - A device is about to be removed
 * @dev: The device; it has no driver any more.
 *
 * Nobody has the file of an incoming device at this point: the driver would have
 * waited for it. Bus mastering is off on return, and the device is not incoming
 * any more. Its translation goes next, as that of any device.
 */
void pci_liveupdate_remove(struct pci_dev *dev)
{
	guard(mutex)(&pci_liveupdate.lock);
	__pci_liveupdate_refuse(dev, "it was removed");
	pci_liveupdate_iov_forget(dev);
	/* A bridge; what was below it is gone. */
	if (pci_liveupdate_incoming(dev))
		pci_liveupdate_release(dev);
}

/**
 * pci_liveupdate_removed() - A device is gone for all others
 * @dev: The device; blocked, and out of its IOMMU group.
 *
 * It is reset if pci_liveupdate_remove() stopped it, so that it does not go on
 * when somebody finds it again. Where no IOMMU has blocked it, its memory waits for that,
 * and so does the device if it is found again.
 */
void pci_liveupdate_removed(struct pci_dev *dev)
{
	if (!pci_liveupdate_reset(dev) || !pci_device_is_present(dev))
		iommu_liveupdate_gone(&dev->dev);
}

#ifdef CONFIG_PM_SLEEP
static int pci_liveupdate_may_sleep(void)
{
	struct pci_dev *dev = NULL;
	int ret = 0;

	guard(mutex)(&pci_liveupdate.lock);
	for_each_pci_dev(dev) {
		ret = liveupdate_require(!pci_liveupdate_outgoing(dev) &&
					 !pci_liveupdate_incoming(dev),
					 &rule_pci_stopped, "%s", pci_name(dev));
		if (ret) {
			pci_dev_put(dev);
			return ret;
		}
	}
	pci_liveupdate.sleep = true;
	return 0;
}

static int pci_liveupdate_pm(struct notifier_block *nb, unsigned long event,
			     void *data)
{
	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		return notifier_from_errno(pci_liveupdate_may_sleep());
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		scoped_guard(mutex, &pci_liveupdate.lock)
			pci_liveupdate.sleep = false;
		return NOTIFY_OK;
	}
	return NOTIFY_DONE;
}

static struct notifier_block pci_liveupdate_pm_nb = {
	.notifier_call = pci_liveupdate_pm,
};

/* Before anything goes back to a hibernated kernel, which is the last initcall. */
static int __init pci_liveupdate_pm_init(void)
{
	return register_pm_notifier(&pci_liveupdate_pm_nb);
}
subsys_initcall(pci_liveupdate_pm_init);
#endif

static int __init pci_liveupdate_reset_late(void)
{
	struct pci_dev *dev = NULL;

	pci_liveupdate_wq = alloc_workqueue("pci_liveupdate", WQ_UNBOUND,
					    WQ_MAX_ACTIVE);
	if (!pci_liveupdate_wq)
		return -ENOMEM;
	/* Paired with the test in pci_liveupdate_stop(). */
	smp_store_release(&pci_liveupdate_booted, true);
	for_each_pci_dev(dev) {
		if (pci_liveupdate_refused(dev))
			pci_liveupdate_reset_later(dev);
	}
	/* There is no user yet that a driver could wait for; and there shall be none. */
	flush_workqueue(pci_liveupdate_wq);
	return 0;
}
late_initcall(pci_liveupdate_reset_late);
