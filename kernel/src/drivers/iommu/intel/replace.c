// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replace the domain of a device while the device is doing DMA
 *
 * Section titles in quotes are those of the Intel Virtualization Technology for
 * Directed I/O Architecture Specification. Names used there and here:
 *
 *   SSPTPTR, ASR	table pointer of second-stage translation (PASID-table
 *			entry, legacy-mode context entry)
 *   FSPTPTR, FSPM	table pointer and paging mode of first-stage translation
 *   DID		domain-id, tags what the hardware caches
 *   PGTT		translation type of a PASID-table entry
 *   CM			caching mode
 */

/**
 * DOC: Replacing a domain without a gap
 *
 * A device that is attached to a paging domain and gets another one never sees
 * anything but one of the two. The entry that says how its requests are
 * translated stays present all the time; it is never cleared to be written anew.
 *
 * The new domain gets its DID on this IOMMU and the cache tags for this device
 * first, so that from the first access by the hardware on each unmap in it
 * invalidates what the hardware may have cached. Then the entry is changed,
 * the caches are invalidated as "Guidance to Software for Invalidations" asks
 * for when a present entry was changed, and that is waited for. Only after that
 * the old domain loses its cache tags and its DID, and the caller may free it.
 *
 * *Legacy mode, second stage in scalable mode.* All that changes is in one
 * 128-bit quantity: the whole context entry, or the first quarter of the
 * PASID-table entry (DID, PGTT, SSPTPTR, address width, snoop and dirty
 * control). It is written by one 128-bit atomic operation, and the hardware
 * reads it in one piece. In legacy mode each DMA alias of the device has an
 * entry of its own. All are checked before the first is changed.
 *
 * *First stage.* DID is in the first quarter of the PASID-table entry and FSPTPTR
 * in the second. The hardware may read one before and the other one after a
 * change, so if both changed at once it could combine the DID of one domain with
 * the table of the other, and other devices in the domain with that DID would hit
 * what is cached then. Therefore the change is made in three steps, with a
 * third DID that nothing else in this IOMMU uses and that is given back at the
 * end::
 *
 *	             (DID, table)
 *	running      (old, old)
 *	first step   (tmp, old)	128-bit write, invalidate old DID, wait
 *	second step  (tmp, new)	64-bit write, invalidate tmp DID, wait
 *	third step   (new, new)	128-bit write, invalidate tmp DID, wait
 *
 * As each step is waited for, the hardware finds at most one of the quarters
 * changing, and each combination that it can come across is in this list. In
 * each of them the device reaches the old or the new mappings. What is
 * cached under the old and the new DID was always translated by the table that
 * belongs to it; what is cached under the temporary one can be hit by this
 * device only, and is gone before the DID is. FSPM is in the 64 bits of the
 * table pointer, so that the number of levels may change as well. The snoop
 * controls hold for both tables while the steps are made.
 *
 * *With a gap.* If one of these stands in the way, nothing was changed here, and
 * the attach goes on as it did before there was this file: the device is blocked,
 * then gets the new domain.
 *
 * - The CPU has no 128-bit atomic operation (cmpxchg16b; all 32-bit kernels).
 * - First stage and second stage replace each other: that could be made in steps
 *   if the hardware ignores the table pointer of the type that is not in use,
 *   which is not relied on here.
 * - Fields outside of what is described above would have to change.
 * - The entry does not hold what the old domain must have put there (not
 *   present, another DID).
 * - No DID is left: the old domain gives its own back only after the exchange.
 *
 * *Refused, nothing changed.* A device that leaves the domain that it came with
 * from the previous kernel may not have a gap. In place of all of the above the
 * attach fails, with -EOPNOTSUPP, -EIO if it is about the content of the entry,
 * -ENOSPC, and one rate-limited message.
 *
 * The new domain does not suit the IOMMU (-EINVAL), or there is no memory
 * (-ENOMEM): the attach fails for every domain, as ever.
 *
 * *Never done here.* A device that has no paging domain yet (blocked, identity,
 * nested), a new domain that is not a paging domain, and a sub-device
 * whose DMA is done by another one: these are attached as ever.
 *
 * *Locking.* The caller holds the group mutex. domain->lock of both domains is
 * held from the check of the entry until the hardware has let go of the old
 * content, because dirty tracking and forced snooping walk domain->devices and
 * domain->dev_pasids under it and change the entry of each device they find: the
 * device is in the list of the domain that its entry belongs to, at every
 * moment that one of these can see it. The two locks nest in the order of their
 * addresses. iommu->lock is inside of them, as in dirty tracking.
 */

#define pr_fmt(fmt)	"liveupdate: " fmt
#define dev_fmt(fmt)	pr_fmt(fmt)

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/iommu.h>
#include <linux/iommu-liveupdate.h>
#include <linux/minmax.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#include "iommu.h"
#include "pasid.h"
#include "replace.h"

enum {
	/* Legacy-mode context entry, high half */
	CONTEXT_HI_AW		= GENMASK_ULL(2, 0),
	CONTEXT_HI_DID		= GENMASK_ULL(23, 8),
	/* Legacy-mode context entry, low half */
	CONTEXT_LO_TT		= GENMASK_ULL(3, 2),
	/* PASID-table entry, val[1] */
	PASID_1_DID		= GENMASK_ULL(15, 0),
	PASID_1_PWSNP		= BIT_ULL(23),
	PASID_1_PGSNP		= BIT_ULL(24),
	/* PASID-table entry, val[2] less FSPTPTR */
	PASID_2_FSPM		= GENMASK_ULL(3, 2),
};

/*
 * One replace of the translation of one PASID of a device; IOMMU_NO_PASID for
 * its requests without PASID.
 */
struct replace {
	struct device *dev;
	struct device_domain_info *info;
	struct intel_iommu *iommu;
	ioasid_t pasid;

	struct dmar_domain *old;
	struct dmar_domain *new;
	u16 old_did;
	u16 new_did;
	int tmp_did;		/* 0 is none; first stage only */
};

static __printf(2, 3) void replace_refuse(struct replace *r,
					  const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	if (iommu_domain_is_restored(&r->old->domain))
		dev_err_ratelimited(r->dev, "the domain of PASID %u cannot be replaced without a gap: %pV\n",
				    r->pasid, &vaf);
	else
		dev_dbg(r->dev, "the domain of PASID %u is replaced with a gap: %pV\n",
			r->pasid, &vaf);
	va_end(args);
}

/*
 * Write 128 bits at once. What is overwritten has been checked with iommu->lock
 * held, under which all writers of these entries are, so that this has nothing
 * to compare and cannot fail.
 */
#ifdef system_has_cmpxchg128
static bool can_write_128(void)
{
	return system_has_cmpxchg128();
}

static void write_128(struct intel_iommu *iommu, u64 *entry, u64 lo, u64 hi)
{
	u128 new = (u128)hi << 64 | lo;
	u128 cur = (u128)READ_ONCE(entry[1]) << 64 | READ_ONCE(entry[0]);

	lockdep_assert_held(&iommu->lock);

	while (!try_cmpxchg128((u128 *)entry, &cur, new))
		;
	__iommu_flush_cache(iommu, entry, 2 * sizeof(*entry));
}
#else
static bool can_write_128(void)
{
	return false;
}

static void write_128(struct intel_iommu *iommu, u64 *entry, u64 lo, u64 hi)
{
}
#endif

/* Whatever the device itself has cached, after the IOTLB is clean. */
static void flush_devtlb(struct replace *r)
{
	struct device_domain_info *info = r->info;
	u16 sid = PCI_DEVID(info->bus, info->devfn);

	if (!info->ats_enabled)
		return;

	/* A device that was pulled out would never answer. */
	if (!pci_device_is_present(to_pci_dev(r->dev)))
		return;

	if (r->pasid == IOMMU_NO_PASID)
		qi_flush_dev_iotlb(r->iommu, sid, info->pfsid, info->ats_qdep,
				   0, MAX_AGAW_PFN_WIDTH);
	else
		qi_flush_dev_iotlb_pasid(r->iommu, sid, info->pfsid, r->pasid,
					 info->ats_qdep, 0, MAX_AGAW_PFN_WIDTH);
	quirk_extra_dev_tlb_flush(info, 0, MAX_AGAW_PFN_WIDTH, r->pasid,
				  info->ats_qdep);
}

/*
 * Legacy mode: one context entry for each alias
 */
typedef int (*alias_fn)(struct pci_dev *pdev, u16 alias, void *data);

static int walk_aliases(struct replace *r, alias_fn fn)
{
	if (dev_is_pci(r->dev))
		return pci_for_each_dma_alias(to_pci_dev(r->dev), fn, r);

	return fn(NULL, PCI_DEVID(r->info->bus, r->info->devfn), r);
}

static struct context_entry *alias_context(struct replace *r, u16 alias)
{
	return iommu_context_addr(r->iommu, PCI_BUS_NUM(alias), alias & 0xff, 0);
}

static int context_check(struct pci_dev *pdev, u16 alias, void *data)
{
	struct context_entry *context;
	struct replace *r = data;
	u16 did;

	context = alias_context(r, alias);
	if (!context || !context_present(context) ||
	    context_copied(r->iommu, PCI_BUS_NUM(alias), alias & 0xff)) {
		replace_refuse(r, "no translation is set up for alias %02x:%02x.%d",
			       PCI_BUS_NUM(alias), PCI_SLOT(alias & 0xff),
			       PCI_FUNC(alias & 0xff));
		return -EIO;
	}

	/*
	 * Devices behind a conventional PCI bridge are in one group and share
	 * the alias of the bridge: it is the new domain's if the other one went
	 * first.
	 */
	did = context_domain_id(context);
	if (did != r->old_did && did != r->new_did) {
		replace_refuse(r, "alias %02x:%02x.%d is in domain id %u instead of %u",
			       PCI_BUS_NUM(alias), PCI_SLOT(alias & 0xff),
			       PCI_FUNC(alias & 0xff), did, r->old_did);
		return -EIO;
	}

	switch (FIELD_GET(CONTEXT_LO_TT, context->lo)) {
	case CONTEXT_TT_MULTI_LEVEL:
	case CONTEXT_TT_DEV_IOTLB:
		return 0;
	default:
		replace_refuse(r, "alias %02x:%02x.%d has no second-stage translation",
			       PCI_BUS_NUM(alias), PCI_SLOT(alias & 0xff),
			       PCI_FUNC(alias & 0xff));
		return -EIO;
	}
}

/* The translation type stays: it says whether ATS is in use, and so it is. */
static int context_exchange(struct pci_dev *pdev, u16 alias, void *data)
{
	struct pt_iommu_vtdss_hw_info pt_info;
	struct context_entry *context, new;
	struct replace *r = data;

	context = alias_context(r, alias);
	pt_iommu_vtdss_hw_info(&r->new->sspt, &pt_info);

	new = *context;
	new.hi &= ~(CONTEXT_HI_AW | CONTEXT_HI_DID);
	context_set_address_root(&new, pt_info.ssptptr);
	context_set_address_width(&new, pt_info.aw);
	context_set_domain_id(&new, r->new_did);
	write_128(r->iommu, &context->lo, new.lo, new.hi);
	return 0;
}

static int context_flush(struct pci_dev *pdev, u16 alias, void *data)
{
	struct replace *r = data;

	r->iommu->flush.flush_context(r->iommu, r->old_did, alias,
				      DMA_CCMD_MASK_NOBIT,
				      DMA_CCMD_DEVICE_INVL);
	return 0;
}

static int replace_context(struct replace *r)
{
	struct intel_iommu *iommu = r->iommu;
	int ret;

	spin_lock(&iommu->lock);
	ret = walk_aliases(r, context_check);
	if (!ret)
		walk_aliases(r, context_exchange);
	spin_unlock(&iommu->lock);
	if (ret)
		return ret;

	walk_aliases(r, context_flush);
	iommu->flush.flush_iotlb(iommu, r->old_did, 0, 0, DMA_TLB_DSI_FLUSH);
	if (cap_caching_mode(iommu->cap))
		iommu->flush.flush_iotlb(iommu, r->new_did, 0, 0,
					 DMA_TLB_DSI_FLUSH);
	flush_devtlb(r);
	return 0;
}

/*
 * Scalable mode: the PASID-table entry
 */
static struct pasid_entry *pasid_entry(struct replace *r)
{
	struct pasid_table *table = r->info->pasid_table;
	struct pasid_dir_entry *dir;
	struct pasid_entry *entries;

	if (!table || r->pasid >= table->max_pasid)
		return NULL;

	dir = table->table;
	entries = get_pasid_table_from_pde(&dir[r->pasid >> PASID_PDE_SHIFT]);
	return entries ? &entries[r->pasid & PASID_PTE_MASK] : NULL;
}

/* What an attach to a PASID that has no translation would write */
static void pasid_new_entry(struct replace *r, struct pasid_entry *new)
{
	struct pt_iommu_x86_64_hw_info pt_info;
	unsigned int flags = 0;

	if (intel_domain_is_ss_paging(r->new)) {
		pasid_pte_config_second_level(r->iommu, new, r->new,
					      r->new_did);
		return;
	}

	pt_iommu_x86_64_hw_info(&r->new->fspt, &pt_info);
	if (pt_info.levels == 5)
		flags |= PASID_FLAG_FL5LP;
	if (r->new->force_snooping)
		flags |= PASID_FLAG_PAGE_SNOOP;
	if (!(r->new->fspt.x86_64_pt.common.features &
	      BIT(PT_FEAT_DMA_INCOHERENT)))
		flags |= PASID_FLAG_PWSNP;
	pasid_pte_config_first_level(r->iommu, new, pt_info.gcr3_pt,
				     r->new_did, flags);
}

static int pasid_check(struct replace *r, struct pasid_entry *pte,
		       struct pasid_entry *new)
{
	u64 differ, may_change = 0;
	u16 did, pgtt;
	int i;

	if (!pte || !pasid_pte_is_present(pte)) {
		replace_refuse(r, "no translation is set up");
		return -EIO;
	}

	did = pasid_get_domain_id(pte);
	if (did != r->old_did) {
		replace_refuse(r, "it is in domain id %u instead of %u", did,
			       r->old_did);
		return -EIO;
	}

	pgtt = pasid_pte_get_pgtt(pte);
	if (pgtt != pasid_pte_get_pgtt(new)) {
		replace_refuse(r, "translation type %u would change to %u",
			       pgtt, pasid_pte_get_pgtt(new));
		return -EOPNOTSUPP;
	}

	if (intel_domain_is_fs_paging(r->new))
		may_change = VTD_PAGE_MASK | PASID_2_FSPM;
	differ = (READ_ONCE(pte->val[2]) ^ new->val[2]) & ~may_change;
	for (i = 3; i < ARRAY_SIZE(pte->val); i++)
		differ |= READ_ONCE(pte->val[i]) ^ new->val[i];
	if (differ) {
		replace_refuse(r, "fields %#llx would change that cannot be changed in one piece",
			       differ);
		return -EOPNOTSUPP;
	}

	return 0;
}

static void pasid_write_0_1(struct replace *r, struct pasid_entry *pte,
			    u64 val0, u64 val1)
{
	spin_lock(&r->iommu->lock);
	write_128(r->iommu, pte->val, val0, val1);
	spin_unlock(&r->iommu->lock);
}

static void pasid_write_2(struct replace *r, struct pasid_entry *pte, u64 val2)
{
	spin_lock(&r->iommu->lock);
	WRITE_ONCE(pte->val[2], val2);
	__iommu_flush_cache(r->iommu, &pte->val[2], sizeof(pte->val[2]));
	spin_unlock(&r->iommu->lock);
}

static void pasid_flush(struct replace *r, u16 did)
{
	struct intel_iommu *iommu = r->iommu;

	qi_flush_pasid_cache(iommu, did, QI_PC_PASID_SEL, r->pasid);
	if (intel_domain_is_ss_paging(r->new))
		iommu->flush.flush_iotlb(iommu, did, 0, 0, DMA_TLB_DSI_FLUSH);
	else
		qi_flush_piotlb_all(iommu, did, r->pasid);
}

static int replace_pasid_entry(struct replace *r)
{
	struct pasid_entry *pte = pasid_entry(r);
	struct pasid_entry new;
	u16 used_did;
	u64 val1;
	int ret;

	spin_lock(&r->iommu->lock);
	pasid_new_entry(r, &new);
	ret = pasid_check(r, pte, &new);
	spin_unlock(&r->iommu->lock);
	if (ret)
		return ret;

	/*
	 * With the domain locks held nobody else writes this entry while
	 * iommu->lock is free.
	 */
	used_did = r->old_did;
	if (r->tmp_did) {
		val1 = new.val[1] & ~PASID_1_DID;
		val1 |= READ_ONCE(pte->val[1]) & (PASID_1_PWSNP | PASID_1_PGSNP);
		val1 |= r->tmp_did;
		pasid_write_0_1(r, pte, new.val[0], val1);
		pasid_flush(r, r->old_did);

		pasid_write_2(r, pte, new.val[2]);
		pasid_flush(r, r->tmp_did);
		used_did = r->tmp_did;
	}

	pasid_write_0_1(r, pte, new.val[0], new.val[1]);
	pasid_flush(r, used_did);
	if (cap_caching_mode(r->iommu->cap))
		pasid_flush(r, r->new_did);
	flush_devtlb(r);
	return 0;
}

/*
 * Both modes
 */
static void lock_domains(struct replace *r)
{
	struct dmar_domain *first = min(r->old, r->new);
	struct dmar_domain *second = max(r->old, r->new);

	spin_lock(&first->lock);
	spin_lock_nested(&second->lock, SINGLE_DEPTH_NESTING);
}

static void unlock_domains(struct replace *r)
{
	spin_unlock(&r->old->lock);
	spin_unlock(&r->new->lock);
}

static struct dev_pasid_info *find_dev_pasid(struct replace *r)
{
	struct dev_pasid_info *dev_pasid;

	list_for_each_entry(dev_pasid, &r->old->dev_pasids, link_domain)
		if (dev_pasid->dev == r->dev && dev_pasid->pasid == r->pasid)
			return dev_pasid;
	return NULL;
}

/*
 * Change the hardware's entry and the list that the device is in as one, to all
 * who look at the list.
 */
static int replace_locked(struct replace *r)
{
	struct dev_pasid_info *dev_pasid = NULL;
	int ret;

	lockdep_assert_held(&r->old->lock);
	lockdep_assert_held(&r->new->lock);

	if (r->pasid != IOMMU_NO_PASID) {
		dev_pasid = find_dev_pasid(r);
		if (WARN_ON_ONCE(!dev_pasid))
			return -EINVAL;
	}

	/* Could have been forced since the domain was found compatible. */
	if (r->new->force_snooping && !ecap_sc_support(r->iommu->ecap))
		return -EINVAL;

	if (sm_supported(r->iommu))
		ret = replace_pasid_entry(r);
	else
		ret = replace_context(r);
	if (ret)
		return ret;

	if (dev_pasid) {
		list_move(&dev_pasid->link_domain, &r->new->dev_pasids);
	} else {
		list_move(&r->info->link, &r->new->devices);
		r->info->domain = r->new;
	}
	return 0;
}

static int tmp_did_alloc(struct replace *r)
{
	struct intel_iommu *iommu = r->iommu;
	int did;

	if (!intel_domain_is_fs_paging(r->new))
		return 0;

	guard(mutex)(&iommu->did_lock);
	did = ida_alloc_range(&iommu->domain_ida, IDA_START_DID,
			      iommu->max_domain_id - 1, GFP_KERNEL);
	if (did < 0)
		return did;
	r->tmp_did = did;
	return 0;
}

static void tmp_did_free(struct replace *r)
{
	if (!r->tmp_did)
		return;

	guard(mutex)(&r->iommu->did_lock);
	ida_free(&r->iommu->domain_ida, r->tmp_did);
}

/* Is there a translation that the device may be using right now? */
static bool replace_applies(struct device *dev, ioasid_t pasid,
			    struct iommu_domain *old)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (dev_is_real_dma_subdevice(dev))
		return false;

	if (pasid == IOMMU_NO_PASID)
		old = info->domain && info->domain_attached ?
		      &info->domain->domain : NULL;

	return old && (old->type & __IOMMU_DOMAIN_PAGING);
}

static int replace_domain(struct iommu_domain *domain, struct device *dev,
			  ioasid_t pasid, struct iommu_domain *old)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct replace r = {
		.dev = dev,
		.info = info,
		.iommu = info->iommu,
		.pasid = pasid,
		.old = pasid == IOMMU_NO_PASID ? info->domain :
						 to_dmar_domain(old),
		.new = to_dmar_domain(domain),
	};
	int ret;

	if (r.new == r.old)
		return 0;

	if (!can_write_128()) {
		replace_refuse(&r, "the CPU has no 128-bit atomic operation");
		return -EOPNOTSUPP;
	}

	ret = paging_domain_compatible(domain, dev);
	if (ret)
		return ret;

	ret = domain_attach_iommu(r.new, r.iommu);
	if (ret)
		return ret;

	ret = tmp_did_alloc(&r);
	if (ret)
		goto out_detach;

	ret = cache_tag_assign_domain(r.new, dev, pasid);
	if (ret)
		goto out_free_did;

	/*
	 * The old domain's reference is dropped after the exchange: were it the
	 * last one, page requests would not be answered until then, and it could
	 * not be had back for sure.
	 */
	ret = iopf_for_domain_set(domain, dev);
	if (ret)
		goto out_unassign;

	r.old_did = domain_id_iommu(r.old, r.iommu);
	r.new_did = domain_id_iommu(r.new, r.iommu);

	/*
	 * What was mapped while the domain was not in use on this IOMMU has not
	 * been flushed for it. From here on, the cache tags see to it.
	 */
	iommu_flush_write_buffer(r.iommu);

	lock_domains(&r);
	ret = replace_locked(&r);
	unlock_domains(&r);
	if (ret)
		goto out_iopf;

	cache_tag_unassign_domain(r.old, dev, pasid);
	if (r.old->domain.iopf_handler)
		intel_iommu_drain_pasid_prq(dev, pasid);
	iopf_for_domain_remove(&r.old->domain, dev);
	tmp_did_free(&r);
	domain_detach_iommu(r.old, r.iommu);
	return 0;

out_iopf:
	iopf_for_domain_remove(domain, dev);
out_unassign:
	cache_tag_unassign_domain(r.new, dev, pasid);
out_free_did:
	tmp_did_free(&r);
out_detach:
	domain_detach_iommu(r.new, r.iommu);
	return ret;
}

/**
 * intel_replace_can - Can any domain be replaced without a gap?
 *
 * Return: false if this CPU lacks what it takes.
 */
bool intel_replace_can(void)
{
	return can_write_128();
}

/**
 * intel_replace_domain - Replace a paging domain by another one without a gap
 * @domain: the paging domain that takes over
 * @dev: the device
 * @pasid: one of its PASIDs, or IOMMU_NO_PASID
 * @old: the domain that @pasid is attached to, or NULL; not looked at for
 *	IOMMU_NO_PASID, as the driver itself knows what is attached
 * @ret: what the attach is to return, if there is nothing else to do for it
 *
 * To be called with the group mutex held. Requests of the device are translated
 * by the old domain or by @domain all through the call, and by @domain only when
 * @ret is 0. Else they are translated by the old domain as before, and nothing
 * else has changed either. See "Replacing a domain without a gap" for how, and
 * for what @ret is set to.
 *
 * Return: true if @ret is set; false if the attach has to be made with a gap,
 * because there is no paging domain to be replaced or because it cannot be
 * helped.
 */
bool intel_replace_domain(struct iommu_domain *domain, struct device *dev,
			  ioasid_t pasid, struct iommu_domain *old, int *ret)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (!replace_applies(dev, pasid, old))
		return false;
	if (pasid == IOMMU_NO_PASID)
		old = &info->domain->domain;
	*ret = replace_domain(domain, dev, pasid, old);
	switch (*ret) {
	case -EOPNOTSUPP:
	case -EIO:
	case -ENOSPC:
		return iommu_domain_is_restored(old);
	default:
		return true;
	}
}
