/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* A part of arm-smmu-v3.c, with the functions that only that file has; see liveupdate.c. */

#ifdef CONFIG_ARM_SMMU_V3_LIVEUPDATE
#include "../../iommu-pages.h"

static void arm_smmu_flush_iotlb_all(struct iommu_domain *domain);

/*
 * One granule at a time, and tables, too: which sizes of leaves and which levels of
 * tables are gone, the gather does not say.
 */
static void arm_smmu_pt_iotlb_sync(struct iommu_domain *domain,
				   struct iommu_iotlb_gather *gather)
{
	arm_smmu_domain_inv_range(to_smmu_domain(domain), gather->start,
				  gather->end - gather->start + 1, SZ_4K, false);
	iommu_put_pages_list(&gather->freelist);
}

/* Who is told by whoever has mapped it may use it at once. */
static int arm_smmu_pt_iotlb_sync_map(struct iommu_domain *domain, unsigned long iova,
				      size_t size)
{
	/* The walk is coherent, and is to see the entries before what comes next. */
	wmb();
	return 0;
}

static void arm_smmu_pt_free(struct iommu_domain *domain)
{
	struct arm_smmu_domain *d = to_smmu_domain(domain);

	pt_iommu_deinit(&d->iommu);
	/* There is no io-pgtable to be freed by that. */
	arm_smmu_domain_free_paging(domain);
}

const struct iommu_domain_ops arm_smmu_pt_ops = {
	IOMMU_PT_DOMAIN_OPS(armv8),
	.attach_dev = arm_smmu_attach_dev,
	.enforce_cache_coherency = arm_smmu_enforce_cache_coherency,
	.set_dev_pasid = arm_smmu_s1_set_dev_pasid,
	.flush_iotlb_all = arm_smmu_flush_iotlb_all,
	.iotlb_sync = arm_smmu_pt_iotlb_sync,
	.iotlb_sync_map = arm_smmu_pt_iotlb_sync_map,
	.free = arm_smmu_pt_free,
};

static int arm_smmu_pt_init(struct arm_smmu_domain *d, struct arm_smmu_device *smmu)
{
	const struct pt_iommu_armv8_cfg cfg = arm_smmu_pt_cfg(smmu->oas, VA_BITS);
	int ret;

	d->iommu.nid = dev_to_node(smmu->dev);
	ret = pt_iommu_armv8_init(&d->armv8, &cfg, GFP_KERNEL);
	if (ret)
		return ret;
	ret = arm_smmu_domain_finalise_s1(smmu, d);
	if (ret < 0) {
		pt_iommu_deinit(&d->iommu);
		return ret;
	}
	d->domain.ops = &arm_smmu_pt_ops;
	d->smmu = smmu;
	return 0;
}

/* Domains that can be handed over are those of the table library. */
static int arm_smmu_finalise(struct arm_smmu_domain *d, struct arm_smmu_device *smmu,
			     u32 flags)
{
	return arm_smmu_pt_applies(smmu, d, flags) ?
		       arm_smmu_pt_init(d, smmu) :
		       arm_smmu_domain_finalise(d, smmu, flags);
}

/*
 * Attaching a restored domain changes no hardware: the adoption of the unit has
 * verified that the entries of the device say this already. What is left is what the
 * driver has to know to replace the domain later.
 */
static int arm_smmu_restored_attach_dev(struct iommu_domain *domain, struct device *dev,
					struct iommu_domain *old)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_attach_state state = {
		.master = master,
		.ssid = IOMMU_NO_PASID,
		.disable_ats = true,
	};
	int ret;

	if (!iommu_liveupdate_incoming_device(dev) || old ||
	    to_smmu_domain(domain)->smmu != master->smmu)
		return -EINVAL;
	ret = arm_smmu_restored_cds(master, to_smmu_domain(domain));
	if (ret)
		return ret;
	mutex_lock(&arm_smmu_asid_lock);
	ret = arm_smmu_attach_prepare(&state, domain);
	if (!ret)
		arm_smmu_attach_commit(&state);
	mutex_unlock(&arm_smmu_asid_lock);
	return ret;
}

const struct iommu_domain_ops arm_smmu_restored_ops = {
	.iova_to_phys = arm_smmu_restored_iova_to_phys,
	.attach_dev = arm_smmu_restored_attach_dev,
	.free = arm_smmu_restored_free,
};
#else
#define arm_smmu_finalise arm_smmu_domain_finalise
#endif
