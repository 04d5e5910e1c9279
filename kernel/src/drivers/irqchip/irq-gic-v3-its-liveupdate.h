/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * The GICv3's tables in memory when the kernel is replaced. Part of irq-gic-v3-its.c.
 *
 * Names are those of "Arm Generic Interrupt Controller (GIC) Architecture Specification,
 * GIC architecture version 3 and version 4" (IHI 0069): "GITS_CTLR, ITS Control Register",
 * "GICR_CTLR, Redistributor Control Register".
 *
 * A redistributor reads which LPIs are on from one table, and writes to another one which
 * of them are pending. Once it may do so (EnableLPIs), it is left to each implementation
 * whether that can be taken back. So the redistributors go on, and the tables go over to
 * the next kernel as preserved pages. 7.3 goes on with tables of a kernel before it that
 * are in reserved memory, and preserved pages are reserved from the beginning of a boot.
 *
 * An ITS is switched off before the jump, and waited for until it is quiescent: it is not
 * going to use any of its tables then, so those belong to nobody, and the next kernel makes
 * new ones. A message that a device writes to it meanwhile is ignored.
 *
 * A CPU that has not been online in this kernel keeps the table that an earlier kernel gave
 * it. As no interrupt is routed to that CPU, nothing is written there.
 */

#ifdef CONFIG_KEXEC_HANDOVER
#include <linux/irqchip/arm-gic-v3-liveupdate.h>
#include <linux/kexec_handover.h>

/* One more of a redistributor's flags: its table of pending LPIs is preserved. */
#define RD_LOCAL_LIVEUPDATE_KEPT	BIT(63)

static int its_liveupdate_keep(phys_addr_t table, unsigned long size)
{
	int ret = kho_preserve_pages(pfn_to_page(PHYS_PFN(table)),
				     size >> PAGE_SHIFT);

	if (ret)
		pr_err("GICv3: the LPI table at %pa cannot be preserved: %pe\n",
		       &table, ERR_PTR(ret));
	return ret;
}

/* In each CPU, when it comes online for the first time. */
static int its_liveupdate_keep_pending(unsigned int cpu)
{
	void __iomem *rbase = gic_data_rdist_rd_base();

	if (gic_data_rdist()->flags & RD_LOCAL_LIVEUPDATE_KEPT ||
	    !(readl_relaxed(rbase + GICR_CTLR) & GICR_CTLR_ENABLE_LPIS))
		return 0;
	/* The CPU is of use without, and a kernel after this one says what it misses. */
	if (!its_liveupdate_keep(gicr_read_pendbaser(rbase + GICR_PENDBASER) &
				 GENMASK_ULL(51, 16), LPI_PENDBASE_SZ))
		gic_data_rdist()->flags |= RD_LOCAL_LIVEUPDATE_KEPT;
	return 0;
}

static int __init its_liveupdate_init(void)
{
	int ret;

	if (!kho_is_enabled() || list_empty(&its_nodes))
		return 0;
	ret = its_liveupdate_keep(gic_rdists->prop_table_pa, LPI_PROPBASE_SZ);
	if (ret)
		return ret;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN,
				"irqchip/arm/gicv3/liveupdate:online",
				its_liveupdate_keep_pending, NULL);
	return ret < 0 ? ret : 0;
}
late_initcall(its_liveupdate_init);

/**
 * its_liveupdate_quiesce() - No ITS uses memory of this kernel any more
 *
 * For a kernel that is about to be replaced. One that does not become quiescent is said in
 * the log: the next kernel waits for it once more, and does not use it if that fails.
 *
 * Context: The last CPU, with interrupts off.
 */
void its_liveupdate_quiesce(void)
{
	struct its_node *its;
	int ret;

	list_for_each_entry(its, &its_nodes, entry) {
		ret = its_force_quiescent(its->base);
		if (ret)
			pr_err("ITS@%pa: failed to quiesce before the jump: %pe\n",
			       &its->phys_base, ERR_PTR(ret));
	}
}
#endif
