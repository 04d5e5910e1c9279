/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * A part of iommu.c, with the functions that only that file has: to replace the domain
 * of a device while the device is doing DMA.
 */

/**
 * DOC: Replacing a domain of AMD-Vi without a gap
 *
 * References are to the "AMD I/O Virtualization Technology (IOMMU) Specification".
 *
 * A device that is attached to a domain with host page tables and gets another one
 * of the same kind never sees anything but one of the two. All that changes is in the
 * lower 128 bits of its device table entry: domain id, table pointer, number of
 * levels, and whether hardware writes dirty bits. They are written by one 128-bit
 * operation, and hardware reads an entry in one piece ("Device Table Entry Format").
 * The entry stays valid all the time. After it was written, the entry, the device's
 * own cache and all that is cached under the old domain id are invalidated, and that
 * is waited for. Only then the old domain can be freed.
 *
 * *With a gap*, as before there was this file (the device is blocked, then gets the
 * new domain): from and to a domain without paging, with guest page tables or nested. In
 * these, 256 bits change, or what the device's own capabilities are switched to.
 *
 * *Refused, nothing changed.* A device that leaves the domain that it came with from
 * the previous kernel may not have a gap. The attach fails with -EOPNOTSUPP, by the rule
 * amd_host.
 *
 * *Locking.* The caller holds the group mutex. The locks of both domains are held while
 * the device moves from one's list to the other's and its entry is written, because a
 * top that grows, and dirty tracking, walk the list of their domain under its lock, and
 * write the entries of the devices that they find there. The two nest in the order of
 * their addresses. The entry's lock is inside of them, as it is there.
 */

static bool amd_replace_applies(struct iommu_dev_data *dev_data,
				struct protection_domain *new,
				struct iommu_domain *old)
{
	struct protection_domain *cur = dev_data->domain;

	return cur && old == &cur->domain &&
	       old->type & __IOMMU_DOMAIN_PAGING &&
	       new->domain.type & __IOMMU_DOMAIN_PAGING &&
	       cur->pd_mode == PD_MODE_V1 && new->pd_mode == PD_MODE_V1 &&
	       !dev_data->gcr3_info.gcr3_tbl;
}

static int amd_replace(struct iommu_dev_data *dev_data,
		       struct protection_domain *new)
{
	struct amd_iommu *iommu = get_amd_iommu_from_dev_data(dev_data);
	struct protection_domain *old = dev_data->domain;
	struct protection_domain *first = min(old, new);
	unsigned long flags;
	int ret;

	guard(mutex)(&dev_data->mutex);
	ret = pdom_attach_iommu(iommu, new);
	if (ret)
		return ret;

	spin_lock_irqsave(&first->lock, flags);
	spin_lock_nested(first == old ? &new->lock : &old->lock,
			 SINGLE_DEPTH_NESTING);
	list_move(&dev_data->list, &new->dev_list);
	dev_data->domain = new;
	/* Returns when hardware has let go of the old domain. */
	set_dte_entry(iommu, dev_data, 0, 0);
	spin_unlock(first == old ? &new->lock : &old->lock);
	spin_unlock_irqrestore(&first->lock, flags);

	pdom_detach_iommu(iommu, old);
	return 0;
}

/**
 * amd_replace_domain() - Replace a domain without a gap, if that can be done
 * @domain: The domain that the device is to get.
 * @dev: The device.
 * @old: The domain that the core says it has, or NULL.
 * @ret: What the attach returns, if that is decided here: 0; -ENOMEM, -ENOSPC; or
 *	-EOPNOTSUPP for a restored domain that cannot be left without a gap. If it
 *	fails, nothing has changed.
 *
 * Return: true if *@ret is the result, false if the attach goes on with a gap.
 */
static bool amd_replace_domain(struct iommu_domain *domain, struct device *dev,
			       struct iommu_domain *old, int *ret)
{
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);

	if (!amd_replace_applies(dev_data, to_pdomain(domain), old)) {
		if (!old || !iommu_domain_is_restored(old))
			return false;
		*ret = amd_liveupdate_gap(dev);
		return true;
	}
	*ret = amd_replace(dev_data, to_pdomain(domain));
#ifdef CONFIG_IRQ_REMAP
	if (!*ret && AMD_IOMMU_GUEST_IR_VAPIC(amd_iommu_guest_ir))
		dev_data->use_vapic = domain->type == IOMMU_DOMAIN_UNMANAGED;
#endif
	return true;
}

#ifdef CONFIG_IOMMU_LIVEUPDATE
/*
 * Attaching a restored domain changes no hardware: the adoption of the unit has
 * verified that the entry of the device says this already. What is left is what the
 * driver has to know to replace the domain later.
 */
static int amd_restored_attach_dev(struct iommu_domain *dom, struct device *dev,
				   struct iommu_domain *old)
{
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);
	struct protection_domain *domain = to_pdomain(dom);
	int ret;

	if (!iommu_liveupdate_incoming_device(dev) || old || dev_data->domain)
		return -EINVAL;
	guard(mutex)(&dev_data->mutex);
	ret = pdom_attach_iommu(get_amd_iommu_from_dev_data(dev_data), domain);
	if (ret)
		return ret;
	dev_data->domain = domain;
	scoped_guard(spinlock_irqsave, &domain->lock)
		list_add(&dev_data->list, &domain->dev_list);
	return 0;
}

static void amd_restored_free(struct iommu_domain *dom)
{
	struct protection_domain *domain = to_pdomain(dom);

	if (WARN_ON(!list_empty(&domain->dev_list)))
		return;
	pt_iommu_deinit(&domain->iommu);
	amd_liveupdate_put_did(domain->id);
	kfree(domain);
}

static const struct iommu_domain_ops amd_restored_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.attach_dev = amd_restored_attach_dev,
	.free = amd_restored_free,
};

/* What restore_domain() of struct iommu_liveupdate_ops does */
struct iommu_domain *amd_liveupdate_restore(phys_addr_t top,
					    unsigned int top_level,
					    unsigned int vasz_lg2, u16 did)
{
	struct pt_iommu_amdv1_cfg cfg = {
		/* Those that the driver's own have, so that the two can be compared. */
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE) |
				   BIT(PT_FEAT_FLUSH_RANGE),
		.common.hw_max_vasz_lg2 = vasz_lg2,
		.common.hw_max_oasz_lg2 = 52,
		.starting_level = top_level,
	};
	struct protection_domain *domain;
	int ret;

	domain = kzalloc_obj(*domain);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	protection_domain_init(domain);
	domain->id = did;
	domain->pd_mode = PD_MODE_V1;
	domain->iommu.driver_ops = &amd_hw_driver_ops_v1;
	domain->iommu.nid = NUMA_NO_NODE;
	ret = pt_iommu_amdv1_restore(&domain->amdv1, &cfg, top);
	if (ret) {
		kfree(domain);
		return ERR_PTR(ret);
	}
	domain->domain.ops = &amd_restored_domain_ops;
	return &domain->domain;
}
#endif
