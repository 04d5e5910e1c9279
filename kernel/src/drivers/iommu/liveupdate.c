// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: IOMMU live update
 *
 * The part of a live update that is common to all IOMMU drivers: which domains
 * and devices are carried over, who owns them when, and what happens to the
 * others. What depends on the hardware is done by the drivers, through
 * &struct iommu_liveupdate_ops; which of it is done when is decided here.
 *
 * Happy path
 * ~~~~~~~~~~
 *
 * Outgoing kernel: the first preserved file creates the handover (the FLB
 * below) and records every IOMMU unit. iommufd preserves the domains of marked
 * HWPTs, then VFIO preserves devices attached to them. From then on a preserved
 * domain does not change and a preserved device does not change its domain.
 * In the shutdown of the kexec, drivers remove each entry that does not belong
 * to a preserved device and leave translation on.
 *
 * Incoming kernel: the driver of an IOMMU whose translation is on asks for the
 * handover, checks it against the hardware and goes on with the tables that
 * the hardware is using. Tables below the topmost one of a domain are looked at
 * only if liveupdate.check_tables=1 says so, because that takes time in proportion
 * to the memory that is mapped. When a preserved device is probed its first domain is
 * made of these tables: a restored domain. The device's group is owned by the
 * restored domain; no driver gets the DMA API on it. The iommufd that comes
 * back takes the restored domain over, and with it the right to claim the
 * device. The device leaves the restored domain when user space replaces it.
 *
 * Who frees a restored domain
 * ~~~~~~~~~~~~~~~~~~~~~~~~~~~
 *
 * A restored domain has one reference for each device that has not left it, and
 * one for the HWPT that stands for it, even if nobody asked for the HWPT yet:
 * the iommufd can be retrieved when all devices are gone. A device behind a
 * unit that is not adopted yet has one, too: hardware is using the tables for it.
 * If that unit is never adopted nobody knows when that ends, and the domain is
 * kept until the next reboot. A device that came late into the group of one that
 * has not left has one, because the domain is that of the group. The last one to
 * go frees the domain; the driver's detach has waited for the hardware by then,
 * and only this frees the tables. A device leaves by being attached to another
 * translation or by being removed, and in no other way: detach, unbind and a
 * bind that fails halfway leave it where it is.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * Abort before the jump: unpreserve undoes each step in reverse, and cannot
 * fail.
 *
 * A handover that cannot be read (version, size, a page that KHO did not keep):
 * bus mastering is cleared on all devices that could be meant before the driver
 * switches translation off. The memory stays preserved until the next reboot.
 *
 * A device or domain that fails its checks, or is gone: its entry is removed,
 * the device is refused at the PCI level, the others go on.
 *
 * A device whose probe fails, or that the IOMMU core takes out of its group again because
 * that of another one has failed: it is stopped, its entry is removed, hardware forgets
 * it, and only then its driver frees what it took over for the device.
 *
 * A unit that cannot be adopted, that this kernel does not use, or whose driver
 * fails to come up after it was adopted: the devices behind it are stopped by bus
 * mastering before its translation goes off; other units are not concerned.
 *
 * User space never comes back: the device goes on using the restored domain,
 * whose memory stays preserved. Nothing else can use the device.
 *
 * The device is removed: the PCI core has stopped it. It is blocked, and leaves
 * the restored domain.
 *
 * A device is plugged in, and its group is that of a restored one: it is blocked as
 * long as the other one is on the restored domain, and no driver gets it, because the
 * restored domain owns the group.
 *
 * Reserved regions
 * ~~~~~~~~~~~~~~~~
 *
 * A device whose firmware demands a 1:1 mapping (RMRR on Intel, unity maps on
 * AMD, RMR on Arm) is not preserved: user space cannot be trusted to have the
 * region in its HWPT. With a region that is not relaxable it does not even come
 * so far, as VFIO cannot have the device.
 *
 * If it is not preserved, two demands contradict each other during the jump:
 * that of the firmware to go on with the region, and that nobody else does DMA.
 * The second one wins. Its entries are removed with those of all other devices
 * and bus mastering is cleared, so that what the firmware makes it do faults
 * and does not land. The mapping is there again when the next kernel probes the
 * device and gives it its default domain. Where that gap cannot be suffered, the
 * machine has to be updated by an ordinary reboot.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/iommu-liveupdate.h>
#include <linux/iommu.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommu_v1.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/memcontrol.h>
#include <linux/memfd.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "iommu-pages.h"
#include "iommu-priv.h"
#include "liveupdate_rules.h"

enum {
	MAX_IOMMUS = IOMMU_SER_MAX_IOMMUS,
	MAX_DOMAINS = IOMMU_SER_MAX_DOMAINS,
	MAX_DEVICES = IOMMU_SER_MAX_DEVICES,
};

/*
 * What both directions know of a handover. @units are those of @iommus that this
 * kernel has preserved or adopted. @taken (outgoing) marks domains that are being
 * preserved, and are not listed yet. @v1 (outgoing) is what there is in the version
 * before, if a kernel is loaded that reads no other: then KHO does not keep the rest
 * (@dropped), which nobody would free there. No entry of @iommus or @devices from
 * @end_iommus and @end_devices on was ever used (outgoing).
 */
struct iommu_handover {
	struct iommu_ser *ser;
	struct iommu_ser_v1 *v1;
	bool dropped;
	struct iommu_device *units[MAX_IOMMUS];
	struct iommu_hw_ser *iommus;
	struct iommu_domain_ser *domains;
	struct iommu_device_ser *devices;
	DECLARE_BITMAP(taken, MAX_DOMAINS);
	u32 end_iommus;
	u32 end_devices;
};

/**
 * struct iommu_restored - A domain that came from the previous kernel
 * @domain: The domain, whose @restored points back here.
 * @owner:  The iommufd that holds the HWPT, NULL until it is retrieved.
 * @index:  Index in the handover.
 * @refs:   One for each device that has not left, adopted or not, or came late, and
 *	one for the HWPT.
 * @claimed: The HWPT has got its reference.
 * @late: Devices that came late into the group of one that has not left, and those whose
 *	unit was given up when they had a group. They are
 *	blocked, and have a reference each: the group is on the domain as long as one
 *	of its devices has not moved.
 * @devices: Number of devices behind adopted units that have not left.
 */
struct iommu_restored {
	struct iommu_domain *domain;
	void *owner;
	u32 index;
	bool claimed;
	unsigned int refs;
	unsigned int late;
	unsigned int devices;
};

enum incoming_state {
	DEV_NONE,	/* not in the handover, refused, or has left */
	DEV_PENDING,	/* checked, the device was not probed yet */
	DEV_ATTACHED,	/* attached to the restored domain */
};

/* For debugfs only; what is not listed was refused, or never there. */
enum incoming_domain_state {
	DOM_NONE,
	DOM_LISTED,
	DOM_RESTORED,
	DOM_FREED,
};

/*
 * @ho: Its arrays are a copy: what came is not written, because a kernel to which this
 *	one goes back needs it as it is.
 * @pa: Where what came is.
 * @given_up: Devices whose unit was given up when they had a group, and are in it.
 * @taken_over: Devices whose entry was found to be as they were handed over, wherever they
 *	are now.
 * @walked: Domains whose tables were checked for a unit, which found @verdict.
 * @walked_here: Those that were checked for the unit in hand, which found
 *	@verdict_here.
 */
struct iommu_incoming {
	struct iommu_handover ho;
	u64 pa;
	struct iommu_ser_view view;
	struct liveupdate_kho_mem mem;
	bool bad;
	struct iommu_restored *restored[MAX_DOMAINS];
	u8 state[MAX_DEVICES];
	u8 domain_state[MAX_DOMAINS];
	DECLARE_BITMAP(adopted, MAX_IOMMUS);
	DECLARE_BITMAP(given_up, MAX_DEVICES);
	DECLARE_BITMAP(taken_over, MAX_DEVICES);
	DECLARE_BITMAP(walked, MAX_DOMAINS);
	DECLARE_BITMAP(walked_here, MAX_DOMAINS);
	const char *verdict[MAX_DOMAINS];
	const char *verdict_here[MAX_DOMAINS];
};

/*
 * Protects the handover in both directions, and all struct iommu_restored: which
 * of them there are, and whose. All VMs share it, so nothing is done under it
 * whose length depends on how much memory one of them has: preserving, freeing and
 * comparing tables is done before or after, by whoever has the domain to himself:
 *
 * - A domain that is being preserved has a bit in @taken; its entry of the
 *   handover is nobody else's until IOMMU_SER_USED is set. LUO calls for one file
 *   at a time, so that a domain is not preserved and unpreserved at once.
 * - A restored domain whose last reference has gone is out of @incoming, and
 *   restored_free() frees it once the lock is not held.
 *
 * It is inside of the mutex of a group and of LUO's locks, and outside of those of
 * the drivers and of KHO.
 */
static DEFINE_MUTEX(iommu_liveupdate_lock);
/* Set as long as the FLB is preserved. */
static struct iommu_handover *outgoing;
/*
 * Set from the first use until the FLB is finished; also if the handover turned
 * out to be bad, with no entry in use. LUO does not expect a failure there.
 */
static struct iommu_incoming *incoming;

static struct liveupdate_flb iommu_flb;

/*
 * The drivers of this kernel, in the order of registration. None goes away, so
 * that what was found needs no lock.
 */
static const struct iommu_liveupdate_ops *drivers[8];
static DEFINE_SPINLOCK(drivers_lock);

/**
 * iommu_liveupdate_register() - Make a driver known
 * @ops: The driver, which stays for ever.
 *
 * Units, domains and devices of a driver that is not known are refused, so this
 * is to be called before anybody asks for the handover: before the units of any
 * driver are set up.
 *
 * Return: 0; -EEXIST if there is a driver for these parts of the handover already;
 * -ENOSPC if there are too many.
 */
int iommu_liveupdate_register(const struct iommu_liveupdate_ops *ops)
{
	unsigned int i;

	guard(spinlock)(&drivers_lock);
	for (i = 0; i < ARRAY_SIZE(drivers) && drivers[i]; i++)
		if (drivers[i]->checks->type == ops->checks->type)
			return -EEXIST;
	if (i == ARRAY_SIZE(drivers))
		return -ENOSPC;
	drivers[i] = ops;
	return 0;
}

static const struct iommu_liveupdate_ops *find_driver(u16 type)
{
	unsigned int i;

	guard(spinlock)(&drivers_lock);
	for (i = 0; i < ARRAY_SIZE(drivers) && drivers[i]; i++)
		if (drivers[i]->checks->type == type)
			return drivers[i];
	return NULL;
}

static const struct iommu_ser_driver *find_checks(u16 type)
{
	const struct iommu_liveupdate_ops *ops = find_driver(type);

	return ops ? ops->checks : NULL;
}

/* Whose entries those of the version before are */
static const struct iommu_liveupdate_ops *find_v1_driver(void)
{
	unsigned int i;

	guard(spinlock)(&drivers_lock);
	for (i = 0; i < ARRAY_SIZE(drivers) && drivers[i]; i++)
		if (drivers[i]->v1)
			return drivers[i];
	return NULL;
}

static int handover_alloc(struct iommu_handover *ho)
{
	ho->ser = kho_alloc_preserve(sizeof(*ho->ser));
	if (IS_ERR(ho->ser))
		return PTR_ERR(ho->ser);
	ho->iommus = kho_alloc_preserve(IOMMU_SER_ARRAY_SIZE);
	if (IS_ERR(ho->iommus))
		goto err_ser;
	ho->domains = kho_alloc_preserve(IOMMU_SER_ARRAY_SIZE);
	if (IS_ERR(ho->domains))
		goto err_iommus;
	ho->devices = kho_alloc_preserve(IOMMU_SER_ARRAY_SIZE);
	if (IS_ERR(ho->devices))
		goto err_domains;

	ho->ser->version = IOMMU_SER_VERSION;
	ho->ser->iommus_pa = virt_to_phys(ho->iommus);
	ho->ser->domains_pa = virt_to_phys(ho->domains);
	ho->ser->devices_pa = virt_to_phys(ho->devices);
	return 0;

err_domains:
	kho_unpreserve_free(ho->domains);
err_iommus:
	kho_unpreserve_free(ho->iommus);
err_ser:
	kho_unpreserve_free(ho->ser);
	return -ENOMEM;
}

static struct iommu_ser_v1_arrays v1_arrays(const struct iommu_ser_v1 *v1)
{
	return (struct iommu_ser_v1_arrays) {
		.iommus = phys_to_virt(v1->iommus_pa),
		.domains = phys_to_virt(v1->domains_pa),
		.devices = phys_to_virt(v1->devices_pa),
	};
}

static int v1_alloc(struct iommu_handover *ho)
{
	void *iommus, *domains, *devices;

	if (ho->v1)
		return 0;
	ho->v1 = kho_alloc_preserve(sizeof(*ho->v1));
	if (IS_ERR(ho->v1))
		goto err;
	iommus = kho_alloc_preserve(IOMMU_SER_V1_ARRAY_SIZE);
	if (IS_ERR(iommus))
		goto err_v1;
	domains = kho_alloc_preserve(IOMMU_SER_V1_ARRAY_SIZE);
	if (IS_ERR(domains))
		goto err_iommus;
	devices = kho_alloc_preserve(IOMMU_SER_V1_ARRAY_SIZE);
	if (IS_ERR(devices))
		goto err_domains;

	ho->v1->version = IOMMU_SER_V1_VERSION;
	ho->v1->iommus_pa = virt_to_phys(iommus);
	ho->v1->domains_pa = virt_to_phys(domains);
	ho->v1->devices_pa = virt_to_phys(devices);
	return 0;

err_domains:
	kho_unpreserve_free(domains);
err_iommus:
	kho_unpreserve_free(iommus);
err_v1:
	kho_unpreserve_free(ho->v1);
err:
	ho->v1 = NULL;
	return -ENOMEM;
}

static void v1_free(struct iommu_handover *ho)
{
	struct iommu_ser_v1_arrays arrays;

	if (!ho->v1)
		return;
	arrays = v1_arrays(ho->v1);
	kho_unpreserve_free(arrays.devices);
	kho_unpreserve_free(arrays.domains);
	kho_unpreserve_free(arrays.iommus);
	kho_unpreserve_free(ho->v1);
	ho->v1 = NULL;
}

/* Have KHO not keep what there is in this version, which stays where it is. */
static void handover_drop(struct iommu_handover *ho)
{
	if (ho->dropped)
		return;
	kho_unpreserve_folio(virt_to_folio(ho->devices));
	kho_unpreserve_folio(virt_to_folio(ho->domains));
	kho_unpreserve_folio(virt_to_folio(ho->iommus));
	kho_unpreserve_folio(virt_to_folio(ho->ser));
	ho->dropped = true;
}

/* Undo handover_drop(), which can fail. */
static int handover_keep(struct iommu_handover *ho)
{
	void *parts[] = { ho->ser, ho->iommus, ho->domains, ho->devices };
	unsigned int i;
	int ret;

	for (i = 0; ho->dropped && i < ARRAY_SIZE(parts); i++) {
		ret = kho_preserve_folio(virt_to_folio(parts[i]));
		if (!ret)
			continue;
		while (i--)
			kho_unpreserve_folio(virt_to_folio(parts[i]));
		return ret;
	}
	ho->dropped = false;
	return 0;
}

static void handover_free(struct iommu_handover *ho)
{
	v1_free(ho);
	handover_drop(ho);
	folio_put(virt_to_folio(ho->devices));
	folio_put(virt_to_folio(ho->domains));
	folio_put(virt_to_folio(ho->iommus));
	folio_put(virt_to_folio(ho->ser));
}

static const struct iommu_hw_ser *
find_incoming_iommu(const struct iommu_liveupdate_ops *ops,
		    const struct iommu_liveupdate_unit *unit);
static void set_adopted(const struct iommu_hw_ser *hw,
			struct iommu_device *iommu);
static struct iommu_restored *drop_incoming(u32 i);
static void drop_incoming_free(u32 i);
static struct iommu_restored *restored_get(u32 index);
static void attach_restored(struct iommu_restored *r,
			    const struct iommu_device_ser *ser);

#include "liveupdate_noiommu.h"

static int preserve_iommu(struct iommu_device *iommu, struct iommu_hw_ser *ser)
{
	const struct iommu_liveupdate_ops *ops = iommu->ops->liveupdate;
	struct iommu_liveupdate_unit unit;
	int ret;

	ops->identify(iommu, &unit);
	ser->type = ops->checks->type;
	ser->id = unit.id;
	ret = ops->preserve_iommu(iommu, ser);
	if (ret || !ops->preserve_interrupts)
		return ret;
	ret = ops->preserve_interrupts(iommu);
	if (ret)
		ops->unpreserve_iommu(iommu, ser);
	return ret;
}

static void unpreserve_iommu(struct iommu_device *iommu,
			     struct iommu_hw_ser *ser)
{
	const struct iommu_liveupdate_ops *ops = iommu->ops->liveupdate;

	ops->unpreserve_iommu(iommu, ser);
	if (ops->unpreserve_interrupts)
		ops->unpreserve_interrupts(iommu);
	memset(ser, 0, sizeof(*ser));
}

static void unpreserve_iommus(struct iommu_handover *ho)
{
	struct iommu_device *iommu;
	u32 i;

	for (i = 0; i < MAX_IOMMUS; i++) {
		if (!(ho->iommus[i].flags & IOMMU_SER_USED))
			continue;
		iommu = ho->units[i];
		iommu->liveupdate_ser = NULL;
		unpreserve_iommu(iommu, &ho->iommus[i]);
	}
}

/*
 * The units of this machine, into ho->units. None of them goes away while
 * iommu_liveupdate_lock is held, nor later if it is preserved: see
 * iommu_liveupdate_unit_leaves().
 */
static u32 list_units(struct iommu_handover *ho)
{
	struct iommu_device *iommu;
	u32 n = 0;

	lockdep_assert_held(&iommu_liveupdate_lock);
	ho->units[0] = find_noiommu_unit();
	if (ho->units[0])
		return 1;
	guard(spinlock)(&iommu_device_lock);
	list_for_each_entry(iommu, &iommu_device_list, list) {
		if (!iommu->ops->liveupdate || iommu->liveupdate_ser)
			continue;
		if (n < MAX_IOMMUS)
			ho->units[n] = iommu;
		n++;
	}
	return n;
}

/*
 * All units are recorded, not only those with preserved devices: the others
 * have to go on blocking.
 */
static int preserve_iommus(struct iommu_handover *ho)
{
	struct iommu_device *iommu;
	u32 n, i, used = 0;
	int ret;

	n = list_units(ho);
	ret = liveupdate_require(n <= MAX_IOMMUS, &rule_iommu_units,
				 "%u IOMMU units", n);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		iommu = ho->units[i];
		ret = preserve_iommu(iommu, &ho->iommus[used]);
		if (ret == -EOPNOTSUPP) {
			memset(&ho->iommus[used], 0, sizeof(ho->iommus[used]));
			continue;
		}
		if (ret)
			goto err;
		ho->units[used] = iommu;
		ho->iommus[used].flags |= IOMMU_SER_USED;
		iommu->liveupdate_ser = &ho->iommus[used];
		used++;
	}
	ho->end_iommus = used;
	return 0;

err:
	unpreserve_iommus(ho);
	return ret;
}

static int iommu_flb_preserve(struct liveupdate_flb_op_args *args)
{
	struct iommu_handover *ho;
	int ret;

	ho = kzalloc_obj(*ho);
	if (!ho)
		return -ENOMEM;

	ret = handover_alloc(ho);
	if (ret)
		goto err_free;

	scoped_guard(mutex, &iommu_liveupdate_lock) {
		ret = preserve_iommus(ho);
		if (!ret)
			outgoing = ho;
	}
	if (ret)
		goto err_handover;

	args->obj = ho;
	args->data = virt_to_phys(ho->ser);
	return 0;

err_handover:
	handover_free(ho);
err_free:
	kfree(ho);
	return ret;
}

static void iommu_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	struct iommu_handover *ho = args->obj;

	guard(mutex)(&iommu_liveupdate_lock);
	outgoing = NULL;
	unpreserve_iommus(ho);
	handover_free(ho);
	kfree(ho);
}

/* --- incoming: checks. Nothing of the handover is used before. --- */

/* Each kind is checked before what refers to it; what fails is taken out. */
static void check_entries(struct iommu_incoming *in)
{
	struct iommu_handover *ho = &in->ho;
	const char *why;
	u32 i;

	for (i = 0; i < MAX_IOMMUS; i++) {
		if (!(ho->iommus[i].flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_iommu(&in->view, i);
		if (!why)
			continue;
		pr_err("IOMMU %u refused: %s\n", i, why);
		liveupdate_refused("iommu", "iommu", why, "index=%u", i);
		ho->iommus[i].flags = 0;
	}
	for (i = 0; i < MAX_DOMAINS; i++) {
		if (!(ho->domains[i].flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_domain(&in->view, i);
		if (!why) {
			in->domain_state[i] = DOM_LISTED;
			continue;
		}
		pr_err("domain %u refused: %s\n", i, why);
		liveupdate_refused("domain", "iommu", why, "index=%u", i);
		ho->domains[i].flags = 0;
	}
	for (i = 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &ho->devices[i];

		if (!(d->flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_device(&in->view, i);
		if (!why) {
			in->state[i] = DEV_PENDING;
			continue;
		}
		pr_err("%04x:%02x:%02x.%d refused: %s\n", d->segment,
		       PCI_BUS_NUM(d->bdf), PCI_SLOT(d->bdf), PCI_FUNC(d->bdf),
		       why);
		liveupdate_refused_pci(d->segment, d->bdf, "device", "iommu",
				       why);
	}
}

static struct iommu_ser_arrays copy_alloc(void)
{
	return (struct iommu_ser_arrays) {
		.iommus = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL | __GFP_NOFAIL),
		.domains = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL | __GFP_NOFAIL),
		.devices = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL | __GFP_NOFAIL),
	};
}

static void use_copy(struct iommu_incoming *in, u64 pa,
		     const struct iommu_ser_arrays *copy)
{
	in->pa = pa;
	in->ho.iommus = copy->iommus;
	in->ho.domains = copy->domains;
	in->ho.devices = copy->devices;
	in->view.mem = &in->mem.mem;
	in->view.iommus = copy->iommus;
	in->view.domains = copy->domains;
	in->view.devices = copy->devices;
}

static const char *read_this_version(struct iommu_incoming *in, u64 pa)
{
	struct iommu_ser_arrays copy;
	const char *why;

	why = iommu_ser_check(&in->mem.mem, pa, &in->view);
	if (why)
		return why;
	copy = copy_alloc();
	memcpy(copy.iommus, in->view.iommus, IOMMU_SER_ARRAY_SIZE);
	memcpy(copy.domains, in->view.domains, IOMMU_SER_ARRAY_SIZE);
	memcpy(copy.devices, in->view.devices, IOMMU_SER_ARRAY_SIZE);
	use_copy(in, pa, &copy);
	return NULL;
}

static const char *read_v1(struct iommu_incoming *in, u64 pa)
{
	const struct iommu_liveupdate_ops *ops = find_v1_driver();
	struct iommu_ser_v1_view v1;
	struct iommu_ser_arrays to;
	const char *why;

	if (!ops)
		return "no driver for what came in this version";
	why = iommu_ser_v1_check(&in->mem.mem, pa, &v1);
	if (why)
		return why;
	to = copy_alloc();
	ops->v1->read(&v1, &to);
	use_copy(in, pa, &to);
	pr_info("handover of the IOMMUs came as \"%s\"\n",
		IOMMU_LIVEUPDATE_COMPATIBLE_V1);
	return NULL;
}

static void free_incoming(struct iommu_incoming *in)
{
	/* The root is the same in all versions. */
	struct iommu_ser *ser = phys_to_virt(in->pa);

	kvfree(in->ho.devices);
	kvfree(in->ho.domains);
	kvfree(in->ho.iommus);
	kho_restore_free(phys_to_virt(ser->devices_pa));
	kho_restore_free(phys_to_virt(ser->domains_pa));
	kho_restore_free(phys_to_virt(ser->iommus_pa));
	kho_restore_free(ser);
}

/* The first field, which is in each version where it is. */
static u32 version_at(struct liveupdate_mem *mem, u64 pa)
{
	const u32 *version = mem->get(mem, pa, 0);

	return version ? *version : 0;
}

static int iommu_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	struct iommu_incoming *in;
	const char *why;

	/* Once, at boot: there is no second try, and devices would be stopped. */
	in = kvzalloc_obj(*in, GFP_KERNEL | __GFP_NOFAIL);

	liveupdate_kho_mem_init(&in->mem);
	in->view.driver = find_checks;
	if (version_at(&in->mem.mem, args->data) == IOMMU_SER_V1_VERSION)
		why = read_v1(in, args->data);
	else
		why = read_this_version(in, args->data);
	if (why)
		goto err;
	check_entries(in);
out:
	scoped_guard(mutex, &iommu_liveupdate_lock)
		incoming = in;
	args->obj = in;
	return 0;

err:
	pr_err("handover of the IOMMUs refused: %s\n", why);
	liveupdate_refused("list", "iommu", why, "name=%s",
			   IOMMU_LIVEUPDATE_COMPATIBLE);
	in->bad = true;
	goto out;
}

static struct iommu_restored *restored_put(struct iommu_restored *r);
static void restored_free(struct iommu_restored *r);

/* No iommufd has asked for these, and none can any more. */
static struct iommu_restored *put_unclaimed(struct iommu_incoming *in, u32 i)
{
	guard(mutex)(&iommu_liveupdate_lock);
	return in->restored[i] && !in->restored[i]->claimed ?
		       restored_put(in->restored[i]) : NULL;
}

/* What drivers' parts refer to, and no hardware: that of a device that was refused stays. */
static void forget_devices(const struct iommu_incoming *in)
{
	u32 i;

	for (i = 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &in->ho.devices[i];
		const struct iommu_liveupdate_ops *ops;

		if (!test_bit(i, in->taken_over))
			continue;
		ops = find_driver(d->type);
		if (ops->forget_device)
			ops->forget_device(d);
	}
}

static void iommu_flb_finish(struct liveupdate_flb_op_args *args)
{
	struct iommu_incoming *in = args->obj;
	u32 i;

	for (i = 0; i < MAX_DOMAINS; i++)
		restored_free(put_unclaimed(in, i));

	/* What could not be verified stays where it is until the next reboot. */
	scoped_guard(mutex, &iommu_liveupdate_lock) {
		incoming = NULL;
		if (in->bad)
			break;
		forget_devices(in);
		free_incoming(in);
	}
	liveupdate_kho_mem_destroy(&in->mem);
	kvfree(in);
}

/*
 * What the loaded kernel has to read besides the format itself: the drivers' parts.
 * Each is passed to @ask, until that is not content. The freeze does this for each file, so
 * it does as little as it can for each device: most of them need what the one before needs.
 */
static int ask_drivers(const struct iommu_handover *ho,
		       int (*ask)(const char *format))
{
	const char *format, *last = NULL;
	int ret = 0;
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	for (i = 0; i < ho->end_iommus && !ret; i++) {
		if (!(ho->iommus[i].flags & IOMMU_SER_USED))
			continue;
		format = ho->units[i]->ops->liveupdate->compatible;
		if (format != last)
			ret = ask(format);
		last = format;
	}
	for (i = 0; i < ho->end_devices && !ret; i++) {
		const struct iommu_device_ser *d = &ho->devices[i];
		const struct iommu_liveupdate_ops *ops;

		if (!(d->flags & IOMMU_SER_USED))
			continue;
		ops = ho->units[d->iommu]->ops->liveupdate;
		if (!ops->device_format)
			continue;
		format = ops->device_format(d);
		if (format != last)
			ret = ask(format);
		last = format;
	}
	return ret;
}

static int is_unread(const char *format)
{
	return luo_format_reads(format) ? 0 : -ENOEXEC;
}

static int write_v1(struct iommu_handover *ho)
{
	const struct iommu_liveupdate_ops *ops = find_v1_driver();
	const struct iommu_ser_view view = {
		.iommus = ho->iommus,
		.domains = ho->domains,
		.devices = ho->devices,
	};
	struct iommu_ser_v1_arrays arrays;
	int ret;

	if (!ops || !luo_format_reads(IOMMU_LIVEUPDATE_COMPATIBLE_V1) ||
	    !ops->v1->holds(&view))
		return -ENOEXEC;
	ret = v1_alloc(ho);
	if (ret)
		return ret;
	arrays = v1_arrays(ho->v1);
	memset(arrays.iommus, 0, IOMMU_SER_V1_ARRAY_SIZE);
	memset(arrays.domains, 0, IOMMU_SER_V1_ARRAY_SIZE);
	memset(arrays.devices, 0, IOMMU_SER_V1_ARRAY_SIZE);
	ops->v1->write(&view, &arrays);
	handover_drop(ho);
	return 0;
}

/* This version if it is read, else the one before, if that is and can hold it. */
static const char *iommu_flb_written(struct liveupdate_flb_op_args *args)
{
	struct iommu_handover *ho = args->obj;
	int ret;

	guard(mutex)(&iommu_liveupdate_lock);
	if (luo_format_reads(IOMMU_LIVEUPDATE_COMPATIBLE) &&
	    !ask_drivers(ho, is_unread)) {
		ret = handover_keep(ho);
		if (ret)
			return ERR_PTR(ret);
		v1_free(ho);
		return IOMMU_LIVEUPDATE_COMPATIBLE;
	}
	ret = write_v1(ho);
	if (!ret) {
		args->data = virt_to_phys(ho->v1);
		return IOMMU_LIVEUPDATE_COMPATIBLE_V1;
	}
	if (ret != -ENOEXEC)
		return ERR_PTR(ret);
	/* Says which one is not read. */
	return ERR_PTR(luo_format_ask(IOMMU_LIVEUPDATE_COMPATIBLE) ?:
		       ask_drivers(ho, luo_format_ask) ?: ret);
}

static const char *const iommu_flb_older[] = {
	IOMMU_LIVEUPDATE_COMPATIBLE_V1, NULL
};

static const struct liveupdate_flb_versions iommu_flb_versions = {
	.older = iommu_flb_older,
	.written = iommu_flb_written,
};

static const struct liveupdate_flb_ops iommu_flb_ops = {
	.preserve = iommu_flb_preserve,
	.unpreserve = iommu_flb_unpreserve,
	.retrieve = iommu_flb_retrieve,
	.finish = iommu_flb_finish,
	.owner = THIS_MODULE,
	.versions = &iommu_flb_versions,
};

static struct liveupdate_flb iommu_flb = {
	.ops = &iommu_flb_ops,
	.compatible = IOMMU_LIVEUPDATE_COMPATIBLE,
};

/**
 * iommu_liveupdate_register_flb() - Let a file handler carry IOMMU state
 * @fh: Handler, already registered, whose files need the IOMMU handover.
 *
 * Return: 0, or what liveupdate_register_flb() returns.
 */
int iommu_liveupdate_register_flb(struct liveupdate_file_handler *fh)
{
	return liveupdate_register_flb(fh, &iommu_flb);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_register_flb);

/* --- outgoing --- */

static const struct iommu_liveupdate_ops *
domain_liveupdate_ops(struct iommu_domain *domain)
{
	return domain->owner ? domain->owner->liveupdate : NULL;
}

/**
 * iommu_domain_preserve() - Carry a domain over to the next kernel
 * @domain: A paging domain that the caller keeps from changing.
 * @id:     Of its HWPT, for the log.
 * @index:  On success, its index in the handover.
 *
 * Context: In a .preserve() callback of a handler with the IOMMU FLB.
 * Return: 0, -EOPNOTSUPP if the driver or the kind of domain does not support
 * it, -EBUSY if it is preserved already or its dirty tracking is on, -ENOSPC if
 * there are too many, -ENOMEM.
 */
int iommu_domain_preserve(struct iommu_domain *domain, u32 id, u32 *index)
{
	const struct iommu_liveupdate_ops *ops = domain_liveupdate_ops(domain);
	struct iommu_domain_ser *ser;
	u32 i;
	int ret;

	ret = liveupdate_require(ops && !domain->restored &&
				 !domain->iopf_handler,
				 &rule_iommu_domain_kind, "HWPT %u", id);
	if (ret)
		return ret;

	scoped_guard(mutex, &iommu_liveupdate_lock) {
		for (i = 0; i < MAX_DOMAINS; i++)
			if (!(outgoing->domains[i].flags & IOMMU_SER_USED) &&
			    !test_bit(i, outgoing->taken))
				break;
		ret = liveupdate_require(!domain->preserved,
					 &rule_iommu_domain_again, "HWPT %u",
					 id) ?:
		      liveupdate_require(i < MAX_DOMAINS, &rule_iommu_domains,
					 "HWPT %u", id);
		if (ret)
			return ret;
		__set_bit(i, outgoing->taken);
	}

	ser = &outgoing->domains[i];
	memset(ser, 0, sizeof(*ser));
	lockdep_assert_not_held(&iommu_liveupdate_lock);
	ret = ops->preserve_domain(domain, ser);
	if (ret == -EOPNOTSUPP)
		ret = liveupdate_require(false, &rule_iommu_domain_kind,
					 "HWPT %u", id);

	guard(mutex)(&iommu_liveupdate_lock);
	__clear_bit(i, outgoing->taken);
	if (ret) {
		memset(ser, 0, sizeof(*ser));
		return ret;
	}
	ser->type = ops->checks->type;
	ser->flags |= IOMMU_SER_USED;
	domain->preserved = ser;
	*index = i;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommu_domain_preserve, "IOMMUFD_INTERNAL");

/**
 * iommu_domain_unpreserve() - Undo iommu_domain_preserve()
 * @domain: The domain; no device of it is preserved any more.
 */
void iommu_domain_unpreserve(struct iommu_domain *domain)
{
	struct iommu_domain_ser *ser = domain->preserved;

	lockdep_assert_not_held(&iommu_liveupdate_lock);
	domain_liveupdate_ops(domain)->unpreserve_domain(domain, ser);

	guard(mutex)(&iommu_liveupdate_lock);
	domain->preserved = NULL;
	memset(ser, 0, sizeof(*ser));
}
EXPORT_SYMBOL_NS_GPL(iommu_domain_unpreserve, "IOMMUFD_INTERNAL");

static int count_device(struct device *dev, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

static bool alone_in_group(struct device *dev)
{
	unsigned int n = 0;

	iommu_group_for_each_dev(dev->iommu_group, &n, count_device);
	return n == 1;
}

static bool needs_direct_mapping(struct device *dev)
{
	struct iommu_resv_region *region;
	bool direct = false;
	LIST_HEAD(regions);

	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list)
		if (region->type == IOMMU_RESV_DIRECT ||
		    region->type == IOMMU_RESV_DIRECT_RELAXABLE)
			direct = true;
	iommu_put_resv_regions(dev, &regions);
	return direct;
}

/*
 * The pages that hardware reads on its way from a root table to a domain: page
 * frame number to number of devices that it is kept for. Under iommu_liveupdate_lock.
 */
static DEFINE_XARRAY(kept);

/**
 * iommu_liveupdate_keep() - Have KHO keep a table that leads to a domain
 * @table: The table, which devices may share.
 *
 * Context: In the preserve operations of a driver.
 * Return: 0, or -ENOMEM.
 */
int iommu_liveupdate_keep(void *table)
{
	struct folio *folio = virt_to_folio(table);
	unsigned long n;
	void *entry;
	int ret;

	lockdep_assert_held(&iommu_liveupdate_lock);
	entry = xa_load(&kept, folio_pfn(folio));
	n = entry ? xa_to_value(entry) : 0;
	ret = xa_err(xa_store(&kept, folio_pfn(folio), xa_mk_value(n + 1),
			      GFP_KERNEL));
	if (ret || n)
		return ret;
	ret = kho_preserve_folio(folio);
	if (ret)
		xa_erase(&kept, folio_pfn(folio));
	return ret;
}

/**
 * iommu_liveupdate_unkeep() - Undo iommu_liveupdate_keep()
 * @table: The table. Nothing happens if it is not kept: it came later.
 */
void iommu_liveupdate_unkeep(void *table)
{
	struct folio *folio = virt_to_folio(table);
	void *entry;

	lockdep_assert_held(&iommu_liveupdate_lock);
	entry = xa_load(&kept, folio_pfn(folio));
	if (!entry)
		return;
	if (xa_to_value(entry) > 1) {
		/* Takes the place of an entry, and so needs no memory. */
		xa_store(&kept, folio_pfn(folio),
			 xa_mk_value(xa_to_value(entry) - 1), GFP_KERNEL);
		return;
	}
	xa_erase(&kept, folio_pfn(folio));
	kho_unpreserve_folio(folio);
}

/**
 * iommu_liveupdate_kept() - Was iommu_liveupdate_keep() called for a table?
 * @table: The table.
 *
 * Return: true if it was, and was not undone; or if this kernel is on its way back.
 */
bool iommu_liveupdate_kept(void *table)
{
	/* What hardware uses for devices of the handover is what came with it. */
	if (luo_back_going())
		return true;
	return xa_load(&kept, folio_pfn(virt_to_folio(table)));
}

/**
 * iommu_liveupdate_domain_index() - Which domain of the handover is this?
 * @domain: Any domain.
 *
 * Context: In the preserve operations of a driver.
 * Return: its index, or -ENOENT if it is not preserved.
 */
int iommu_liveupdate_domain_index(struct iommu_domain *domain)
{
	lockdep_assert_held(&iommu_liveupdate_lock);
	return domain->preserved ? domain->preserved - outgoing->domains : -ENOENT;
}

/* The unit that translates for a device, or stands for that there is none; or NULL */
static struct iommu_device *device_unit(struct device *dev)
{
	return dev->iommu ? dev->iommu->iommu_dev : noiommu_unit_of(dev);
}

static bool is_without_iommu(const struct iommu_device_ser *ser)
{
	return ser->type == IOMMU_SER_TYPE_NOIOMMU;
}

/* The entry of a preserved device, or NULL */
static struct iommu_device_ser *find_outgoing(struct device *dev)
{
	struct iommu_device_ser *d;
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	if (dev->iommu)
		return dev->iommu->preserved;
	for (i = 0; outgoing && dev_is_pci(dev) && i < MAX_DEVICES; i++) {
		d = &outgoing->devices[i];
		if ((d->flags & IOMMU_SER_USED) && is_without_iommu(d) &&
		    d->segment == pci_domain_nr(to_pci_dev(dev)->bus) &&
		    d->bdf == pci_dev_id(to_pci_dev(dev)))
			return d;
	}
	return NULL;
}

/* iommufd alone knows where a device without an IOMMU is attached. */
static bool is_attached(struct device *dev, struct iommu_domain *domain)
{
	return !dev->iommu || iommu_get_domain_for_dev(dev) == domain;
}

static bool is_topmost(u64 pa)
{
	u32 i;

	for (i = 0; i < MAX_DOMAINS; i++)
		if ((outgoing->domains[i].flags & IOMMU_SER_USED) &&
		    outgoing->domains[i].top_pa == pa)
			return true;
	return false;
}

/* What KHO was told to keep: tables on the way, and those of domains. */
static const void *outgoing_get(struct liveupdate_mem *mem, u64 pa,
				unsigned int order)
{
	void *table;

	if (!IS_ALIGNED(pa, PAGE_SIZE) ||
	    (!xa_load(&kept, PHYS_PFN(pa)) && !is_topmost(pa)))
		return NULL;
	table = phys_to_virt(pa);
	return folio_order(virt_to_folio(table)) == order ? table : NULL;
}

/* Ask of a device, its unit and its domain what the next kernel will ask. */
static int check_outgoing(struct device *dev,
			  const struct iommu_device_ser *ser)
{
	struct liveupdate_kho_mem mem;
	const struct iommu_ser_view view = {
		.mem = &mem.mem,
		.driver = find_checks,
		.iommus = outgoing->iommus,
		.domains = outgoing->domains,
		.devices = outgoing->devices,
	};
	const char *why;

	lockdep_assert_held(&iommu_liveupdate_lock);
	liveupdate_kho_mem_init(&mem);
	mem.mem.get = outgoing_get;
	why = iommu_ser_check_iommu(&view, ser->iommu);
	if (!why)
		why = iommu_ser_check_domain(&view, ser->domain);
	if (!why)
		why = iommu_ser_check_device(&view, ser - outgoing->devices);
	if (!why)
		why = device_unit(dev)->ops->liveupdate->compare_device(dev, &view,
									ser);
	liveupdate_kho_mem_destroy(&mem);
	return liveupdate_require(!why, &rule_iommu_changed, "%s (%s)",
				  dev_name(dev), why);
}

/**
 * iommu_device_preserve() - Carry a device's translation over
 * @dev:    The device.
 * @domain: The domain that it is attached to.
 *
 * From here until iommu_device_unpreserve() the device cannot be attached to
 * another domain.
 *
 * Context: In a .preserve() callback of a handler with the IOMMU FLB. The
 * caller keeps the device attached to @domain.
 * Return: 0, -EOPNOTSUPP if this kind of device cannot be carried over,
 * -ENOENT if @domain is not preserved, -EINVAL if it is not attached to
 * @domain, -EBUSY if it is preserved already or the next kernel would not take
 * its translation as it is now, -ENOSPC if there are too many, -ENOMEM. The
 * reason is in the kernel log.
 */
int iommu_device_preserve(struct device *dev, struct iommu_domain *domain)
{
	struct iommu_device *unit = device_unit(dev);
	const struct iommu_liveupdate_ops *ops;
	struct iommu_device_ser *ser;
	int ret;
	u32 i;

	ret = liveupdate_require(dev_is_pci(dev) && unit, &rule_iommu_none,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(!dev->iommu || alone_in_group(dev),
				 &rule_iommu_group, "%s", dev_name(dev)) ?:
	      liveupdate_require(!dev->iommu || !needs_direct_mapping(dev),
				 &rule_iommu_rmrr, "%s", dev_name(dev));
	if (ret)
		return ret;

	guard(mutex)(&iommu_liveupdate_lock);
	for (i = 0; i < MAX_DEVICES; i++)
		if (!(outgoing->devices[i].flags & IOMMU_SER_USED))
			break;
	ret = liveupdate_require(domain->preserved, &rule_iommu_unmarked, "%s",
				 dev_name(dev)) ?:
	      liveupdate_require(!find_outgoing(dev), &rule_iommu_again,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(is_attached(dev, domain),
				 &rule_iommu_detached, "%s", dev_name(dev)) ?:
	      liveupdate_require(!IS_ERR_OR_NULL(unit->liveupdate_ser),
				 dev->iommu ? &rule_iommu_driver : &rule_iommu_mixed,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(i < MAX_DEVICES, &rule_iommu_devices, "%s",
				 dev_name(dev));
	if (ret)
		return ret;

	ser = &outgoing->devices[i];
	memset(ser, 0, sizeof(*ser));
	ops = unit->ops->liveupdate;
	ser->type = ops->checks->type;
	ser->segment = pci_domain_nr(to_pci_dev(dev)->bus);
	ser->bdf = pci_dev_id(to_pci_dev(dev));
	ser->domain = domain->preserved - outgoing->domains;
	ser->iommu = unit->liveupdate_ser - outgoing->iommus;
	ret = ops->can_replace(dev) ?: ops->preserve_device(dev, domain, ser);
	if (ret) {
		memset(ser, 0, sizeof(*ser));
		return ret;
	}
	ret = check_outgoing(dev, ser);
	if (ret) {
		ops->unpreserve_device(dev, ser);
		memset(ser, 0, sizeof(*ser));
		return ret;
	}
	ser->flags |= IOMMU_SER_USED;
	if (outgoing->end_devices <= i)
		outgoing->end_devices = i + 1;
	if (dev->iommu)
		dev->iommu->preserved = ser;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommu_device_preserve, "IOMMUFD_INTERNAL");

/**
 * iommu_device_unpreserve() - Undo iommu_device_preserve()
 * @dev: The device.
 */
void iommu_device_unpreserve(struct device *dev)
{
	struct iommu_device_ser *ser;

	guard(mutex)(&iommu_liveupdate_lock);
	ser = find_outgoing(dev);
	if (dev->iommu)
		dev->iommu->preserved = NULL;
	device_unit(dev)->ops->liveupdate->unpreserve_device(dev, ser);
	memset(ser, 0, sizeof(*ser));
}
EXPORT_SYMBOL_NS_GPL(iommu_device_unpreserve, "IOMMUFD_INTERNAL");

/**
 * iommu_device_unchanged() - Does what was preserved still hold?
 * @dev:    A preserved device.
 * @domain: The domain that it was preserved with.
 *
 * The freeze asks this, where reboot(2) can still fail. The next kernel's own
 * checks are made here first: what it would refuse is refused before the jump.
 *
 * Return: 0 if @dev is preserved, alone in its group, attached to @domain and
 * translated as the handover says; -EOPNOTSUPP if a back image is loaded, and the
 * driver of its IOMMU knows no way back, or it has none; else -EBUSY. The log says what is not so.
 */
int iommu_device_unchanged(struct device *dev, struct iommu_domain *domain)
{
	struct iommu_device_ser *ser;
	int ret;

	ret = liveupdate_require(is_attached(dev, domain), &rule_iommu_moved,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(!dev->iommu || alone_in_group(dev),
				 &rule_iommu_joined, "%s", dev_name(dev)) ?:
	      liveupdate_require(!luo_back_parked() ||
				 device_unit(dev)->ops->liveupdate->back_iommus,
				 &rule_iommu_no_way_back, "%s", dev_name(dev));
	if (ret)
		return ret;
	guard(mutex)(&iommu_liveupdate_lock);
	ser = find_outgoing(dev);
	return liveupdate_require(ser && domain->preserved == &outgoing->domains[ser->domain],
				  &rule_iommu_moved, "%s", dev_name(dev)) ?:
	       check_outgoing(dev, ser);
}
EXPORT_SYMBOL_NS_GPL(iommu_device_unchanged, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_frozen() - May this device not change its domain?
 * @dev: The device.
 *
 * Return: true while it is preserved for the next kernel.
 */
bool iommu_liveupdate_frozen(struct device *dev)
{
	if (dev->iommu)
		return dev->iommu->preserved;
	guard(mutex)(&iommu_liveupdate_lock);
	return find_outgoing(dev);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_frozen, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_file_sealed() - Can a file not change its size any more?
 * @file: Any file.
 *
 * Return: true if it is a memfd with the seals F_SEAL_SEAL, F_SEAL_GROW and
 * F_SEAL_SHRINK.
 */
bool iommu_liveupdate_file_sealed(struct file *file)
{
	const int need = F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK;
	int seals = memfd_get_seals(file);

	return seals >= 0 && (seals & need) == need;
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_file_sealed, "IOMMUFD_INTERNAL");

/* In the last steps of a reboot: one CPU, no locks. */
static bool jumps_with_devices(void)
{
	u32 i;

	if (!kexec_in_progress || !outgoing)
		return false;
	for (i = 0; i < MAX_DEVICES; i++)
		if (outgoing->devices[i].flags & IOMMU_SER_USED)
			return true;
	return false;
}

/**
 * iommu_liveupdate_shutdown() - Leave a unit translating for the next kernel
 * @iommu: The unit, of a driver that is shut down.
 *
 * Only preserved devices can do DMA through it when this returns, and none can
 * raise an interrupt.
 *
 * Context: The last steps of a reboot: one CPU, interrupts off, no locks.
 * Return: true if translation is to stay on; false if this is no kexec that
 * carries devices over, or not with this unit; then nothing was done.
 */
bool iommu_liveupdate_shutdown(struct iommu_device *iommu)
{
	const struct iommu_liveupdate_ops *ops;

	/* All was done by iommu_liveupdate_back(). */
	if (luo_back_going())
		return true;
	if (!jumps_with_devices() || IS_ERR_OR_NULL(iommu->liveupdate_ser))
		return false;
	ops = iommu->ops->liveupdate;
	ops->scrub_iommu(iommu);
	if (ops->block_interrupts)
		ops->block_interrupts(iommu);
	return true;
}

/**
 * iommu_liveupdate_device_outgoing() - Is this requester carried over?
 * @iommu:   The unit that asks.
 * @segment: PCI segment.
 * @bdf:     Requester id.
 *
 * Context: In the scrub_iommu() of a driver.
 * Return: the device, if the entry for @bdf in that unit has to stay as it is;
 * else NULL.
 */
const struct iommu_device_ser *
iommu_liveupdate_device_outgoing(struct iommu_device *iommu, u32 segment,
				 u16 bdf)
{
	u32 i;

	for (i = 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &outgoing->devices[i];

		/* Refused, or on a translation of this kernel's: it does not go back. */
		if (luo_back_going() && incoming->state[i] == DEV_NONE)
			continue;
		if ((d->flags & IOMMU_SER_USED) && d->segment == segment &&
		    d->bdf == bdf &&
		    &outgoing->iommus[d->iommu] == iommu->liveupdate_ser)
			return d;
	}
	return NULL;
}

/**
 * iommu_liveupdate_back_scrub() - Only what was handed over is translated
 * @iommu: A unit.
 * @ops: Its driver.
 *
 * What came in is what goes out again. A unit that was not adopted yet is as the kernel
 * before has left it; one that was refused is the driver's affair.
 *
 * Context: In the back_iommus() of a driver.
 * Return: true if it was adopted; else nothing was done.
 */
bool iommu_liveupdate_back_scrub(struct iommu_device *iommu,
				 const struct iommu_liveupdate_ops *ops)
{
	u32 i;

	if (!incoming || incoming->bad)
		return false;
	for (i = 0; i < MAX_IOMMUS; i++)
		if (test_bit(i, incoming->adopted) && incoming->ho.units[i] == iommu)
			break;
	if (i == MAX_IOMMUS)
		return false;
	outgoing = &incoming->ho;
	iommu->liveupdate_ser = &incoming->ho.iommus[i];
	ops->scrub_iommu(iommu);
	return true;
}

/**
 * iommu_liveupdate_back() - The IOMMUs on the way back
 *
 * Context: On the way back: one CPU, interrupts off, locks held by anybody. Devices that
 * were not handed over have no bus mastering any more.
 */
void iommu_liveupdate_back(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(drivers) && drivers[i]; i++)
		if (drivers[i]->back_iommus)
			drivers[i]->back_iommus();
}

/* --- incoming --- */

/*
 * Has the handover read on its first use. LUO's lock is outside of ours.
 *
 * Return: 0 with @incoming set, -ENOENT if there is no handover, or another
 * error if there is one that cannot be used.
 */
static int incoming_get(void)
{
	void *obj;
	int ret;

	lockdep_assert_not_held(&iommu_liveupdate_lock);
	ret = liveupdate_flb_get_incoming(&iommu_flb, &obj);
	switch (ret) {
	case 0:
		ret = ((struct iommu_incoming *)obj)->bad ? -EINVAL : 0;
		liveupdate_flb_put_incoming(&iommu_flb);
		return ret;
	case -ENODATA:
	case -ENOENT:
	case -EOPNOTSUPP:
		return -ENOENT;
	default:
		return ret;
	}
}

/*
 * The entry of a unit in the handover: NULL if there is no handover, -EINVAL if
 * nothing of it can be used, -ENODEV if it does not have this unit, which concerns
 * no other one.
 */
static const struct iommu_hw_ser *
find_incoming_iommu(const struct iommu_liveupdate_ops *ops,
		    const struct iommu_liveupdate_unit *unit)
{
	int ret;
	u32 i;

	ret = incoming_get();
	if (ret)
		return ret == -ENOENT ? NULL : ERR_PTR(-EINVAL);

	guard(mutex)(&iommu_liveupdate_lock);
	for (i = 0; i < MAX_IOMMUS; i++) {
		const struct iommu_hw_ser *hw = &incoming->ho.iommus[i];

		if ((hw->flags & IOMMU_SER_USED) &&
		    hw->type == ops->checks->type && hw->id == unit->id)
			return hw;
	}
	return ERR_PTR(-ENODEV);
}

/*
 * Only devices behind such a unit get a restored domain, and are counted as users of
 * it. @iommu is NULL if it was adopted and is given up again: none of its devices is
 * left.
 */
static void set_adopted(const struct iommu_hw_ser *hw,
			struct iommu_device *iommu)
{
	struct iommu_restored *r;
	u32 i, index = hw - incoming->ho.iommus;

	guard(mutex)(&iommu_liveupdate_lock);
	incoming->ho.units[index] = iommu;
	__assign_bit(index, incoming->adopted, iommu);
	for (i = 0; i < MAX_DEVICES; i++) {
		if (incoming->state[i] == DEV_NONE ||
		    incoming->ho.devices[i].iommu != index)
			continue;
		if (iommu)
			__set_bit(i, incoming->taken_over);
		r = incoming->restored[incoming->ho.devices[i].domain];
		if (r)
			r->devices++;
	}
}

static bool is_adopted(const struct iommu_hw_ser *hw)
{
	guard(mutex)(&iommu_liveupdate_lock);
	return test_bit(hw - incoming->ho.iommus, incoming->adopted);
}

static void refuse_incoming(const struct iommu_device_ser *ser, const char *why);

/*
 * What runs behind a unit stops before the unit lets everything through. @hw is
 * NULL if the handover does not have it.
 */
static void stop_unit(struct iommu_device *iommu,
		      const struct iommu_liveupdate_ops *ops,
		      const struct iommu_liveupdate_unit *unit,
		      const struct iommu_hw_ser *hw, const char *why)
{
	const struct iommu_device_ser *ser = NULL;
	struct pci_dev *pdev = NULL;

	pr_err("%s: handover refused: %s\n", unit->name, why);
	liveupdate_refused("iommu", ops->name, why, "registers=%#llx",
			   unit->id);
	while (hw && (ser = iommu_liveupdate_next_incoming(hw, ser)))
		refuse_incoming(ser, why);
	/* Those, too, that the IOMMU handover knows nothing of */
	for_each_pci_dev(pdev)
		if (ops->is_behind(iommu, &pdev->dev))
			pci_liveupdate_refuse(pdev, why);
}

/*
 * Its devices were stopped, and hardware no longer uses their tables if it was adopted. One
 * that has a group already is from here on as one that came late into it: blocked, and
 * with a reference to the domain that the group is on.
 */
static void drop_unit(const struct iommu_hw_ser *hw)
{
	const struct iommu_device_ser *ser = NULL;
	struct iommu_restored *r;
	u32 i;

	while (hw && (ser = iommu_liveupdate_next_incoming(hw, ser))) {
		i = ser - incoming->ho.devices;
		scoped_guard(mutex, &iommu_liveupdate_lock) {
			r = incoming->restored[ser->domain];
			if (r && incoming->state[i] == DEV_ATTACHED) {
				r->refs++;
				r->late++;
				__set_bit(i, incoming->given_up);
			}
		}
		drop_incoming_free(i);
	}
}

/* A handover, or its absence, that tells nothing about any unit */
static void stop_all(const struct iommu_liveupdate_ops *ops,
		     const struct iommu_liveupdate_unit *unit, const char *why)
{
	liveupdate_refused("iommu", ops->name, why, "registers=%#llx",
			   unit->id);
	pci_liveupdate_refuse_all(why);
}

/* Each table was claimed, and each once, when they were walked for the first time. */
static bool claimed_before(struct liveupdate_mem *mem, u64 pa)
{
	cond_resched();
	return true;
}

/*
 * The tables of a domain, below the topmost one, once for each unit that translates by
 * it: what one unit can read another one may not. The first walk claims the tables. If
 * that finds them good no table is in two places, and they can be walked again without
 * claims. If not, nobody can use them.
 */
static const char *check_domain_tables(struct iommu_device *iommu,
				       const struct iommu_liveupdate_ops *ops,
				       u32 i)
{
	const struct iommu_ser_view *view = &incoming->view;
	struct liveupdate_mem mem = *view->mem;
	struct iommu_ser_view again = *view;

	if (!test_and_set_bit(i, incoming->walked)) {
		incoming->verdict[i] = ops->check_tables(iommu, view,
							 &view->domains[i]);
		return incoming->verdict[i];
	}
	if (incoming->verdict[i])
		return incoming->verdict[i];
	mem.claim = claimed_before;
	again.mem = &mem;
	return ops->check_tables(iommu, &again, &view->domains[i]);
}

/* What is wrong with a domain is the affair of each of its devices behind the unit. */
static void check_all_tables(struct iommu_device *iommu,
			     const struct iommu_liveupdate_ops *ops,
			     const struct iommu_hw_ser *hw)
{
	const struct iommu_device_ser *ser = NULL;

	bitmap_zero(incoming->walked_here, MAX_DOMAINS);
	while ((ser = iommu_liveupdate_next_incoming(hw, ser))) {
		u32 i = ser->domain;

		if (!test_and_set_bit(i, incoming->walked_here))
			incoming->verdict_here[i] =
				check_domain_tables(iommu, ops, i);
		if (incoming->verdict_here[i])
			iommu_liveupdate_drop_incoming(ser, incoming->verdict_here[i]);
	}
}

static bool check_tables;

static const char *adopt_iommu(struct iommu_device *iommu,
			       const struct iommu_liveupdate_ops *ops,
			       const struct iommu_hw_ser *hw)
{
	const char *why;

	why = ops->compare_iommu(iommu, hw);
	if (!why && ops->policy)
		why = ops->policy(iommu, hw);
	if (why)
		return why;
	if (check_tables && ops->check_tables)
		check_all_tables(iommu, ops, hw);
	return ops->adopt_iommu(iommu, hw, &incoming->view);
}

/**
 * iommu_liveupdate_adopt() - Go on with the tables of the previous kernel
 * @iommu: A unit whose translation is on at boot; it need not be registered yet.
 * @ops:   Its driver.
 *
 * Return: true if the driver goes on with the unit as it is; entries that could
 * not be verified are removed. False if translation has to be switched off;
 * devices that it protected are stopped then.
 */
bool iommu_liveupdate_adopt(struct iommu_device *iommu,
			    const struct iommu_liveupdate_ops *ops)
{
	struct iommu_liveupdate_unit unit;
	const struct iommu_hw_ser *hw;
	const char *why;

	ops->identify(iommu, &unit);
	hw = find_incoming_iommu(ops, &unit);
	if (!hw) {
		if (is_kho_boot())
			stop_all(ops, &unit, "translation is on, but was not handed over");
		return false;
	}
	if (hw == ERR_PTR(-EINVAL)) {
		stop_all(ops, &unit, "the IOMMU handover cannot be used");
		return false;
	}
	if (IS_ERR(hw)) {
		stop_unit(iommu, ops, &unit, NULL,
			  "the unit is not in the IOMMU handover");
		return false;
	}

	why = adopt_iommu(iommu, ops, hw);
	if (why) {
		stop_unit(iommu, ops, &unit, hw, why);
		drop_unit(hw);
		return false;
	}
	set_adopted(hw, iommu);
	pr_info("%s: adopted, translation stayed on\n", unit.name);
	return true;
}

/* Adopted, or not, or one whose turn had not come. Its devices are stopped first. */
static void give_up_unit(struct iommu_device *iommu,
			 const struct iommu_liveupdate_ops *ops,
			 const char *why)
{
	struct iommu_liveupdate_unit unit;
	const struct iommu_hw_ser *hw;
	bool adopted;

	if (!is_kho_boot())
		return;
	ops->identify(iommu, &unit);
	hw = find_incoming_iommu(ops, &unit);
	if (IS_ERR(hw))
		hw = NULL;
	stop_unit(iommu, ops, &unit, hw, why);
	adopted = hw && is_adopted(hw);
	if (adopted)
		ops->unadopt_iommu(iommu, hw);
	drop_unit(hw);
	if (adopted)
		set_adopted(hw, NULL);
}

/**
 * iommu_liveupdate_unadopt() - The driver fails to come up
 * @iommu: A unit that is about to be given up: adopted, or not, or one whose turn
 *	had not come.
 * @ops:   Its driver.
 *
 * Undoes iommu_liveupdate_adopt(). The devices of the unit are stopped, and if it
 * was adopted no entry is left, when this returns; the driver can free its tables
 * and switch it off.
 */
void iommu_liveupdate_unadopt(struct iommu_device *iommu,
			      const struct iommu_liveupdate_ops *ops)
{
	give_up_unit(iommu, ops, "the IOMMU driver failed to come up");
}

/**
 * iommu_liveupdate_unused() - This kernel does not use a unit
 * @iommu: The unit; its translation is on, and about to be switched off.
 * @ops:   Its driver.
 */
void iommu_liveupdate_unused(struct iommu_device *iommu,
			     const struct iommu_liveupdate_ops *ops)
{
	give_up_unit(iommu, ops, "this kernel does not use the IOMMU unit");
}

/**
 * iommu_liveupdate_off() - The command line turns a driver's IOMMUs off
 *
 * Whatever came along has to stop before translation does, unless it came from a host
 * that had no IOMMU either.
 */
void iommu_liveupdate_off(void)
{
	if (is_kho_boot() && !came_without_iommu())
		pci_liveupdate_refuse_all("the IOMMU is turned off by the command line");
}

/* Preserved for the next kernel, or adopted from the previous one? */
static bool unit_in_update(struct iommu_device *iommu)
{
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	if (!IS_ERR_OR_NULL(iommu->liveupdate_ser))
		return true;
	for (i = 0; incoming && i < MAX_IOMMUS; i++)
		if (incoming->ho.units[i] == iommu)
			return true;
	return false;
}

/**
 * iommu_liveupdate_unit_leaves() - May this unit be removed from the machine?
 * @iommu: The unit. The caller lets only one at a time ask.
 *
 * Return: 0, and no preserve begins with the unit any more; -EBUSY if it is
 * preserved for the next kernel or was adopted from the previous one, by a live
 * update that is not finished.
 */
int iommu_liveupdate_unit_leaves(struct iommu_device *iommu)
{
	guard(mutex)(&iommu_liveupdate_lock);
	if (unit_in_update(iommu))
		return -EBUSY;
	iommu->liveupdate_ser = ERR_PTR(-ENODEV);
	return 0;
}

/**
 * iommu_liveupdate_unit_stays() - A unit is added, or its removal was given up
 * @iommu: The unit.
 *
 * A removal may concern several units. When one of them has to stay, those that
 * left are added again, and so is that one, which never left.
 *
 * Return: true if it is in a live update and so never left: it must not be
 * touched. Else false, and a preserve can begin with it.
 */
bool iommu_liveupdate_unit_stays(struct iommu_device *iommu)
{
	guard(mutex)(&iommu_liveupdate_lock);
	if (unit_in_update(iommu))
		return true;
	iommu->liveupdate_ser = NULL;
	return false;
}

/**
 * iommu_liveupdate_next_incoming() - Iterate over the devices of a unit
 * @hw:     The unit.
 * @prev:   NULL for the first, else what the previous call returned.
 *
 * Return: The next device of that unit that was not refused, or NULL.
 */
const struct iommu_device_ser *
iommu_liveupdate_next_incoming(const struct iommu_hw_ser *hw,
			       const struct iommu_device_ser *prev)
{
	u32 i;

	guard(mutex)(&iommu_liveupdate_lock);
	for (i = prev ? prev - incoming->ho.devices + 1 : 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &incoming->ho.devices[i];

		if (incoming->state[i] != DEV_NONE &&
		    &incoming->ho.iommus[d->iommu] == hw)
			return d;
	}
	return NULL;
}

static struct iommu_device_ser *find_incoming(struct device *dev)
{
	struct pci_dev *pdev;
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	if (!incoming || incoming->bad || !dev_is_pci(dev))
		return NULL;
	pdev = to_pci_dev(dev);
	for (i = 0; i < MAX_DEVICES; i++) {
		struct iommu_device_ser *d = &incoming->ho.devices[i];

		if (incoming->state[i] != DEV_NONE &&
		    is_without_iommu(d) == !dev->iommu &&
		    test_bit(d->iommu, incoming->adopted) &&
		    d->segment == pci_domain_nr(pdev->bus) &&
		    d->bdf == pci_dev_id(pdev))
			return d;
	}
	return NULL;
}

/**
 * iommu_liveupdate_incoming_device() - Did this device come with a handover?
 * @dev: The device.
 *
 * Return: its entry as long as it did not leave its restored domain, or NULL.
 */
const struct iommu_device_ser *
iommu_liveupdate_incoming_device(struct device *dev)
{
	guard(mutex)(&iommu_liveupdate_lock);
	return find_incoming(dev);
}

/* Return: what restored_free() has to free when the lock is not held any more */
static struct iommu_restored *restored_put(struct iommu_restored *r)
{
	lockdep_assert_held(&iommu_liveupdate_lock);
	if (--r->refs)
		return NULL;
	if (incoming) {
		incoming->restored[r->index] = NULL;
		incoming->domain_state[r->index] = DOM_FREED;
	}
	return r;
}

static void restored_free(struct iommu_restored *r)
{
	lockdep_assert_not_held(&iommu_liveupdate_lock);
	if (!r)
		return;
	r->domain->restored = NULL;
	r->domain->ops->free(r->domain);
	kfree(r);
}

/*
 * A unit that translates by a domain, or could. If none was adopted, the domain is
 * there to be given up, for which any unit of its driver will do.
 */
static struct iommu_device *
unit_of_domain(const struct iommu_liveupdate_ops *ops, u32 index)
{
	struct iommu_device *iommu;
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	for (i = 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &incoming->ho.devices[i];

		if (incoming->state[i] != DEV_NONE && d->domain == index &&
		    incoming->ho.units[d->iommu])
			return incoming->ho.units[d->iommu];
	}
	guard(spinlock)(&iommu_device_lock);
	list_for_each_entry(iommu, &iommu_device_list, list)
		if (iommu->ops->liveupdate == ops)
			return iommu;
	return NULL;
}

static struct iommu_restored *restored_get(u32 index)
{
	const struct iommu_liveupdate_ops *ops;
	struct iommu_domain_ser *ser;
	struct iommu_device *iommu;
	struct iommu_restored *r;
	u32 i;

	lockdep_assert_held(&iommu_liveupdate_lock);
	r = incoming->restored[index];
	if (r) {
		r->refs++;
		return r;
	}
	ser = &incoming->ho.domains[index];
	if (!(ser->flags & IOMMU_SER_USED))
		return ERR_PTR(-ENODEV);

	ops = find_driver(ser->type);
	iommu = unit_of_domain(ops, index);
	if (!iommu)
		return ERR_PTR(-ENODEV);

	r = kzalloc_obj(*r);
	if (!r)
		return ERR_PTR(-ENOMEM);
	r->domain = ops->restore_domain(iommu, ser);
	if (IS_ERR(r->domain)) {
		int err = PTR_ERR(r->domain);

		kfree(r);
		return ERR_PTR(err);
	}
	r->domain->owner = iommu->ops;
	r->domain->restored = r;
	r->index = index;
	/* The caller's, and that of the HWPT. */
	r->refs = 2;
	/* The tables now belong to the domain; they cannot be restored twice. */
	for (i = 0; i < MAX_DEVICES; i++) {
		if (incoming->state[i] != DEV_PENDING ||
		    incoming->ho.devices[i].domain != index)
			continue;
		r->refs++;
		if (test_bit(incoming->ho.devices[i].iommu, incoming->adopted))
			r->devices++;
	}
	ser->flags = 0;
	incoming->restored[index] = r;
	incoming->domain_state[index] = DOM_RESTORED;
	return r;
}

/* Return: as restored_put() */
static struct iommu_restored *drop_incoming(u32 i)
{
	struct iommu_restored *r;

	lockdep_assert_held(&iommu_liveupdate_lock);
	if (incoming->state[i] == DEV_NONE)
		return NULL;
	incoming->state[i] = DEV_NONE;
	r = incoming->restored[incoming->ho.devices[i].domain];
	/* Of a unit that was not adopted nobody knows what hardware still uses. */
	if (!r || !test_bit(incoming->ho.devices[i].iommu, incoming->adopted))
		return NULL;
	r->devices--;
	return restored_put(r);
}

static void drop_incoming_free(u32 i)
{
	struct iommu_restored *last;

	scoped_guard(mutex, &iommu_liveupdate_lock)
		last = drop_incoming(i);
	restored_free(last);
}

/* Say why, and have the PCI core stop the device and reset it. */
static void refuse_incoming(const struct iommu_device_ser *ser, const char *why)
{
	struct pci_dev *pdev;

	pr_err("%04x:%02x:%02x.%d refused: %s\n", ser->segment,
	       PCI_BUS_NUM(ser->bdf), PCI_SLOT(ser->bdf), PCI_FUNC(ser->bdf),
	       why);
	liveupdate_refused_pci(ser->segment, ser->bdf, "device", "iommu", why);
	pdev = pci_get_domain_bus_and_slot(ser->segment, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
	if (pdev) {
		pci_liveupdate_refuse(pdev, why);
		pci_dev_put(pdev);
	}
}

/**
 * iommu_liveupdate_drop_incoming() - Refuse an incoming device
 * @ser: The device; its DMA must be blocked already or be about to be.
 * @why: The rule that it breaks, for the log.
 *
 * Has the PCI core stop the device and reset it.
 */
void iommu_liveupdate_drop_incoming(const struct iommu_device_ser *ser,
				    const char *why)
{
	refuse_incoming(ser, why);
	drop_incoming_free(ser - incoming->ho.devices);
}

/*
 * The handover of a device that is being probed cannot be used. It is stopped first:
 * what is running must not run into an entry that is gone. It is blocked next. Its
 * tables come last, as hardware has forgotten them by then.
 */
static void give_up_device(struct device *dev,
			   const struct iommu_liveupdate_ops *ops,
			   const struct iommu_device_ser *ser, const char *why)
{
	refuse_incoming(ser, why);
	ops->refuse_device(dev);
	drop_incoming_free(ser - incoming->ho.devices);
}

/**
 * iommu_liveupdate_lost() - A driver is about to forget a device
 * @dev: The device. The driver's data of it are still there.
 * @ops: The driver.
 *
 * What the driver took over for a device that came running is about to be freed, be it
 * because its probe has failed, be it that the device goes. If it is still on what it
 * came with it is stopped and blocked, and hardware no longer uses what it used,
 * when this returns. The next probe does not find it in the handover.
 */
void iommu_liveupdate_lost(struct device *dev,
			   const struct iommu_liveupdate_ops *ops)
{
	const struct iommu_device_ser *ser = iommu_liveupdate_incoming_device(dev);

	if (ser)
		give_up_device(dev, ops, ser, "the IOMMU driver has lost it");
}

/**
 * iommu_liveupdate_may_go_on() - Has PCI taken over a device of the handover?
 * @ser: The device.
 *
 * Context: In the adopt_iommu() of a driver.
 * Return: false if the device is gone or was refused.
 */
bool iommu_liveupdate_may_go_on(const struct iommu_device_ser *ser)
{
	struct pci_dev *pdev;
	bool incoming;

	pdev = pci_get_domain_bus_and_slot(ser->segment, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
	incoming = pdev && pci_liveupdate_incoming(pdev);
	pci_dev_put(pdev);
	return incoming;
}

/**
 * iommu_liveupdate_stop_stranger() - Stop a device that has no translation
 * @segment: PCI segment.
 * @bdf:     Requester id of an entry that the handover does not know.
 *
 * It can be one that PCI has taken over, but whose translation was refused.
 *
 * Context: In the adopt_iommu() of a driver.
 */
void iommu_liveupdate_stop_stranger(u32 segment, u16 bdf)
{
	struct pci_dev *pdev;

	pdev = pci_get_domain_bus_and_slot(segment, PCI_BUS_NUM(bdf),
					   bdf & 0xff);
	if (pdev)
		pci_liveupdate_refuse(pdev, "its DMA translation was refused or not handed over");
	pci_dev_put(pdev);
}

static void *take_table(phys_addr_t phys, size_t size, bool charge)
{
	unsigned int order = get_order(size);
	long pgcnt = 1L << order;
	struct folio *folio;

	if (!kho_is_preserved(phys, order))
		return NULL;
	folio = kho_restore_folio(phys);
	if (!folio)
		return NULL;
	folio_ioptdesc(folio)->incoherent = false;
	/* Before it is counted, so that the group counts it, too. */
	if (charge)
		memcg_kmem_charge_page(folio_page(folio, 0),
				       GFP_KERNEL_ACCOUNT | __GFP_NOFAIL, order);
	mod_node_page_state(folio_pgdat(folio), NR_IOMMU_PAGES, pgcnt);
	lruvec_stat_mod_folio(folio, NR_SECONDARY_PAGETABLE, pgcnt);
	return folio_address(folio);
}

/**
 * iommu_pages_restore() - Take over a table of the previous kernel
 * @phys: Physical address of the table.
 * @size: Its size in bytes, a power of two of pages.
 *
 * The page becomes one as if it came from iommu_alloc_pages_node_sz(), with
 * its contents.
 *
 * Return: its address, or NULL if KHO did not preserve just this page, or has
 * already given it out.
 */
void *iommu_pages_restore(phys_addr_t phys, size_t size)
{
	return take_table(phys, size, false);
}
EXPORT_SYMBOL_GPL(iommu_pages_restore);

/**
 * iommu_pages_adopt() - Take over a table of the previous kernel, for user space
 * @phys: Physical address of the table.
 * @size: Its size in bytes, a power of two of pages.
 *
 * As iommu_pages_restore(), and the page is charged to the memory cgroup of the
 * caller, as a new one would be; if need be beyond its limit, since the table is
 * in use already and cannot be given up.
 *
 * Return: as iommu_pages_restore().
 */
void *iommu_pages_adopt(phys_addr_t phys, size_t size)
{
	return take_table(phys, size, true);
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt);

/* Of restored_get()'s reference and that of the pending device, the latter stays. */
static void attach_restored(struct iommu_restored *r,
			    const struct iommu_device_ser *ser)
{
	lockdep_assert_held(&iommu_liveupdate_lock);
	r->refs--;
	incoming->state[ser - incoming->ho.devices] = DEV_ATTACHED;
}

/*
 * A device that runs since the previous kernel, without a translation that can
 * be used: refused by the checks above, or not in the handover at all. The
 * driver has removed its entry. It must not be running when it gets a domain,
 * which could be the identity.
 */
static void refuse_running(struct device *dev)
{
	if (dev_is_pci(dev) && pci_liveupdate_running(to_pci_dev(dev)))
		pci_liveupdate_refuse(to_pci_dev(dev), came_without_iommu() ? now_iommu :
				      "its DMA translation was refused or not handed over");
}

/**
 * iommu_liveupdate_domain() - The domain that a new device starts with
 * @dev: A device that is being probed. Its group has no domain yet.
 * @alone: There is no other device in its group.
 *
 * The previous kernel has handed over only devices that were alone in their group.
 * One that no longer is must not go on: who owns the group would own both.
 *
 * Context: Under the mutex of the group.
 * Return: the restored domain, which @dev is attached to, if the device came
 * with a handover; NULL if it has to start with the default domain.
 */
struct iommu_domain *iommu_liveupdate_domain(struct device *dev, bool alone)
{
	const char *why = "its domain cannot be restored";
	struct iommu_device_ser *ser;
	struct iommu_restored *r;
	int ret;

	scoped_guard(mutex, &iommu_liveupdate_lock) {
		ser = find_incoming(dev);
		if (!ser)
			break;
		if (!alone) {
			why = "it shares its IOMMU group";
			ret = -EBUSY;
			break;
		}
		r = restored_get(ser->domain);
		if (IS_ERR(r)) {
			ret = PTR_ERR(r);
			break;
		}
		attach_restored(r, ser);
		ret = 0;
	}
	if (!ser) {
		refuse_running(dev);
		return NULL;
	}
	if (!ret)
		ret = r->domain->ops->attach_dev(r->domain, dev, NULL);
	if (!ret) {
		dev_dbg(dev, "liveupdate: goes on with its restored domain\n");
		return r->domain;
	}

	give_up_device(dev, dev_iommu_ops(dev)->liveupdate, ser, why);
	return NULL;
}

/*
 * A device turns up in the group of a device that goes on with a restored domain, which
 * is in use by then. It must not reach the domain's tables.
 */
static int meet_latecomer(struct device *dev, struct iommu_domain **domain)
{
	const struct iommu_liveupdate_ops *ops = dev_iommu_ops(dev)->liveupdate;
	const struct iommu_device_ser *ser = iommu_liveupdate_incoming_device(dev);

	if (!dev_iommu_ops(dev)->blocked_domain)
		return -EOPNOTSUPP;
	if (ser)
		give_up_device(dev, ops, ser, "it shares its IOMMU group");
	else
		refuse_running(dev);
	*domain = dev_iommu_ops(dev)->blocked_domain;
	return 0;
}

/**
 * iommu_liveupdate_may_attach() - May the core attach a device to another domain?
 * @dev: The device.
 * @new_domain: The domain that it is to get. Becomes the blocked domain if it is a
 *	restored one, which is for the device alone that came with it.
 * @old_domain: The domain that it has, any kind, or NULL.
 * @flags: Of the core; 0 if a failure leaves all as it was. Else nothing is refused.
 *
 * A restored domain is left for a
 * paging domain only: for any other kind, as a nested one, drivers block the
 * device first, which would be a gap.
 *
 * Context: Under the mutex of the group.
 * Return: 0; -EBUSY while @dev is preserved for the next kernel, or on a restored domain
 * while there is a way back; -EOPNOTSUPP if it is
 * on a restored domain and @new_domain is none of paging, by a rule that the log names,
 * or if @dev cannot be blocked in place of getting a restored domain.
 */
int iommu_liveupdate_may_attach(struct device *dev,
				struct iommu_domain **new_domain,
				struct iommu_domain *old_domain,
				unsigned int flags)
{
	if (flags)
		return 0;
	if (iommu_liveupdate_frozen(dev))
		return -EBUSY;
	if (!old_domain && (*new_domain)->restored)
		return meet_latecomer(dev, new_domain);
	if (!old_domain || !old_domain->restored)
		return 0;
	if (luo_back_armed())
		return liveupdate_require(false, &rule_iommu_unconfirmed,
					  "the translation of %s", dev_name(dev));
	return liveupdate_require((*new_domain)->type & __IOMMU_DOMAIN_PAGING,
				  &rule_iommu_paging, "the translation of %s",
				  dev_name(dev));
}

/* By the device that came with it, or by one that came late into that one's group */
static void leave_restored(struct device *dev, struct iommu_restored *r)
{
	struct iommu_restored *last = NULL;
	struct iommu_device_ser *ser;

	scoped_guard(mutex, &iommu_liveupdate_lock) {
		ser = find_incoming(dev);
		if (ser) {
			last = drop_incoming(ser - incoming->ho.devices);
		} else if (!WARN_ON(!r->late)) {
			r->late--;
			last = restored_put(r);
		}
	}
	restored_free(last);
}

/**
 * iommu_liveupdate_moved() - The core has moved a device to another domain, or tried to
 * @dev: The device.
 * @current_domain: Domain of the group, any kind, or NULL: what its other devices are on,
 *	or are being moved off.
 * @old_domain: The domain that the device had before, any kind, or NULL if it is new
 *	in the group.
 * @ret: 0, or why the device could not be attached to another one.
 *
 * If it was the restored domain that it came with, the device leaves that. A device
 * that came late into its group was blocked. If it cannot follow the others to
 * their new domain it stays so: they have left already, and there is no way back to
 * a restored domain.
 *
 * Context: Under the mutex of the group, after the hardware stopped using
 * @old_domain for @dev.
 * Return: what the move returns: @ret, or 0 if the device stays blocked.
 */
int iommu_liveupdate_moved(struct device *dev, struct iommu_domain *current_domain,
			   struct iommu_domain *old_domain, int ret)
{
	struct iommu_domain *blocked = dev_iommu_ops(dev)->blocked_domain;

	/* It has come late into the group, and was blocked. If not it gets no group. */
	if (!old_domain && !ret && current_domain && current_domain->restored) {
		guard(mutex)(&iommu_liveupdate_lock);
		current_domain->restored->refs++;
		current_domain->restored->late++;
	}
	if (!old_domain || !old_domain->restored)
		return ret;
	if (ret) {
		if (iommu_liveupdate_device_restored(dev) ||
		    blocked->ops->attach_dev(blocked, dev, NULL))
			return ret;
		dev_warn(dev, "liveupdate: stays blocked, as it cannot use the new translation of its IOMMU group (%d)\n",
			 ret);
	}
	leave_restored(dev, old_domain->restored);
	return 0;
}

/* Does it leave the group that it was in when its unit was given up? */
static bool was_given_up(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	const struct iommu_device_ser *d;
	u32 i;

	guard(mutex)(&iommu_liveupdate_lock);
	for (i = 0; incoming && dev_is_pci(dev) && i < MAX_DEVICES; i++) {
		if (!test_bit(i, incoming->given_up))
			continue;
		d = &incoming->ho.devices[i];
		if (d->segment != pci_domain_nr(pdev->bus) || d->bdf != pci_dev_id(pdev))
			continue;
		__clear_bit(i, incoming->given_up);
		return true;
	}
	return false;
}

/**
 * iommu_liveupdate_removed() - A device is taken out of its group
 * @dev: The device. It has no driver, and is not in the list of the group any more.
 * @domain: Current domain of the group, or NULL. If it is a restored one, @dev leaves it.
 * @owner: Current owner of the group. Becomes NULL if it is the restored domain that
 *	@dev came with.
 *
 * If the device came with a handover and did not leave its restored domain, or did
 * not get it yet, it is blocked first. The PCI core has stopped a device that goes.
 * One that stays may be running: the core takes all devices of a unit out again if the
 * unit cannot be registered. It is stopped before it is blocked. Those that came late
 * into its group are blocked already. They get the domain that they would have without
 * it.
 *
 * The core attaches the domain for the release next, and would tell the driver that @dev
 * leaves what the group has by then, which @dev never had. As it is blocked, nothing is left
 * to be attached: so it is marked as one whose attach was deferred.
 *
 * Context: Under the mutex of the group.
 * Return: true if @dev came with @domain: the core has to give the group another one
 * then, and nobody owns the group if @owner became NULL. @domain is still there if
 * another device is in the group.
 */
bool iommu_liveupdate_removed(struct device *dev, struct iommu_domain *domain,
			      void **owner)
{
	static const char lost[] = "the IOMMU core has given it up";
	const struct iommu_device_ser *ser;
	struct iommu_domain *blocked;

	/* No IOMMU translates for it, and the group is one that VFIO has made. */
	if (!dev->iommu)
		return false;
	ser = iommu_liveupdate_incoming_device(dev);
	if (ser && !domain)
		give_up_device(dev, dev_iommu_ops(dev)->liveupdate, ser, lost);
	if (!domain || !domain->restored)
		return false;
	if (!ser && !was_given_up(dev)) {
		dev->iommu->attach_deferred = 1;
		leave_restored(dev, domain->restored);
		return false;
	}
	if (ser && pci_liveupdate_incoming(to_pci_dev(dev)))
		refuse_incoming(ser, lost);
	if (*owner == domain)
		*owner = NULL;
	blocked = dev_iommu_ops(dev)->blocked_domain;
	/* What hardware can still reach is not freed; it is for the next boot. */
	if (WARN_ON(!blocked || blocked->ops->attach_dev(blocked, dev, domain)))
		return true;
	dev->iommu->attach_deferred = 1;
	leave_restored(dev, domain->restored);
	return true;
}

/**
 * iommu_liveupdate_may_claim() - Who may take over an incoming device?
 * @domain: Current domain of the device's group.
 * @holder: Current owner of the group.
 * @owner:  Who wants to own it.
 *
 * Return: true if @domain is a restored one that still owns the group, and
 * @owner is the iommufd that came with it.
 */
bool iommu_liveupdate_may_claim(struct iommu_domain *domain, void *holder,
				void *owner)
{
	if (!domain || holder != domain || !domain->restored)
		return false;
	guard(mutex)(&iommu_liveupdate_lock);
	return domain->restored->owner == owner;
}

/**
 * iommu_restored_domain_get() - Take a restored domain for a HWPT
 * @index: Index in the handover.
 * @owner: The iommufd, which from now on may claim the domain's devices.
 *
 * Return: the domain, or -ENOENT if there is no handover, -EINVAL if it cannot
 * be used or @index is out of range, -ENODEV if the domain was refused or never
 * was there, -EBUSY if it is taken, -ENOMEM.
 */
struct iommu_domain *iommu_restored_domain_get(u32 index, void *owner)
{
	struct iommu_restored *r;
	int ret;

	ret = incoming_get();
	if (ret)
		return ERR_PTR(ret);
	if (index >= MAX_DOMAINS)
		return ERR_PTR(-EINVAL);

	guard(mutex)(&iommu_liveupdate_lock);
	r = restored_get(index);
	if (IS_ERR(r))
		return ERR_CAST(r);
	if (r->owner) {
		/* The reference that was taken just now; not the last one. */
		r->refs--;
		return ERR_PTR(-EBUSY);
	}
	if (!r->claimed) {
		/* The reference that was kept for it */
		r->claimed = true;
		r->refs--;
	}
	r->owner = owner;
	return r->domain;
}
EXPORT_SYMBOL_NS_GPL(iommu_restored_domain_get, "IOMMUFD_INTERNAL");

/**
 * iommu_restored_domain_put() - Undo iommu_restored_domain_get()
 * @domain: The domain.
 */
void iommu_restored_domain_put(struct iommu_domain *domain)
{
	struct iommu_restored *r = domain->restored, *last;

	scoped_guard(mutex, &iommu_liveupdate_lock) {
		r->owner = NULL;
		last = restored_put(r);
	}
	restored_free(last);
}
EXPORT_SYMBOL_NS_GPL(iommu_restored_domain_put, "IOMMUFD_INTERNAL");

/**
 * iommu_restored_domain_unget() - Leave a restored domain as it was
 * @domain: From iommu_restored_domain_get(), in a retrieve that has failed.
 *
 * The reference for the HWPT stays, so that the next retrieve finds the domain.
 */
void iommu_restored_domain_unget(struct iommu_domain *domain)
{
	struct iommu_restored *r = domain->restored;

	guard(mutex)(&iommu_liveupdate_lock);
	r->owner = NULL;
	r->claimed = false;
}
EXPORT_SYMBOL_NS_GPL(iommu_restored_domain_unget, "IOMMUFD_INTERNAL");

/**
 * iommu_restored_domain_users() - How many devices have not left?
 * @domain: A restored domain.
 *
 * Return: number of devices.
 */
unsigned int iommu_restored_domain_users(struct iommu_domain *domain)
{
	guard(mutex)(&iommu_liveupdate_lock);
	return domain->restored->devices;
}
EXPORT_SYMBOL_NS_GPL(iommu_restored_domain_users, "IOMMUFD_INTERNAL");

/**
 * iommu_restored_index_users() - How many devices use a domain of the handover?
 * @index: Index in the handover.
 *
 * Unlike iommu_restored_domain_users() it can be asked when the HWPT is gone.
 *
 * Return: number of devices that have not left it.
 */
unsigned int iommu_restored_index_users(u32 index)
{
	struct iommu_restored *r = NULL;

	guard(mutex)(&iommu_liveupdate_lock);
	if (incoming && index < MAX_DOMAINS)
		r = incoming->restored[index];
	return r ? r->devices : 0;
}
EXPORT_SYMBOL_NS_GPL(iommu_restored_index_users, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_device_restored() - Is a device on a restored domain?
 * @dev: The device.
 *
 * Return: true if it came with a handover and did not leave its domain.
 */
bool iommu_liveupdate_device_restored(struct device *dev)
{
	guard(mutex)(&iommu_liveupdate_lock);
	return find_incoming(dev);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_device_restored);

/**
 * iommu_liveupdate_restored_domain() - The restored domain that a device is on
 * @dev: The device.
 *
 * Return: the domain, which stays as long as the device does not leave it; NULL if it
 * is on none.
 */
struct iommu_domain *iommu_liveupdate_restored_domain(struct device *dev)
{
	const struct iommu_device_ser *ser;
	struct iommu_restored *r;

	guard(mutex)(&iommu_liveupdate_lock);
	ser = find_incoming(dev);
	r = ser ? incoming->restored[ser->domain] : NULL;
	return r ? r->domain : NULL;
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_restored_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_left() - A device without an IOMMU leaves its restored domain
 * @dev: The device. What it writes to is pinned for its new HWPT.
 */
void iommu_liveupdate_left(struct device *dev)
{
	const struct iommu_device_ser *ser = iommu_liveupdate_incoming_device(dev);

	if (ser)
		drop_incoming_free(ser - incoming->ho.devices);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_left, "IOMMUFD_INTERNAL");

#include "liveupdate_show.h"

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param(check_tables, bool, 0444);
MODULE_PARM_DESC(check_tables, "Check all translation tables that are taken over, at boot");
