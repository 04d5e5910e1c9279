// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Intel VT-d live update
 *
 * References are to the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification": "9.1 Root Entry", "9.3 Context Entry",
 * "9.4 Scalable-Mode Context-Entry", "9.5 Scalable-Mode PASID Directory Entry",
 * "9.6 Scalable-Mode PASID Table Entry", "11.4.5 Root Table Address Register".
 *
 * Outgoing: root table, and the context table, PASID directory and PASID tables
 * of preserved devices are kept by KHO. At the shutdown of the kexec every
 * present entry that is not that of a preserved device is removed, whatever it
 * is for: a device, one of its DMA aliases, a device that nobody knows of.
 * Then one global invalidation, and translation stays on.
 *
 * Incoming: a unit whose translation is on is adopted if its root table pointer
 * and mode are those of the handover. Each present context entry then has to
 * be that of a device of the handover, and has to say what the handover says:
 * domain id, table pointer, address width, ATS, PASIDs. An entry that does not is removed
 * before anything else happens to the device. The domain ids in use are taken
 * out of the unit's allocator. Writing the root pointer again, as the init of
 * the driver does next, is allowed with translation on for the same pointer
 * ("11.4.4 Global Command Register", SRTP).
 *
 * ATS: a device that has it on goes on with it, and with what it has cached. Its
 * entry has a bit for it, which is the handover's, too. The next kernel writes
 * nothing to the ATS capability of a device that came running; it notes down what
 * it finds there, so that each change of a translation reaches the device's cache
 * from the first one on (see "Replacing a domain without a gap"). A kernel that
 * cannot do so, as with pci=noats, refuses the device. One that came without ATS
 * goes on without it.
 *
 * PASIDs besides the first one are in liveupdate_pasid.h, interrupt remapping is in
 * liveupdate_ir.c; what all drivers have in common, the
 * order of it all included, in drivers/iommu/liveupdate.c.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitfield.h>
#include <linux/dmar.h>
#include <linux/error-injection.h>
#include <linux/iommu-liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/iommu.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/sort.h>

#include "iommu.h"
#include "liveupdate_check.h"
#include "liveupdate_rules.h"
#include "pasid.h"
#include "replace.h"
#include "../iommu-pages.h"
#include "../iommu-priv.h"

enum {
	ROOT_ENTRIES = 256,
	ENTRY_PRESENT = 1,
};

static struct intel_iommu *to_intel_iommu(struct iommu_device *dev)
{
	return container_of(dev, struct intel_iommu, iommu);
}

/* Hardware addresses 256 context entries by two tables in scalable mode. */
static unsigned int tables_per_root_entry(struct intel_iommu *iommu)
{
	return sm_supported(iommu) ? 2 : 1;
}

static u64 *root_slot(struct intel_iommu *iommu, unsigned int bus,
		      unsigned int half)
{
	struct root_entry *root = &iommu->root_entry[bus];

	return half ? &root->hi : &root->lo;
}

static void flush_all(struct intel_iommu *iommu)
{
	iommu->flush.flush_context(iommu, 0, 0, 0, DMA_CCMD_GLOBAL_INVL);
	if (sm_supported(iommu))
		qi_flush_pasid_cache(iommu, 0, QI_PC_GLOBAL, 0);
	iommu->flush.flush_iotlb(iommu, 0, 0, 0, DMA_TLB_GLOBAL_FLUSH);
}

static void clear_context(struct intel_iommu *iommu, struct context_entry *ctx)
{
	context_clear_present(ctx);
	context_clear_entry(ctx);
	__iommu_flush_cache(iommu, ctx, sizeof(*ctx));
}

typedef void (*context_fn)(struct intel_iommu *iommu, u16 bdf,
			   struct context_entry *ctx, void *arg);

/**
 * walk_contexts() - Visit all context entries behind one root slot
 * @iommu: The unit.
 * @bus:   Bus number.
 * @half:  Which of the tables of that bus.
 * @table: The context table.
 * @fn:    Called for each present entry with its requester id.
 * @arg:   Passed to @fn.
 */
static void walk_contexts(struct intel_iommu *iommu, unsigned int bus,
			  unsigned int half, struct context_entry *table,
			  context_fn fn, void *arg)
{
	unsigned int step = sm_supported(iommu) ? 2 : 1;
	unsigned int i, n = SZ_4K / sizeof(*table) / step;

	for (i = 0; i < n; i++) {
		struct context_entry *ctx = &table[i * step];

		if (context_present(ctx))
			fn(iommu, PCI_DEVID(bus, half * n + i), ctx, arg);
	}
}

/* --- outgoing --- */

static void intel_identify(struct iommu_device *dev,
			   struct iommu_liveupdate_unit *unit)
{
	struct intel_iommu *iommu = to_intel_iommu(dev);

	unit->id = iommu->reg_phys;
	unit->name = iommu->name;
}

static int intel_preserve_iommu(struct iommu_device *dev,
				struct iommu_hw_ser *ser)
{
	struct intel_hw_ser *part = (struct intel_hw_ser *)ser->part;
	struct intel_iommu *iommu = to_intel_iommu(dev);

	if (!iommu->root_entry || !(iommu->gcmd & DMA_GCMD_TE))
		return -EOPNOTSUPP;
	part->flags = sm_supported(iommu) ? INTEL_HW_SER_SCALABLE : 0;
	part->root_pa = virt_to_phys(iommu->root_entry);
	ser->length = sizeof(*part);
	return iommu_liveupdate_keep(iommu->root_entry);
}

static void intel_unpreserve_iommu(struct iommu_device *dev,
				   const struct iommu_hw_ser *ser)
{
	iommu_liveupdate_unkeep(phys_to_virt(intel_hw_part(ser)->root_pa));
}

static int intel_preserve_interrupts(struct iommu_device *dev)
{
	return intel_liveupdate_preserve_ir(to_intel_iommu(dev));
}

static void intel_unpreserve_interrupts(struct iommu_device *dev)
{
	intel_liveupdate_unpreserve_ir(to_intel_iommu(dev));
}

static int intel_preserve_domain(struct iommu_domain *domain,
				 struct iommu_domain_ser *ser)
{
	struct intel_domain_ser *part = (struct intel_domain_ser *)ser->part;
	struct dmar_domain *d = to_dmar_domain(domain);
	struct pt_common *common = &d->sspt.vtdss_pt.common;
	struct pt_iommu_vtdss_hw_info pt_info;
	int ret;

	if (!intel_domain_is_ss_paging(d) || d->nested_parent)
		return -EOPNOTSUPP;
	/* The log is in the tables, but the next kernel would not read it. */
	ret = liveupdate_require(!d->dirty_tracking, &rule_vtd_dirty, "a HWPT");
	if (ret)
		return ret;

	pt_iommu_vtdss_hw_info(&d->sspt, &pt_info);
	part->format = INTEL_DOMAIN_SER_VTDSS;
	ser->length = sizeof(*part);
	ser->top_pa = pt_info.ssptptr;
	ser->top_level = pt_info.aw + 1;
	ser->vasz_lg2 = common->max_vasz_lg2;
	if (common->features & BIT(PT_FEAT_DMA_INCOHERENT))
		part->flags |= INTEL_DOMAIN_SER_INCOHERENT;
	if (common->features & BIT(PT_FEAT_VTDSS_FORCE_COHERENCE))
		part->flags |= INTEL_DOMAIN_SER_FORCE_SNOOP;
	return d->iommu.ops->preserve(&d->iommu);
}
ALLOW_ERROR_INJECTION(intel_preserve_domain, ERRNO);

static void intel_unpreserve_domain(struct iommu_domain *domain,
				    const struct iommu_domain_ser *ser)
{
	struct dmar_domain *d = to_dmar_domain(domain);

	d->iommu.ops->unpreserve(&d->iommu);
}

static int intel_can_replace(struct device *dev)
{
	return liveupdate_require(intel_replace_can(), &rule_vtd_cpu, "%s",
				  dev_name(dev));
}

#include "liveupdate_ats.h"
#include "liveupdate_pasid.h"

/* Can this be handed over? The list would have room for more than none. */
static int may_preserve_pasids(struct device *dev, const struct pasid_table *pasids)
{
	u32 nr = list_pasids(pasids->table, pasids->max_pasid, NULL, 0);

	if (nr > INTEL_DEVICE_SER_MAX_PASIDS)
		return liveupdate_require(false, &rule_vtd_pasids, "%s",
					  dev_name(dev));
	return liveupdate_require(!nr, &rule_vtd_pasid, "%s", dev_name(dev));
}

/* What a PASID is attached to, as whoever attached it has told the core */
static int domain_of_pasid(struct device *dev, u32 pasid)
{
	struct iommu_attach_handle *handle;

	handle = iommu_attach_handle_get(dev->iommu_group, pasid, 0);
	return IS_ERR(handle) ? -ENOENT :
				iommu_liveupdate_domain_index(handle->domain);
}

static int count_alias(struct pci_dev *pdev, u16 alias, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

static int intel_preserve_device(struct device *dev,
				 struct iommu_domain *domain,
				 struct iommu_device_ser *ser)
{
	struct intel_device_ser *part = (struct intel_device_ser *)ser->part;
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_iommu *iommu = info->iommu;
	struct context_entry *ctx;
	unsigned int aliases = 0;
	void *table;
	int ret;

	pci_for_each_dma_alias(to_pci_dev(dev), count_alias, &aliases);
	ret = liveupdate_require(!dev_is_real_dma_subdevice(dev),
				 &rule_vtd_subdevice, "%s", dev_name(dev)) ?:
	      liveupdate_require(aliases == 1, &rule_vtd_alias, "%s",
				 dev_name(dev)) ?:
	      liveupdate_require(PCI_DEVID(info->bus, info->devfn) == ser->bdf,
				 &rule_vtd_other_id, "%s", dev_name(dev)) ?:
	      liveupdate_require(info->domain == to_dmar_domain(domain),
				 &rule_vtd_detached, "%s", dev_name(dev)) ?:
	      describe_ats(info, part);
	if (ret)
		return ret;

	ctx = iommu_context_addr(iommu, info->bus, info->devfn, 0);
	if (WARN_ON(!ctx))
		return -EINVAL;
	table = (void *)((unsigned long)ctx & VTD_PAGE_MASK);
	part->entry_pa = virt_to_phys(table);
	part->did = domain_id_iommu(info->domain, iommu);

	if (sm_supported(iommu)) {
		ret = may_preserve_pasids(dev, info->pasid_table) ?:
		      preserve_pasids(dev, info->pasid_table, part, domain_of_pasid);
		if (ret)
			return ret;
	}
	ser->length = device_part_length(part);

	ret = iommu_liveupdate_keep(table);
	if (ret)
		unpreserve_pasids(part);
	return ret;
}

static void intel_unpreserve_device(struct device *dev,
				    const struct iommu_device_ser *ser)
{
	const struct intel_device_ser *part = intel_device_part(ser);

	iommu_liveupdate_unkeep(phys_to_virt(part->entry_pa));
	unpreserve_pasids(part);
}

static struct vtd_unit describe_unit(struct intel_iommu *iommu)
{
	return (struct vtd_unit) {
		.scalable = sm_supported(iommu),
		.haw = boot_cpu_data.x86_phys_bits,
		.sagaw = cap_sagaw(iommu->cap),
		.large_pages = cap_super_page_val(iommu->cap),
		.first_did = IDA_START_DID,
		.end_did = iommu->max_domain_id,
		/* Registers alone cannot have a device forget anything. */
		.device_tlb = ecap_dev_iotlb_support(iommu->ecap) && iommu->qi,
	};
}

/* What adopt_entry() will find, by the check that it will make. */
static const char *intel_compare_device(struct device *dev,
					const struct iommu_ser_view *view,
					const struct iommu_device_ser *ser)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_iommu *iommu = info->iommu;
	const struct vtd_unit unit = describe_unit(iommu);
	struct context_entry *ctx;
	const char *why;

	/* The table stays where it is as long as there is the unit. */
	scoped_guard(spinlock, &iommu->lock)
		ctx = iommu_context_addr(iommu, info->bus, info->devfn, 0);
	if (!ctx || !context_present(ctx))
		return "it has no context entry";
	why = vtd_check_device(view, &unit, ser, __pa(ctx) & VTD_PAGE_MASK,
			       &ctx->lo);
	return why ?: compare_ats(to_pci_dev(dev), intel_device_part(ser));
}

static void block_foreign(struct intel_iommu *iommu, u16 bdf,
			  struct context_entry *ctx, void *arg)
{
	const struct iommu_device_ser *ser;
	bool *kept = arg;

	ser = iommu_liveupdate_device_outgoing(&iommu->iommu, iommu->segment,
					       bdf);
	if (ser && intel_device_part(ser)->pasid_pa)
		block_pasids(iommu, intel_device_part(ser));
	if (ser)
		*kept = true;
	else
		clear_context(iommu, ctx);
}

/*
 * A context table without a preserved device was not preserved either; the root
 * entry goes then.
 */
static void intel_scrub_iommu(struct iommu_device *dev)
{
	struct intel_iommu *iommu = to_intel_iommu(dev);
	unsigned int bus, half;

	for (bus = 0; bus < ROOT_ENTRIES; bus++) {
		for (half = 0; half < tables_per_root_entry(iommu); half++) {
			u64 *slot = root_slot(iommu, bus, half);
			bool kept = false;

			if (!(*slot & ENTRY_PRESENT))
				continue;
			walk_contexts(iommu, bus, half,
				      phys_to_virt(*slot & VTD_PAGE_MASK),
				      block_foreign, &kept);
			if (kept)
				continue;
			WRITE_ONCE(*slot, 0);
			__iommu_flush_cache(iommu, slot, sizeof(*slot));
		}
	}
	flush_all(iommu);
}

/* The mask is the same bit of each; read back, so that it is there. */
static void mask_event(struct intel_iommu *iommu, unsigned int reg)
{
	writel(DMA_FECTL_IM, iommu->reg + reg);
	readl(iommu->reg + reg);
}

/* The unit's own interrupts go to where only this kernel has a handler. */
static void mask_events(struct intel_iommu *iommu)
{
	mask_event(iommu, DMAR_FECTL_REG);
	if (ecap_prs(iommu->ecap))
		mask_event(iommu, DMAR_PECTL_REG);
	if (ecap_pms(iommu->ecap))
		mask_event(iommu, DMAR_PERFINTRCTL_REG);
}

static void intel_block_interrupts(struct iommu_device *dev)
{
	struct intel_iommu *iommu = to_intel_iommu(dev);

	mask_events(iommu);
	intel_liveupdate_block_interrupts(iommu);
}

/*
 * Who had a lock, or was about to have something invalidated, does not run any more:
 * begin anew with both.
 */
static void back_iommu(struct intel_iommu *iommu)
{
	raw_spin_lock_init(&iommu->register_lock);
	if (iommu->qi) {
		raw_spin_lock_init(&iommu->qi->q_lock);
		dmar_reenable_qi(iommu);
	}
	mask_events(iommu);
	iommu_liveupdate_back_scrub(&iommu->iommu, &intel_liveupdate_ops);
	intel_liveupdate_back_ir(iommu);
}

static void intel_back_iommus(void)
{
	struct dmar_drhd_unit *drhd;

	list_for_each_entry(drhd, &dmar_drhd_units, list)
		if (drhd->iommu)
			back_iommu(drhd->iommu);
}

/* --- incoming --- */

/* What adopt_iommu() needs on its way through the entries */
struct adoption {
	const struct iommu_hw_ser *hw;
	const struct iommu_ser_view *view;
	unsigned long *seen;
};

static const char *check_entry(struct intel_iommu *iommu,
			       const struct iommu_ser_view *view,
			       const struct context_entry *ctx,
			       const struct iommu_device_ser *ser)
{
	const struct vtd_unit unit = describe_unit(iommu);
	const char *why;

	if (!iommu_liveupdate_may_go_on(ser))
		return "the PCI device is gone or was refused";
	if (intel_device_part(ser)->nr_pasids)
		return "it came with PASIDs, which this kernel cannot go on with";
	why = vtd_check_device(view, &unit, ser, __pa(ctx) & VTD_PAGE_MASK,
			       &ctx->lo);
	return why ?: check_ats(iommu, ser);
}

static const struct iommu_device_ser *find_device(struct intel_iommu *iommu,
						  const struct iommu_hw_ser *hw,
						  u16 bdf)
{
	const struct iommu_device_ser *ser = NULL;

	while ((ser = iommu_liveupdate_next_incoming(hw, ser)))
		if (ser->bdf == bdf && ser->segment == iommu->segment)
			break;
	return ser;
}

static void adopt_entry(struct intel_iommu *iommu, u16 bdf,
			struct context_entry *ctx, void *arg)
{
	const struct adoption *a = arg;
	const struct iommu_device_ser *ser = find_device(iommu, a->hw, bdf);
	const char *why;

	why = ser ? check_entry(iommu, a->view, ctx, ser) : NULL;
	if (ser && !why)
		why = reserve_dids(&iommu->domain_ida, intel_device_part(ser));
	if (ser && !why) {
		const struct intel_device_ser *part = intel_device_part(ser);

		set_bit(bdf, a->seen);
		if (part->pasid_pa)
			take_pasid_tables(part);
		return;
	}

	/* Stopped first: what is running must not run into an entry that is gone. */
	if (ser) {
		iommu_liveupdate_drop_incoming(ser, why);
	} else {
		iommu_liveupdate_stop_stranger(iommu->segment, bdf);
		pr_err("%s: entry of %02x:%02x.%d removed: it was not handed over\n",
		       iommu->name, PCI_BUS_NUM(bdf), PCI_SLOT(bdf), PCI_FUNC(bdf));
	}
	clear_context(iommu, ctx);
}

static void adopt_root(struct intel_iommu *iommu, struct adoption *a)
{
	struct liveupdate_mem *mem = a->view->mem;
	const struct vtd_unit unit = describe_unit(iommu);
	unsigned int bus, half;

	for (bus = 0; bus < ROOT_ENTRIES; bus++) {
		for (half = 0; half < tables_per_root_entry(iommu); half++) {
			u64 *slot = root_slot(iommu, bus, half);
			const char *why;
			void *table;

			if (!(*slot & ENTRY_PRESENT))
				continue;
			why = vtd_check_root_slot(mem, &unit, *slot);
			if (!why) {
				table = iommu_pages_restore(*slot & VTD_PAGE_MASK,
							    SZ_4K);
				walk_contexts(iommu, bus, half, table,
					      adopt_entry, a);
				continue;
			}
			pr_err("%s: bus %02x is blocked: %s\n", iommu->name,
			       bus, why);
			liveupdate_refused("bus", "intel", why, "bus=%#x", bus);
			WRITE_ONCE(*slot, 0);
			__iommu_flush_cache(iommu, slot, sizeof(*slot));
		}
	}
}

static const char *intel_check_tables(struct iommu_device *dev,
				      const struct iommu_ser_view *view,
				      const struct iommu_domain_ser *domain)
{
	const struct vtd_unit unit = describe_unit(to_intel_iommu(dev));

	return vtd_check_tables(view->mem, &unit, domain);
}

static const char *intel_compare_iommu(struct iommu_device *dev,
				       const struct iommu_hw_ser *hw)
{
	u64 rtaddr = readq(to_intel_iommu(dev)->reg + DMAR_RTADDR_REG);
	bool scalable = rtaddr & DMA_RTADDR_SMT;

	if ((rtaddr & VTD_PAGE_MASK) != intel_hw_part(hw)->root_pa)
		return "hardware has another root table than the handover";
	if (scalable != !!(intel_hw_part(hw)->flags & INTEL_HW_SER_SCALABLE))
		return "hardware is in another mode than the handover";
	return NULL;
}

static const char *intel_policy(struct iommu_device *dev,
				const struct iommu_hw_ser *hw)
{
	bool scalable = intel_hw_part(hw)->flags & INTEL_HW_SER_SCALABLE;

	if (scalable != sm_supported(to_intel_iommu(dev)))
		return "this kernel uses another mode; see intel_iommu=sm_on and sm_off";
	return NULL;
}

static const char *intel_adopt_iommu(struct iommu_device *dev,
				     const struct iommu_hw_ser *hw,
				     const struct iommu_ser_view *view)
{
	struct intel_iommu *iommu = to_intel_iommu(dev);
	const struct iommu_device_ser *ser = NULL;
	struct adoption a = { .hw = hw, .view = view };

	a.seen = bitmap_zalloc(BIT(16), GFP_KERNEL);
	if (!a.seen)
		return "out of memory";
	iommu->root_entry = iommu_pages_restore(intel_hw_part(hw)->root_pa,
						SZ_4K);
	if (!iommu->root_entry) {
		bitmap_free(a.seen);
		return "the root table was not preserved";
	}

	adopt_root(iommu, &a);
	while ((ser = iommu_liveupdate_next_incoming(hw, ser)))
		if (!test_bit(ser->bdf, a.seen))
			iommu_liveupdate_drop_incoming(ser,
						       "it has no context entry");
	bitmap_free(a.seen);
	flush_all(iommu);
	iommu->flags &= ~VTD_FLAG_TRANS_PRE_ENABLED;
	return NULL;
}

static void remove_entry(struct intel_iommu *iommu, u16 bdf,
			 struct context_entry *ctx, void *arg)
{
	clear_context(iommu, ctx);
}

/*
 * The driver frees the tables next, and none of its own entries was made yet.
 * PASID tables stay where they are until the next reboot.
 */
static void intel_unadopt_iommu(struct iommu_device *dev,
				const struct iommu_hw_ser *hw)
{
	struct intel_iommu *iommu = to_intel_iommu(dev);
	unsigned int bus, half;

	for (bus = 0; bus < ROOT_ENTRIES; bus++) {
		for (half = 0; half < tables_per_root_entry(iommu); half++) {
			u64 *slot = root_slot(iommu, bus, half);

			if (*slot & ENTRY_PRESENT)
				walk_contexts(iommu, bus, half,
					      phys_to_virt(*slot & VTD_PAGE_MASK),
					      remove_entry, NULL);
		}
	}
	flush_all(iommu);
	/* Nothing was probed yet: these are the ids of the handover. */
	ida_destroy(&iommu->domain_ida);
}

/* Of what it came with only the list of its PASIDs is not in use. */
static void intel_forget_device(const struct iommu_device_ser *ser)
{
	const struct intel_device_ser *part = intel_device_part(ser);

	if (part->nr_pasids)
		kho_restore_free(phys_to_virt(part->pasids_pa));
}

static bool intel_is_behind(struct iommu_device *dev, struct device *device)
{
	struct dmar_drhd_unit *drhd;

	drhd = dmar_find_matched_drhd_unit(to_pci_dev(device));
	return drhd && drhd->iommu == to_intel_iommu(dev);
}

/**
 * intel_liveupdate_adopt_pasid() - Use the PASID directory that came along
 * @dev:  The device, being probed, in scalable mode.
 * @info: Its VT-d data.
 *
 * Return: true if the device came with a handover and @info->pasid_table is
 * set.
 */
bool intel_liveupdate_adopt_pasid(struct device *dev,
				  struct device_domain_info *info)
{
	const struct intel_device_ser *part;
	const struct iommu_device_ser *ser;

	ser = iommu_liveupdate_incoming_device(dev);
	if (!ser)
		return false;
	part = intel_device_part(ser);
	if (!part->pasid_pa)
		return false;
	info->pasid_table = kzalloc_obj(*info->pasid_table,
					GFP_KERNEL | __GFP_NOFAIL);
	info->pasid_table->table = phys_to_virt(part->pasid_pa);
	info->pasid_table->max_pasid = part->max_pasid;
	return true;
}

/**
 * intel_liveupdate_released() - The driver is about to forget a device
 * @dev: The device. Its VT-d data are still there.
 *
 * Before the PASID directory is freed, which hardware may be using.
 */
void intel_liveupdate_released(struct device *dev)
{
	iommu_liveupdate_lost(dev, &intel_liveupdate_ops);
}

/* As domain_attach_iommu(), with the domain id that is in use already. */
static int restored_attach_iommu(struct dmar_domain *d,
				 struct intel_iommu *iommu, u16 did)
{
	struct iommu_domain_info *info;
	int ret;

	guard(mutex)(&iommu->did_lock);
	info = xa_load(&d->iommu_array, iommu->seq_id);
	if (info) {
		info->refcnt++;
		return 0;
	}
	info = kzalloc_obj(*info);
	if (!info)
		return -ENOMEM;
	info->iommu = iommu;
	info->refcnt = 1;
	info->did = did;
	ret = xa_err(xa_store(&d->iommu_array, iommu->seq_id, info,
			      GFP_KERNEL));
	if (ret)
		kfree(info);
	return ret;
}

/*
 * Undoes it. The id stays taken until the next reboot: entries that are there have
 * it, this device's and maybe others'.
 */
static void restored_detach_iommu(struct dmar_domain *d,
				  struct intel_iommu *iommu)
{
	struct iommu_domain_info *info;

	guard(mutex)(&iommu->did_lock);
	info = xa_load(&d->iommu_array, iommu->seq_id);
	if (--info->refcnt)
		return;
	xa_erase(&d->iommu_array, iommu->seq_id);
	kfree(info);
}

/*
 * Attaching a restored domain changes no hardware: adopt_entry() has verified
 * that the entry of the device says this already. What is left is what the
 * driver has to know to replace the domain later.
 */
static int restored_attach_dev(struct iommu_domain *domain, struct device *dev,
			       struct iommu_domain *old)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct dmar_domain *d = to_dmar_domain(domain);
	struct intel_iommu *iommu = info->iommu;
	const struct iommu_device_ser *ser;
	int ret;

	ser = iommu_liveupdate_incoming_device(dev);
	if (!ser || old || info->domain_attached)
		return -EINVAL;

	ret = restored_attach_iommu(d, iommu, intel_device_part(ser)->did);
	if (ret)
		return ret;
	ret = cache_tag_assign_domain(d, dev, IOMMU_NO_PASID);
	if (ret) {
		restored_detach_iommu(d, iommu);
		return ret;
	}

	info->domain = d;
	info->domain_attached = true;
	scoped_guard(spinlock_irqsave, &d->lock)
		list_add(&info->link, &d->devices);
	return 0;
}

static void restored_free(struct iommu_domain *domain)
{
	struct dmar_domain *d = to_dmar_domain(domain);

	if (WARN_ON(!list_empty(&d->devices)))
		return;
	pt_iommu_deinit(&d->iommu);
	kfree(d->qi_batch);
	kfree(d);
}

static const struct iommu_domain_ops restored_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(vtdss),
	.attach_dev = restored_attach_dev,
	.free = restored_free,
};

static struct iommu_domain *
intel_restore_domain(struct iommu_device *dev,
		     const struct iommu_domain_ser *ser)
{
	struct pt_iommu_vtdss_cfg cfg = {
		.common.features = BIT(PT_FEAT_FLUSH_RANGE),
		.common.hw_max_vasz_lg2 = ser->vasz_lg2,
		.common.hw_max_oasz_lg2 = 52,
		.top_level = ser->top_level,
	};
	struct dmar_domain *d;
	int ret;

	d = kzalloc_obj(*d);
	if (!d)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&d->devices);
	INIT_LIST_HEAD(&d->dev_pasids);
	INIT_LIST_HEAD(&d->cache_tags);
	spin_lock_init(&d->lock);
	spin_lock_init(&d->cache_lock);
	xa_init(&d->iommu_array);
	INIT_LIST_HEAD(&d->s1_domains);
	spin_lock_init(&d->s1_lock);
	d->iommu.nid = NUMA_NO_NODE;

	ret = pt_iommu_vtdss_restore(&d->sspt, &cfg, ser->top_pa);
	if (ret) {
		kfree(d);
		return ERR_PTR(ret);
	}
	d->domain.ops = &restored_domain_ops;
	return &d->domain;
}

static void refuse_legacy(struct device_domain_info *info)
{
	struct intel_iommu *iommu = info->iommu;
	struct context_entry *ctx;
	u16 did;

	scoped_guard(spinlock, &iommu->lock) {
		ctx = iommu_context_addr(iommu, info->bus, info->devfn, 0);
		if (!ctx || !context_present(ctx))
			return;
		did = context_domain_id(ctx);
		clear_context(iommu, ctx);
	}
	intel_context_flush_no_pasid(info, ctx, did,
				     PCI_DEVID(info->bus, info->devfn));
}

/* All its PASIDs; "6.5.3.3 Guidance to Software for Invalidations" for each */
static void refuse_scalable(struct device_domain_info *info)
{
	struct pasid_table *pasids = info->pasid_table;
	u32 pasid = IOMMU_NO_PASID;

	while (pasids && next_pasid(pasids->table, pasids->max_pasid, &pasid))
		intel_pasid_tear_down_entry(info->iommu, info->dev, pasid, false);
	intel_pasid_tear_down_entry(info->iommu, info->dev, IOMMU_NO_PASID, false);
}

static void intel_refuse_device(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (sm_supported(info->iommu))
		refuse_scalable(info);
	else
		refuse_legacy(info);
	ats_off(info);
}

/* --- both --- */

static const char *intel_device_format(const struct iommu_device_ser *device)
{
	const struct intel_device_ser *part = intel_device_part(device);

	if (part->nr_pasids)
		return INTEL_IOMMU_LIVEUPDATE_COMPATIBLE;
	return part->flags ? INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V2 :
			     INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V1;
}

static void intel_show_iommu(struct liveupdate_view *v,
			     const struct iommu_hw_ser *hw)
{
	const struct intel_hw_ser *part = intel_hw_part(hw);

	liveupdate_show_word(v, "type", "vtd");
	liveupdate_show_word(v, "mode", part->flags & INTEL_HW_SER_SCALABLE ?
			     "scalable" : "legacy");
	liveupdate_show_pa(v, "root", part->root_pa);
}

static void intel_show_domain(struct liveupdate_view *v,
			      const struct iommu_domain_ser *domain)
{
	liveupdate_show_word(v, "format", "vtdss");
}

static void intel_show_device(struct liveupdate_view *v,
			      const struct iommu_device_ser *device)
{
	const struct intel_device_ser *part = intel_device_part(device);

	liveupdate_show_num(v, "did", part->did);
	if (part->flags)
		liveupdate_show_word(v, "ats",
				     part->flags & INTEL_DEVICE_SER_ATS ?
				     "on" : "off");
}

const struct iommu_liveupdate_ops intel_liveupdate_ops = {
	.name = "intel",
	.checks = &vtd_ser_driver,
	.compatible = INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V1,
	.device_format = intel_device_format,
	.v1 = &vtd_ser_v1_ops,
	.identify = intel_identify,
	.preserve_iommu = intel_preserve_iommu,
	.unpreserve_iommu = intel_unpreserve_iommu,
	.preserve_interrupts = intel_preserve_interrupts,
	.unpreserve_interrupts = intel_unpreserve_interrupts,
	.preserve_domain = intel_preserve_domain,
	.unpreserve_domain = intel_unpreserve_domain,
	.can_replace = intel_can_replace,
	.preserve_device = intel_preserve_device,
	.unpreserve_device = intel_unpreserve_device,
	.compare_device = intel_compare_device,
	.scrub_iommu = intel_scrub_iommu,
	.block_interrupts = intel_block_interrupts,
	.back_iommus = intel_back_iommus,
	.compare_iommu = intel_compare_iommu,
	.policy = intel_policy,
	.check_tables = intel_check_tables,
	.adopt_iommu = intel_adopt_iommu,
	.unadopt_iommu = intel_unadopt_iommu,
	.forget_device = intel_forget_device,
	.is_behind = intel_is_behind,
	.restore_domain = intel_restore_domain,
	.refuse_device = intel_refuse_device,
	.show_iommu = intel_show_iommu,
	.show_domain = intel_show_domain,
	.show_device = intel_show_device,
};

/* Before init_dmars(), and also if that is told to leave the IOMMUs off. */
static int __init intel_liveupdate_init(void)
{
	return iommu_liveupdate_register(&intel_liveupdate_ops);
}
core_initcall(intel_liveupdate_init);
