// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: AMD-Vi live update
 *
 * References are to the "AMD I/O Virtualization Technology (IOMMU) Specification":
 * "Device Table Entry Format", "Device Table Base Address Register", "IOMMU Control
 * Register", "Interrupt Remapping Tables".
 *
 * Blocked is an entry that is valid, and valid for translation, and gives no access. An
 * entry that is cleared lets everything through, and so does a unit that is off. Neither
 * is there between the scrub of one kernel and the end of the adoption of the next.
 *
 * Outgoing: the device table is kept by KHO. At the shutdown of the kexec every entry but
 * those of preserved devices is blocked, and all that a device writes to an interrupt
 * address is aborted. Then the caches are invalidated, the logs are switched off, which
 * the unit writes to, and the command buffer, and translation stays on.
 *
 * Incoming, first phase: where interrupts are remapped, the unit is needed long before
 * the handover can be read, or a PCI device be found. All that is known is whether the
 * unit is on, and whether KHO keeps the table that it uses. In that table, each entry
 * that cannot be of a preserved device is blocked, and each interrupt aborted. If it was
 * not kept, the unit gets the table of this kernel, with all entries blocked. The unit
 * gets new buffers, and is never off ("early_enable_iommus()" of init.c).
 *
 * Second phase, before any device is probed: the unit is adopted if it uses the device
 * table of the handover. Each entry that still gives access has to be that of a device of
 * the handover, and has to say what the handover says: domain id, table pointer, number
 * of levels, access. One that does not is blocked after its device was stopped. The domain
 * ids in use are taken out of the driver's allocator.
 *
 * Units of a PCI segment share a device table. Each looks after the entries of the
 * devices that it translates for (the rlookup table, which is made of the IVRS table).
 *
 * Interrupts: all are aborted from the scrub on until the driver of a device, which is
 * VFIO, sets them up again: the entry then gets the table of the new kernel. The unit's
 * own interrupts are off, as its logs are. A next kernel that does not remap interrupts
 * (intremap=off) lets those of all other devices pass, as 7.3 does, but not those of
 * preserved devices; VFIO does not give these back (EPERM at the bind).
 *
 * The way back (kernel/liveupdate/luo_back.c): entries are blocked and interrupts aborted
 * as at the shutdown, all of them where a unit was given up or was found off. The buffers of
 * this kernel are switched off also if the unit was not adopted yet. A unit that has a
 * table of this kernel, which nobody keeps, is off, after all devices behind it were stopped.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * The next kernel does not use the unit (amd_iommu=off), or its driver fails in the first
 * phase: nothing is touched until PCI is there. Then all devices are stopped, and only
 * then the units are switched off, which are found in the IVRS table once more. Until
 * then the units abort the interrupts of this kernel, too.
 *
 * The driver fails in the second phase, or later: the devices are stopped and all entries
 * blocked before the driver gives the unit up.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/acpi.h>
#include <linux/cc_platform.h>
#include <linux/crash_dump.h>
#include <linux/error-injection.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/iommu-liveupdate.h>
#include <linux/iopoll.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/amd_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>

#include <asm/iommu.h>

#include "amd_iommu.h"
#include "liveupdate_check.h"
#include "liveupdate_rules.h"
#include "../iommu-pages.h"
#include "../irq_remapping.h"

enum {
	/* IVHD blocks of the IVRS table: types, and where the address of the registers is */
	IVRS_HEADER = 48,
	IVHD_MMIO = 8,
	IVHD_TYPES = 3,
	/* How long logs take to stop, in us */
	STOP_TIMEOUT = 100000,
};

/* PCI and the handover can be asked for. */
static bool ready;
/* The driver has done with the units what this kernel does with them. */
static bool settled;

/*
 * Domain ids of the previous kernel that were taken out of the driver's allocator. That
 * of a domain none of whose devices was adopted was not.
 */
static DEFINE_IDA(adopted_dids);

static struct amd_iommu *to_amd_iommu(struct iommu_device *dev)
{
	return container_of(dev, struct amd_iommu, iommu);
}

static bool is_encrypted(void)
{
	return cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT);
}

static u64 *dte_of(struct amd_iommu_pci_seg *seg, u32 devid)
{
	return seg->dev_table[devid].data;
}

static u32 entries(struct amd_iommu_pci_seg *seg)
{
	return seg->dev_table_size / AMD_DTE_SIZE;
}

/* The unit that translates for a device by the IVRS table, or NULL */
static struct amd_iommu *owner_of(struct amd_iommu_pci_seg *seg, u32 devid)
{
	return devid <= seg->last_bdf ? seg->rlookup_table[devid] : NULL;
}

/* Does the unit look after this entry? One that no unit translates for is anybody's. */
static bool is_own(struct amd_iommu *iommu, u32 devid)
{
	struct amd_iommu *owner = owner_of(iommu->pci_seg, devid);

	return !owner || owner == iommu;
}

/* What the firmware wants to pass, as the blocked domain of the driver has it */
static u64 passes(struct amd_iommu_pci_seg *seg, u32 devid, unsigned int word)
{
	const struct dev_table_entry *pass;

	pass = amd_iommu_get_ivhd_dte_flags(seg->id, devid);
	return pass ? pass->data[word] : 0;
}

static void block_entry(struct amd_iommu_pci_seg *seg, u32 devid)
{
	amd_dte_block(dte_of(seg, devid), passes(seg, devid, 1));
}

/* Interrupts that are remapped are aborted: the entry is valid, and has no table. */
static void abort_interrupts(struct amd_iommu_pci_seg *seg, u32 devid,
			     bool remapped)
{
	WRITE_ONCE(dte_of(seg, devid)[2], passes(seg, devid, 2) |
		   (remapped ? DTE_IRQ_REMAP_ENABLE : 0));
}

/*
 * The entry of a device that has come over and does not go on; it stands still. Where
 * interrupts are not remapped they were aborted for it alone, and whoever gets it next
 * needs them.
 */
static void give_entry_up(struct amd_iommu_pci_seg *seg, u32 devid)
{
	block_entry(seg, devid);
	if (!amd_iommu_irq_remap)
		abort_interrupts(seg, devid, false);
}

/* All entries that give a device access, and that are the unit's to look after */
static void block_own(struct amd_iommu *iommu)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	u32 devid;

	for (devid = 0; devid < entries(seg); devid++)
		if (is_own(iommu, devid) && amd_dte_translates(dte_of(seg, devid)))
			give_entry_up(seg, devid);
	amd_iommu_flush_all_caches(iommu);
}

/* --- outgoing --- */

static void amd_identify(struct iommu_device *dev,
			 struct iommu_liveupdate_unit *unit)
{
	struct amd_iommu *iommu = to_amd_iommu(dev);

	unit->id = iommu->mmio_phys;
	/* The core's name is not there before the unit is registered. */
	unit->name = dev->dev ? dev_name(dev->dev) : "ivhd";
}

static bool is_on(struct amd_iommu *iommu)
{
	return readq(iommu->mmio_base + MMIO_CONTROL_OFFSET) &
	       BIT_ULL(CONTROL_IOMMU_EN);
}

static int amd_preserve_iommu(struct iommu_device *dev,
			      struct iommu_hw_ser *ser)
{
	struct amd_hw_ser *part = (struct amd_hw_ser *)ser->part;
	struct amd_iommu *iommu = to_amd_iommu(dev);
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;

	if (!is_on(iommu))
		return -EOPNOTSUPP;
	part->table_pa = virt_to_phys(seg->dev_table);
	part->table_size = seg->dev_table_size;
	ser->length = sizeof(*part);
	return iommu_liveupdate_keep(seg->dev_table);
}

static void amd_unpreserve_iommu(struct iommu_device *dev,
				 const struct iommu_hw_ser *ser)
{
	iommu_liveupdate_unkeep(phys_to_virt(amd_hw_part(ser)->table_pa));
}

static int amd_preserve_domain(struct iommu_domain *domain,
			       struct iommu_domain_ser *ser)
{
	struct amd_domain_ser *part = (struct amd_domain_ser *)ser->part;
	struct protection_domain *d = to_pdomain(domain);
	struct pt_iommu_amdv1_hw_info info;
	int ret;

	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || d->pd_mode != PD_MODE_V1 ||
	    !list_empty(&d->viommu_list))
		return -EOPNOTSUPP;
	/* The log is in the tables, but the next kernel would not read it. */
	ret = liveupdate_require(!d->dirty_tracking, &rule_amd_dirty, "a HWPT");
	if (ret)
		return ret;

	pt_iommu_amdv1_hw_info(&d->amdv1, &info);
	part->format = AMD_DOMAIN_SER_AMDV1;
	part->did = d->id;
	ser->length = sizeof(*part);
	ser->top_pa = info.host_pt_root;
	ser->top_level = info.mode - 1;
	ser->vasz_lg2 = d->amdv1.amdpt.common.max_vasz_lg2;
	return d->iommu.ops->preserve(&d->iommu);
}
ALLOW_ERROR_INJECTION(amd_preserve_domain, ERRNO);

static void amd_unpreserve_domain(struct iommu_domain *domain,
				  const struct iommu_domain_ser *ser)
{
	struct protection_domain *d = to_pdomain(domain);

	d->iommu.ops->unpreserve(&d->iommu);
}

/* The driver does not come up on a CPU that has no 128-bit atomic operation. */
static int amd_can_replace(struct device *dev)
{
	return liveupdate_require(!is_encrypted(), &rule_amd_sme, "%s",
				  dev_name(dev)) ?:
	       liveupdate_require(!amd_iommu_snp_en, &rule_amd_snp, "%s",
				  dev_name(dev));
}

static int count_alias(struct pci_dev *pdev, u16 alias, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

static bool is_alias_of_another(struct amd_iommu_pci_seg *seg, u16 devid)
{
	u32 i;

	for (i = 0; i <= seg->last_bdf; i++)
		if (i != devid && seg->alias_table[i] == devid)
			return true;
	return false;
}

static int amd_preserve_device(struct device *dev, struct iommu_domain *domain,
			       struct iommu_device_ser *ser)
{
	struct amd_device_ser *part = (struct amd_device_ser *)ser->part;
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);
	struct amd_iommu *iommu = get_amd_iommu_from_dev(dev);
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	u16 devid = dev_data->devid;
	unsigned int aliases = 0;

	pci_for_each_dma_alias(to_pci_dev(dev), count_alias, &aliases);
	ser->length = sizeof(*part);
	return liveupdate_require(aliases == 1 && devid == ser->bdf &&
				  seg->alias_table[devid] == devid,
				  &rule_amd_alias, "%s", dev_name(dev)) ?:
	       liveupdate_require(!is_alias_of_another(seg, devid),
				  &rule_amd_shared_id, "%s", dev_name(dev)) ?:
	       liveupdate_require(!amd_iommu_get_ivhd_dte_flags(seg->id, devid),
				  &rule_amd_firmware, "%s", dev_name(dev)) ?:
	       liveupdate_require(dev_data->domain == to_pdomain(domain),
				  &rule_amd_detached, "%s", dev_name(dev)) ?:
	       liveupdate_require(!dev_data->gcr3_info.gcr3_tbl &&
				  !dev_data->pasid_enabled && !dev_data->ppr,
				  &rule_amd_guest, "%s", dev_name(dev)) ?:
	       liveupdate_require(!dev_data->ats_enabled, &rule_amd_ats, "%s",
				  dev_name(dev));
}

static void amd_unpreserve_device(struct device *dev,
				  const struct iommu_device_ser *ser)
{
}

static struct amd_unit describe_unit(void)
{
	return (struct amd_unit) {
		.paddr_bits = boot_cpu_data.x86_phys_bits,
		.vasz_lg2 = amd_iommu_hpt_vasize,
	};
}

/* What adopt_entry() will find, by the check that it will make. */
static const char *amd_compare_device(struct device *dev,
				      const struct iommu_ser_view *view,
				      const struct iommu_device_ser *ser)
{
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);
	struct amd_iommu *iommu = get_amd_iommu_from_dev(dev);
	const struct amd_unit unit = describe_unit();
	u64 dte[AMD_DTE_WORDS];

	if (dev_data->ats_enabled)
		return "its ATS was switched on";
	scoped_guard(spinlock_irqsave, &dev_data->dte_lock)
		memcpy(dte, dte_of(iommu->pci_seg, dev_data->devid), sizeof(dte));
	return amd_check_device(view, &unit, ser, dte);
}

static void switch_off(struct amd_iommu *iommu, u64 bits)
{
	u64 ctrl = readq(iommu->mmio_base + MMIO_CONTROL_OFFSET);

	writeq(ctrl & ~bits, iommu->mmio_base + MMIO_CONTROL_OFFSET);
}

/*
 * Memory that the unit writes to, and that it reads commands from. A log runs until
 * its bit of the status register says that it does not.
 */
static void stop_buffers(struct amd_iommu *iommu)
{
	const u32 running = MMIO_STATUS_EVT_RUN_MASK | MMIO_STATUS_PPR_RUN_MASK |
			    MMIO_STATUS_GALOG_RUN_MASK;
	u32 status;

	switch_off(iommu, BIT_ULL(CONTROL_EVT_INT_EN) |
			  BIT_ULL(CONTROL_PPRINT_EN) |
			  BIT_ULL(CONTROL_GAINT_EN));
	switch_off(iommu, BIT_ULL(CONTROL_EVT_LOG_EN) |
			  BIT_ULL(CONTROL_PPRLOG_EN) |
			  BIT_ULL(CONTROL_GALOG_EN) |
			  BIT_ULL(CONTROL_CMDBUF_EN));
	if (readl_poll_timeout_atomic(iommu->mmio_base + MMIO_STATUS_OFFSET,
				      status, !(status & running), 1,
				      STOP_TIMEOUT))
		pr_err("ivhd%d: a log goes on (status %#x)\n", iommu->index,
		       status);
}

/* All but the entries of preserved devices, if any of this unit are; interrupts of all */
static void scrub(struct amd_iommu *iommu, bool any)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	u32 devid;

	for (devid = 0; devid < entries(seg); devid++) {
		if (!is_own(iommu, devid))
			continue;
		/* There are many entries, and few that are worth the search. */
		if (!any || !amd_dte_translates(dte_of(seg, devid)) ||
		    !iommu_liveupdate_device_outgoing(&iommu->iommu, seg->id, devid))
			block_entry(seg, devid);
		abort_interrupts(seg, devid, amd_iommu_irq_remap);
	}
	amd_iommu_flush_all_caches(iommu);
	stop_buffers(iommu);
}

static void amd_scrub_iommu(struct iommu_device *dev)
{
	scrub(to_amd_iommu(dev), true);
}

/* As long as it is neither adopted nor given up. 7.3 has the flag for kdump kernels. */
static bool is_kept(struct amd_iommu *iommu)
{
	return translation_pre_enabled(iommu) && !is_kdump_kernel();
}

/* The table of the previous kernel, if it is whole and KHO keeps it; or NULL. */
static void *kept_table(struct amd_iommu *iommu)
{
	const struct amd_hw_ser expected = {
		.table_size = iommu->pci_seg->dev_table_size,
	};
	u64 reg = readq(iommu->mmio_base + MMIO_DEV_TABLE_OFFSET);
	struct amd_hw_ser found = expected;

	found.table_pa = reg & PM_ADDR_MASK;
	if (is_encrypted() || amd_check_table_register(&found, reg) ||
	    !kho_is_preserved(found.table_pa, get_order(found.table_size)))
		return NULL;
	return phys_to_virt(found.table_pa);
}

/* Does hardware use a table that is still there when this kernel is not? */
static bool table_outlives(struct amd_iommu *iommu)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	u64 reg = readq(iommu->mmio_base + MMIO_DEV_TABLE_OFFSET);

	/* What came and was restored is held. */
	return (seg->old_dev_tbl_cpy &&
		(reg & PM_ADDR_MASK) == virt_to_phys(seg->old_dev_tbl_cpy)) ||
	       kept_table(iommu);
}

/*
 * Those that PCI has not found yet, too. Their entries are in a table that is about to be
 * overwritten, and a unit that is off lets everything through.
 */
static void back_off(struct amd_iommu *iommu)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	u32 devid;

	for (devid = 0; devid <= seg->last_bdf; devid++)
		if (owner_of(seg, devid) == iommu)
			pci_liveupdate_back_stop(seg->id, devid);
	switch_off(iommu, BIT_ULL(CONTROL_IOMMU_EN));
}

/*
 * Who had the lock of the commands does not run any more. A unit that is neither adopted
 * nor given up yet has no entries to see to, but this kernel's buffers.
 */
static void back_iommu(struct amd_iommu *iommu)
{
	raw_spin_lock_init(&iommu->lock);
	if (!table_outlives(iommu))
		back_off(iommu);
	else if (!iommu_liveupdate_back_scrub(&iommu->iommu, &amd_liveupdate_ops) &&
		 !is_kept(iommu))
		scrub(iommu, false);
	stop_buffers(iommu);
}

static void amd_back_iommus(void)
{
	struct amd_iommu *iommu;

	for_each_iommu(iommu)
		if (is_on(iommu))
			back_iommu(iommu);
}

/* --- incoming, first phase --- */

/**
 * amd_liveupdate_keep() - Is a unit that was found on to stay on?
 * @iommu: The unit; its registers are mapped.
 *
 * After a live update each is: to switch one off would let all through. What it does
 * meanwhile is up to the table that amd_liveupdate_take_table() decides on.
 *
 * Context: Early boot, one CPU.
 * Return: true if the driver is not to switch it off.
 */
bool amd_liveupdate_keep(struct amd_iommu *iommu)
{
	return is_kho_boot() && !is_kdump_kernel();
}

/**
 * amd_liveupdate_stays_on() - Is a unit not to be switched off?
 * @iommu: The unit.
 *
 * At the shutdown of a kexec that carries devices over, only these can do DMA when
 * this returns.
 *
 * Context: Early boot, suspend and shutdown: one CPU.
 * Return: true if it stays on for the next kernel, or since the previous one.
 */
bool amd_liveupdate_stays_on(struct amd_iommu *iommu)
{
	if (is_kept(iommu) || iommu_liveupdate_shutdown(&iommu->iommu))
		return true;
	/* The driver has failed before it looked at this one; amd_liveupdate_unused() does. */
	return !ready && amd_liveupdate_keep(iommu) && iommu->mmio_base &&
	       is_on(iommu);
}

/*
 * An entry of whatever this kernel is to go on with. Only what the second phase looks at
 * goes on translating, and without interrupts. It does not look at devices whose unit
 * was found off: that will be switched on with this table, too.
 */
static void quiet_entry(struct amd_iommu_pci_seg *seg, u32 devid)
{
	struct amd_iommu *owner = owner_of(seg, devid);
	bool goes_on = amd_dte_translates(dte_of(seg, devid)) &&
		       (!owner || is_kept(owner));

	if (!goes_on)
		block_entry(seg, devid);
	abort_interrupts(seg, devid, goes_on || amd_iommu_irq_remap);
}

/**
 * amd_liveupdate_take_table() - Decide which device table a unit goes on with
 * @iommu: A unit that was found on.
 *
 * The table of its segment becomes that which was kept, or stays the new one, with all
 * entries blocked. The caches of the unit are still to be invalidated.
 *
 * Context: Early boot, one CPU, before the first interrupt is remapped, and before any
 * unit was given a table by this kernel.
 */
void amd_liveupdate_take_table(struct amd_iommu *iommu)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	void *table = kept_table(iommu);
	u32 devid;

	if (table && table != seg->dev_table &&
	    !kho_is_preserved(virt_to_phys(seg->dev_table),
			      get_order(seg->dev_table_size))) {
		iommu_free_pages(seg->dev_table);
		seg->dev_table = table;
		/* 7.3 has it for the table that a kernel that crashed has left. */
		seg->old_dev_tbl_cpy = table;
	}
	for (devid = 0; devid < entries(seg); devid++)
		quiet_entry(seg, devid);
}

/**
 * amd_liveupdate_has_table() - Does hardware use the device table of the segment?
 * @iommu: A unit that was found on.
 *
 * Context: As amd_liveupdate_take_table(), after that.
 * Return: true if it does; false if that is still to be set.
 */
bool amd_liveupdate_has_table(struct amd_iommu *iommu)
{
	return kept_table(iommu) == (void *)iommu->pci_seg->dev_table;
}

/* --- incoming, second phase --- */

/* What adopt_iommu() needs on its way through the entries */
struct adoption {
	const struct iommu_hw_ser *hw;
	const struct iommu_ser_view *view;
	unsigned long *seen;
};

static const char *check_entry(const struct iommu_ser_view *view,
			       const struct iommu_device_ser *ser,
			       const u64 *dte)
{
	const struct amd_unit unit = describe_unit();

	if (!iommu_liveupdate_may_go_on(ser))
		return "the PCI device is gone or was refused";
	return amd_check_device(view, &unit, ser, dte);
}

/*
 * Nobody else may get an id that hardware uses. Another device of the domain may have
 * it already; no other domain has, since none was made yet.
 */
static const char *reserve_did(const struct iommu_ser_view *view,
			       const struct iommu_device_ser *ser)
{
	u16 did = amd_domain_part(&view->domains[ser->domain])->did;

	if (ida_exists(&adopted_dids, did))
		return NULL;
	if (ida_alloc_range(&adopted_dids, did, did, GFP_KERNEL) < 0)
		return "out of memory";
	if (amd_iommu_pdom_id_reserve(did, GFP_KERNEL) >= 0)
		return NULL;
	ida_free(&adopted_dids, did);
	return "out of memory";
}

/**
 * amd_liveupdate_put_did() - A restored domain is freed
 * @did: Its domain id, which no hardware uses any more.
 */
void amd_liveupdate_put_did(u16 did)
{
	if (!ida_exists(&adopted_dids, did))
		return;
	ida_free(&adopted_dids, did);
	amd_iommu_pdom_id_free(did);
}

/**
 * amd_liveupdate_gap() - A restored domain could be left with a gap only
 * @dev: The device that is on it.
 *
 * Return: -EOPNOTSUPP; the log and the view say why.
 */
int amd_liveupdate_gap(struct device *dev)
{
	return liveupdate_require(false, &rule_amd_host, "the translation of %s",
				  dev_name(dev));
}

static void adopt_entry(struct amd_iommu *iommu, u16 devid,
			const struct adoption *a)
{
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	const struct iommu_device_ser *ser = NULL;
	const char *why = NULL;

	while ((ser = iommu_liveupdate_next_incoming(a->hw, ser)))
		if (ser->bdf == devid && ser->segment == seg->id)
			break;
	if (ser)
		why = check_entry(a->view, ser, dte_of(seg, devid)) ?:
		      reserve_did(a->view, ser);
	if (ser && !why) {
		set_bit(devid, a->seen);
		return;
	}

	/* Stopped first: what is running must not run into an entry that blocks. */
	if (ser) {
		iommu_liveupdate_drop_incoming(ser, why);
	} else {
		iommu_liveupdate_stop_stranger(seg->id, devid);
		pr_err("ivhd%d: entry of %02x:%02x.%d blocked: it was not handed over\n",
		       iommu->index, PCI_BUS_NUM(devid), PCI_SLOT(devid),
		       PCI_FUNC(devid));
	}
	give_entry_up(seg, devid);
}

static const char *amd_compare_iommu(struct iommu_device *dev,
				     const struct iommu_hw_ser *hw)
{
	struct amd_iommu *iommu = to_amd_iommu(dev);

	return amd_check_table_register(amd_hw_part(hw),
					readq(iommu->mmio_base + MMIO_DEV_TABLE_OFFSET));
}

static const char *amd_policy(struct iommu_device *dev,
			      const struct iommu_hw_ser *hw)
{
	if (amd_iommu_pgtable != PD_MODE_V1)
		return "this kernel uses another table format; see amd_iommu=pgtbl_v1";
	return NULL;
}

static const char *amd_check_all_tables(struct iommu_device *dev,
					const struct iommu_ser_view *view,
					const struct iommu_domain_ser *domain)
{
	const struct amd_unit unit = describe_unit();

	return amd_check_tables(view->mem, &unit, domain);
}

static const char *amd_adopt_iommu(struct iommu_device *dev,
				   const struct iommu_hw_ser *hw,
				   const struct iommu_ser_view *view)
{
	struct amd_iommu *iommu = to_amd_iommu(dev);
	struct amd_iommu_pci_seg *seg = iommu->pci_seg;
	const struct iommu_device_ser *ser = NULL;
	struct adoption a = { .hw = hw, .view = view };
	u32 devid;

	a.seen = bitmap_zalloc(BIT(16), GFP_KERNEL);
	if (!a.seen)
		return "out of memory";
	for (devid = 0; devid < entries(seg); devid++)
		if (is_own(iommu, devid) && amd_dte_translates(dte_of(seg, devid)))
			adopt_entry(iommu, devid, &a);
	while ((ser = iommu_liveupdate_next_incoming(hw, ser)))
		if (!test_bit(ser->bdf, a.seen))
			iommu_liveupdate_drop_incoming(ser,
						       "its device table entry does not translate");
	bitmap_free(a.seen);
	amd_iommu_flush_all_caches(iommu);
	return NULL;
}

static void amd_unadopt_iommu(struct iommu_device *dev,
			      const struct iommu_hw_ser *hw)
{
	block_own(to_amd_iommu(dev));
}

/* From here on a table that was kept is one like any other. */
static void own_table(struct amd_iommu_pci_seg *seg)
{
	phys_addr_t pa = virt_to_phys(seg->dev_table);

	if (kho_is_preserved(pa, get_order(seg->dev_table_size)))
		iommu_pages_restore(pa, seg->dev_table_size);
}

/**
 * amd_liveupdate_adopt() - Adopt the units that were found on, or stop their devices
 *
 * What is left of their entries is of devices of the handover, and says what the
 * handover says; all others are blocked.
 *
 * Context: Init of the driver, when PCI is there, and before it allocates the first
 * domain id or probes the first device.
 */
void amd_liveupdate_adopt(void)
{
	struct amd_iommu_pci_seg *seg;
	struct amd_iommu *iommu;

	settled = true;
	for_each_iommu(iommu) {
		if (!is_kept(iommu))
			continue;
		if (!iommu_liveupdate_adopt(&iommu->iommu, &amd_liveupdate_ops))
			block_own(iommu);
		iommu->flags &= ~AMD_IOMMU_FLAG_TRANS_PRE_ENABLED;
	}
	for_each_pci_segment(seg)
		own_table(seg);
}

/**
 * amd_liveupdate_failed() - The driver fails to come up
 *
 * Whatever came along is stopped, and blocked where it was adopted, when this returns;
 * the driver can switch its units off, or let all entries through. Nothing is done as
 * long as there is no PCI to stop devices by: the units stay on then.
 *
 * Context: Init of the driver.
 */
void amd_liveupdate_failed(void)
{
	struct amd_iommu_pci_seg *seg;
	struct amd_iommu *iommu;

	if (!ready)
		return;
	/* Else amd_liveupdate_unused() has to look for what the driver does not know. */
	settled = irq_remapping_enabled;
	for_each_iommu(iommu) {
		iommu_liveupdate_unadopt(&iommu->iommu, &amd_liveupdate_ops);
		iommu->flags &= ~AMD_IOMMU_FLAG_TRANS_PRE_ENABLED;
	}
	for_each_pci_segment(seg)
		own_table(seg);
	/* The driver forgets all ids next. */
	ida_destroy(&adopted_dids);
}

static bool amd_is_behind(struct iommu_device *dev, struct device *device)
{
	struct amd_iommu *iommu = to_amd_iommu(dev);
	struct pci_dev *pdev = to_pci_dev(device);
	u16 devid = pci_dev_id(pdev);

	return pci_domain_nr(pdev->bus) == iommu->pci_seg->id &&
	       devid <= iommu->pci_seg->last_bdf &&
	       iommu->pci_seg->rlookup_table[devid] == iommu;
}

static struct iommu_domain *
amd_restore_domain(struct iommu_device *dev, const struct iommu_domain_ser *ser)
{
	return amd_liveupdate_restore(ser->top_pa, ser->top_level,
				      ser->vasz_lg2, amd_domain_part(ser)->did);
}

/* It may be one whose probe has failed. */
static void amd_refuse_device(struct device *dev)
{
	u16 devid = pci_dev_id(to_pci_dev(dev));
	struct amd_iommu_pci_seg *seg;
	struct amd_iommu *iommu;

	for_each_iommu(iommu) {
		seg = iommu->pci_seg;
		if (amd_is_behind(&iommu->iommu, dev)) {
			give_entry_up(seg, devid);
			amd_iommu_flush_all_caches(iommu);
		}
	}
}

/* --- a kernel that does not use its units --- */

static void __iomem *map_registers(const u8 *ivhd)
{
	u64 pa;

	memcpy(&pa, ivhd + IVHD_MMIO, sizeof(pa));
	return ioremap(pa, MMIO_CNTR_CONF_OFFSET);
}

/* Return: true if a unit is on. With @stop it is switched off. */
static bool any_unit_on(const struct acpi_table_header *ivrs, bool stop)
{
	static const u8 types[IVHD_TYPES] = { 0x10, 0x11, 0x40 };
	const u8 *p = (const u8 *)ivrs + IVRS_HEADER;
	const u8 *end = (const u8 *)ivrs + ivrs->length;
	u16 length;
	bool any = false;

	/* A block begins with a type, flags and a length. */
	for (; end - p >= IVHD_MMIO + (long)sizeof(u64); p += length) {
		void __iomem *regs;
		u64 ctrl;

		memcpy(&length, p + 2, sizeof(length));
		if (length < IVHD_MMIO + sizeof(u64) || length > end - p)
			break;
		if (!memchr(types, *p, IVHD_TYPES))
			continue;
		regs = map_registers(p);
		if (!regs) {
			/* It may be. */
			any = true;
			continue;
		}
		ctrl = readq(regs + MMIO_CONTROL_OFFSET);
		any |= ctrl & BIT_ULL(CONTROL_IOMMU_EN);
		if (stop)
			writeq(ctrl & ~BIT_ULL(CONTROL_IOMMU_EN),
			       regs + MMIO_CONTROL_OFFSET);
		iounmap(regs);
	}
	return any;
}

/* After the driver had its turn, and before PCI devices get their drivers. */
static int __init amd_liveupdate_unused(void)
{
	struct acpi_table_header *ivrs;

	if (settled || !is_kho_boot() || is_kdump_kernel() ||
	    ACPI_FAILURE(acpi_get_table(ACPI_SIG_IVRS, 0, &ivrs)))
		return 0;
	if (any_unit_on(ivrs, false)) {
		pci_liveupdate_refuse_all("this kernel does not use the IOMMU; see amd_iommu=off");
		any_unit_on(ivrs, true);
	}
	acpi_put_table(ivrs);
	return 0;
}
rootfs_initcall(amd_liveupdate_unused);

/* --- both --- */

static void amd_show_iommu(struct liveupdate_view *v,
			   const struct iommu_hw_ser *hw)
{
	liveupdate_show_word(v, "type", "amd");
	liveupdate_show_pa(v, "root", amd_hw_part(hw)->table_pa);
}

static void amd_show_domain(struct liveupdate_view *v,
			    const struct iommu_domain_ser *domain)
{
	liveupdate_show_word(v, "format", "amdv1");
}

const struct iommu_liveupdate_ops amd_liveupdate_ops = {
	.name = "amd",
	.checks = &amd_ser_driver,
	.compatible = AMD_IOMMU_LIVEUPDATE_COMPATIBLE,
	.identify = amd_identify,
	.preserve_iommu = amd_preserve_iommu,
	.unpreserve_iommu = amd_unpreserve_iommu,
	.preserve_domain = amd_preserve_domain,
	.unpreserve_domain = amd_unpreserve_domain,
	.can_replace = amd_can_replace,
	.preserve_device = amd_preserve_device,
	.unpreserve_device = amd_unpreserve_device,
	.compare_device = amd_compare_device,
	.scrub_iommu = amd_scrub_iommu,
	.back_iommus = amd_back_iommus,
	.compare_iommu = amd_compare_iommu,
	.policy = amd_policy,
	.check_tables = amd_check_all_tables,
	.adopt_iommu = amd_adopt_iommu,
	.unadopt_iommu = amd_unadopt_iommu,
	.is_behind = amd_is_behind,
	.restore_domain = amd_restore_domain,
	.refuse_device = amd_refuse_device,
	.show_iommu = amd_show_iommu,
	.show_domain = amd_show_domain,
};

/* Before the units are set up, and also if the driver is told to leave them off. */
static int __init amd_liveupdate_init(void)
{
	return iommu_liveupdate_register(&amd_liveupdate_ops);
}
core_initcall(amd_liveupdate_init);

static int __init amd_liveupdate_ready(void)
{
	ready = true;
	return 0;
}
subsys_initcall_sync(amd_liveupdate_ready);
