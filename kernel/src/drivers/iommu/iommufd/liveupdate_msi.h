/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* A part of driver.c, with the functions that only that file has. */

/**
 * DOC: The doorbell of interrupts in a live update
 *
 * Where an IOMMU translates the writes by which a device raises interrupts (MSIs), iommufd
 * maps the page that these go to, the doorbell, into each HWPT of the device, at an IOVA
 * of its own choice in a window that user space cannot map. This is part of the HWPT's
 * tables, and so of what is preserved. While a HWPT is preserved no doorbell is mapped
 * into it: the interrupts that would need it fail with -EBUSY.
 *
 * A device that goes on with a restored HWPT can have its interrupts set up at once, and
 * not only when the HWPT is replaced: the doorbell is looked for in the restored tables,
 * and keeps the IOVA that it has there in all HWPTs that the device gets later. It is
 * the driver of the interrupts that says where the doorbell is; the tables only say
 * at which IOVA.
 *
 * Comparing restored tables with rebuilt ones does not tell of a doorbell that is not
 * in the rebuilt ones yet: they get it when the device is attached. Tables that are
 * adopted have it already.
 */

/* Map a doorbell, as 7.3 has it in the place where this is called. */
static int iommufd_liveupdate_map_msi(struct iommu_domain *domain, unsigned long iova,
				      phys_addr_t paddr)
{
#ifdef CONFIG_IOMMU_LIVEUPDATE
	/* Adopted with the tables. */
	if (iommu_iova_to_phys(domain, iova) == paddr)
		return 0;
	/* Under sw_msi_lock, which is held while a HWPT is being preserved. */
	if (domain->preserved)
		return -EBUSY;
#endif
	return iommu_map(domain, iova, paddr, PAGE_SIZE,
			 IOMMU_WRITE | IOMMU_READ | IOMMU_MMIO, GFP_KERNEL_ACCOUNT);
}

#ifdef CONFIG_IOMMU_LIVEUPDATE
static struct iommufd_group *iommufd_liveupdate_group(struct iommufd_ctx *ictx,
						      struct device *dev)
{
	struct iommufd_object *obj;
	struct iommufd_device *idev;
	unsigned long index;

	guard(spinlock)(&ictx->objects.xa_lock);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_DEVICE)
			continue;
		idev = container_of(obj, struct iommufd_device, obj);
		if (idev->dev == dev)
			return idev->igroup;
	}
	return NULL;
}

/* The map of a doorbell that is at this page of the window, or an error */
static struct iommufd_sw_msi_map *
iommufd_liveupdate_msi_map(struct iommufd_ctx *ictx, phys_addr_t msi_addr,
			   phys_addr_t sw_msi_start, unsigned int pgoff)
{
	struct iommufd_sw_msi_map *cur;

	lockdep_assert_held(&ictx->sw_msi_lock);
	list_for_each_entry(cur, &ictx->sw_msi_list, sw_msi_item) {
		if (cur->sw_msi_start != sw_msi_start)
			continue;
		if (cur->msi_addr == msi_addr && cur->pgoff == pgoff)
			return cur;
		/* Other HWPTs have it elsewhere, or something else here. */
		if (cur->msi_addr == msi_addr || cur->pgoff == pgoff)
			return ERR_PTR(-EBUSY);
	}
	if (ictx->sw_msi_id >= BITS_PER_BYTE * sizeof_field(struct iommufd_sw_msi_maps, bitmap))
		return ERR_PTR(-EOVERFLOW);
	cur = kzalloc_obj(*cur);
	if (!cur)
		return ERR_PTR(-ENOMEM);
	cur->sw_msi_start = sw_msi_start;
	cur->msi_addr = msi_addr;
	cur->pgoff = pgoff;
	cur->id = ictx->sw_msi_id++;
	list_add_tail(&cur->sw_msi_item, &ictx->sw_msi_list);
	return cur;
}

/*
 * iommufd_sw_msi() of a device on a restored HWPT. Returns 0; -ENOENT if the restored
 * tables do not map the doorbell: the previous kernel had set up no interrupt, and the
 * HWPT has to be replaced first; -EBUSY if another HWPT of the iommufd has it at
 * another IOVA; -EOVERFLOW, -ENOMEM.
 */
static int iommufd_liveupdate_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
				     phys_addr_t msi_addr)
{
	struct device *dev = msi_desc_to_dev(desc);
	struct iommufd_hwpt_restored *hwpt;
	struct iommufd_sw_msi_map *msi_map;
	struct iommufd_group *igroup;
	phys_addr_t page = msi_addr & PAGE_MASK;
	struct pt_iommu_window window;
	unsigned long iova;

	if (!domain->iommufd_hwpt)
		return 0;
	window = iommufd_liveupdate_msi_window(dev);
	if (window.first > window.last)
		return 0;
	hwpt = container_of(domain->iommufd_hwpt, struct iommufd_hwpt_restored, common);
	igroup = iommufd_liveupdate_group(hwpt->ictx, dev);
	if (!igroup)
		return -ENOENT;
	for (iova = window.first; iommu_iova_to_phys(domain, iova) != page; iova += PAGE_SIZE)
		if (window.last - iova < PAGE_SIZE)
			return -ENOENT;

	guard(mutex)(&hwpt->ictx->sw_msi_lock);
	msi_map = iommufd_liveupdate_msi_map(hwpt->ictx, page, window.first,
					     (iova - window.first) >> PAGE_SHIFT);
	if (IS_ERR(msi_map))
		return PTR_ERR(msi_map);
	igroup->sw_msi_start = window.first;
	__set_bit(msi_map->id, igroup->required_sw_msi.bitmap);
	msi_desc_set_iommu_msi_iova(desc, iova, PAGE_SHIFT);
	return 0;
}
#else
static int iommufd_liveupdate_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
				     phys_addr_t msi_addr)
{
	return 0;
}
#endif
