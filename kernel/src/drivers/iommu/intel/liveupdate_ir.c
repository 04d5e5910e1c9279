// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Interrupt remapping over a live update
 *
 * References are to the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification".
 *
 * A write to 0xfeexxxxx is an interrupt request, whatever the translation of the
 * device says ("3.14 Handling Requests to Interrupt Address Range"). A device
 * that goes on while the kernel is replaced can be told by its user to write
 * there. What keeps it from raising any vector of the booting kernel is interrupt
 * remapping, so that must neither be off at any time, nor look anything up in
 * memory that has become something else.
 *
 * Outgoing: with the first device KHO is told to keep the table. At the shutdown,
 * when this kernel takes no interrupt any more, each entry that is in use is
 * cleared and the interrupt entry cache is invalidated: every request is blocked
 * from then on, in the remappable format because its entry is not present, in
 * the compatibility format because that was forbidden when remapping was enabled
 * ("5.1.4 Interrupt-Remapping Hardware Operation").
 *
 * The unit's own events are no device's and are not remapped. They are masked,
 * since their vectors are this kernel's: faults ("11.4.10 Fault Event Control
 * Register"), which are still recorded, page requests and overflows of counters.
 * The next kernel sets its own vectors before it takes the masks away.
 *
 * Incoming: the unit is found with remapping enabled and its table kept by KHO.
 * It stays enabled; the pointer is changed to the new table ("11.4.4 Global
 * Command Register", SIRTP, which may be done meanwhile), the cache is
 * invalidated, and then the old table is freed.
 *
 * Way back: hardware is told the old table again, which was held for that. It is still
 * empty.
 *
 * A next kernel that does not set remapping up (intremap=off) leaves it as it is
 * found, as it does in 7.3: requests stay blocked, and on hardware the machine's
 * own interrupts, too. VFIO does not give the devices back then (EPERM at the
 * bind), and they go on until somebody reboots.
 *
 * Without remapping in the outgoing kernel nothing of this applies. VFIO gives
 * devices to user space on such a machine only if the operator has allowed it
 * (allow_unsafe_interrupts).
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitmap.h>
#include <linux/crash_dump.h>
#include <linux/dmar.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/iommu-liveupdate.h>
#include <linux/sizes.h>

#include "iommu.h"
#include "../iommu-pages.h"

#ifdef CONFIG_IRQ_REMAP

static bool remaps(struct intel_iommu *iommu)
{
	return iommu->ir_table &&
	       readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_IRES;
}

/**
 * intel_liveupdate_preserve_ir() - Have KHO keep the interrupt remapping table
 * @iommu: The unit.
 *
 * Return: 0, also if there is none; or -ENOMEM.
 */
int intel_liveupdate_preserve_ir(struct intel_iommu *iommu)
{
	if (!remaps(iommu))
		return 0;
	return kho_preserve_folio(virt_to_folio(iommu->ir_table->base));
}

/**
 * intel_liveupdate_unpreserve_ir() - Undo intel_liveupdate_preserve_ir()
 * @iommu: The unit.
 */
void intel_liveupdate_unpreserve_ir(struct intel_iommu *iommu)
{
	if (remaps(iommu))
		kho_unpreserve_folio(virt_to_folio(iommu->ir_table->base));
}

/**
 * intel_liveupdate_block_interrupts() - Let no device raise an interrupt
 * @iommu: A unit whose translation stays on.
 *
 * Context: Shutdown; one CPU, interrupts off, for good.
 */
void intel_liveupdate_block_interrupts(struct intel_iommu *iommu)
{
	struct ir_table *table = iommu->ir_table;
	unsigned int i;

	if (!remaps(iommu))
		return;
	for_each_set_bit(i, table->bitmap, INTR_REMAP_TABLE_ENTRIES) {
		struct irte *irte = &table->base[i];

		/* The present bit is in the lower half. */
		WRITE_ONCE(irte->low, 0);
		WRITE_ONCE(irte->high, 0);
		__iommu_flush_cache(iommu, irte, sizeof(*irte));
	}
	qi_global_iec(iommu);
}

/**
 * intel_liveupdate_keep_ir() - Does interrupt remapping stay on?
 * @iommu: A unit that was found with remapping enabled.
 *
 * Asked before the first interrupt; nothing is known of the handover but which
 * pages KHO keeps. That is enough: the table that hardware looks into must be one.
 *
 * Context: Early boot, one CPU.
 * Return: true if the driver is not to switch it off, nor to copy its table. Then
 * intel_liveupdate_ir_set() is to follow when the new table is in place.
 */
bool intel_liveupdate_keep_ir(struct intel_iommu *iommu)
{
	u32 sts = readl(iommu->reg + DMAR_GSTS_REG);
	u64 irta = readq(iommu->reg + DMAR_IRTA_REG);

	if (is_kdump_kernel() || !(sts & DMA_GSTS_IRES) ||
	    sts & DMA_GSTS_CFIS ||
	    !kho_is_preserved(irta & VTD_PAGE_MASK, get_order(SZ_1M)))
		return false;
	iommu->liveupdate_irt = irta;
	return true;
}

/**
 * intel_liveupdate_ir_set() - Hardware has another table: free the one that came
 * @iommu: The unit. Its cache of entries has been invalidated.
 *
 * With a way back what is freed stays where it is (luo_back_hold()).
 */
void intel_liveupdate_ir_set(struct intel_iommu *iommu)
{
	void *table;

	if (!iommu->liveupdate_irt)
		return;
	table = iommu_pages_restore(iommu->liveupdate_irt & VTD_PAGE_MASK, SZ_1M);
	if (table)
		iommu_free_pages(table);
	pr_info("%s: interrupt remapping stayed on, with a new table\n", iommu->name);
}

/**
 * intel_liveupdate_back_ir() - Look interrupts up in the table that came, again
 * @iommu: The unit. Nobody else uses it, and its queue works.
 *
 * There is no entry in it, so every request is blocked; and the next kernel finds it
 * preserved. If none came, there was no remapping in the kernel before: requests were
 * not remapped then.
 *
 * Context: On the way back: one CPU, interrupts off.
 */
void intel_liveupdate_back_ir(struct intel_iommu *iommu)
{
	u32 sts;

	if (!remaps(iommu))
		return;
	if (!iommu->liveupdate_irt) {
		iommu->gcmd &= ~DMA_GCMD_IRE;
		writel(iommu->gcmd, iommu->reg + DMAR_GCMD_REG);
		IOMMU_WAIT_OP(iommu, DMAR_GSTS_REG, readl, !(sts & DMA_GSTS_IRES), sts);
		return;
	}
	writeq(iommu->liveupdate_irt, iommu->reg + DMAR_IRTA_REG);
	writel(iommu->gcmd | DMA_GCMD_SIRTP, iommu->reg + DMAR_GCMD_REG);
	IOMMU_WAIT_OP(iommu, DMAR_GSTS_REG, readl, (sts & DMA_GSTS_IRTPS), sts);
	qi_global_iec(iommu);
}

#endif /* CONFIG_IRQ_REMAP */
