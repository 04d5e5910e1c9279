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
 * it. As no interrupt is routed to that CPU, nothing is written there. A kernel after this
 * one may bring it online, and goes on with that table: so it is preserved once more, found
 * by way of the redistributor. Where ACPI describes the machine they are not looked for, and
 * that kernel says what it misses.
 */

#ifdef CONFIG_KEXEC_HANDOVER
#include <linux/irqchip/arm-gic-v3-liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/xarray.h>

/* The first pages of the tables that are preserved */
static DEFINE_XARRAY(its_liveupdate_kept);

static int its_liveupdate_keep(phys_addr_t table, unsigned long size)
{
	int ret = xa_insert(&its_liveupdate_kept, PHYS_PFN(table), xa_mk_value(1), GFP_KERNEL);

	/* Before its CPU came online. */
	if (ret == -EBUSY)
		return 0;
	if (!ret) {
		ret = kho_preserve_pages(pfn_to_page(PHYS_PFN(table)), size >> PAGE_SHIFT);
		if (ret)
			xa_erase(&its_liveupdate_kept, PHYS_PFN(table));
	}
	if (ret)
		pr_err("GICv3: the LPI table at %pa cannot be preserved: %pe\n",
		       &table, ERR_PTR(ret));
	return ret;
}

static void its_liveupdate_keep_rdist(void __iomem *rbase)
{
	/* Its CPU is of use without, and a kernel after this one says what it misses. */
	if (readl_relaxed(rbase + GICR_CTLR) & GICR_CTLR_ENABLE_LPIS)
		its_liveupdate_keep(gicr_read_pendbaser(rbase + GICR_PENDBASER) &
				    GENMASK_ULL(51, 16), LPI_PENDBASE_SZ);
}

/* In each CPU, when it comes online. */
static int its_liveupdate_keep_pending(unsigned int cpu)
{
	its_liveupdate_keep_rdist(gic_data_rdist_rd_base());
	return 0;
}

/* "Redistributor register map": a frame of registers has more behind it with virtual LPIs. */
static void its_liveupdate_keep_region(void __iomem *region, resource_size_t size,
				       u64 stride)
{
	resource_size_t at = 0;
	u64 typer;

	while (at + 2 * SZ_64K <= size) {
		typer = gic_read_typer(region + at + GICR_TYPER);
		its_liveupdate_keep_rdist(region + at);
		if (typer & GICR_TYPER_LAST)
			return;
		at += stride ?: (typer & GICR_TYPER_VLPIS ? 4 : 2) * SZ_64K;
	}
}

/* Of the CPUs that are offline, too: see "gicv3_of_init()" for what is read here. */
static void __init its_liveupdate_keep_others(void)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "arm,gic-v3");
	u32 i, regions = 1;
	u64 stride = 0;
	struct resource res;
	void __iomem *region;

	of_property_read_u32(np, "#redistributor-regions", &regions);
	of_property_read_u64(np, "redistributor-stride", &stride);
	for (i = 0; np && i < regions; i++) {
		if (of_address_to_resource(np, 1 + i, &res))
			break;
		region = ioremap(res.start, resource_size(&res));
		if (!region)
			break;
		its_liveupdate_keep_region(region, resource_size(&res), stride);
		iounmap(region);
	}
	of_node_put(np);
}

static int __init its_liveupdate_init(void)
{
	int ret;

	if (!kho_is_enabled() || list_empty(&its_nodes))
		return 0;
	ret = its_liveupdate_keep(gic_rdists->prop_table_pa, LPI_PROPBASE_SZ);
	if (ret)
		return ret;
	its_liveupdate_keep_others();
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
