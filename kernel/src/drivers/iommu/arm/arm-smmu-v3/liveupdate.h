/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* The end of arm-smmu-v3.h */
#ifndef _ARM_SMMU_V3_LIVEUPDATE_H
#define _ARM_SMMU_V3_LIVEUPDATE_H

#include <linux/dma-mapping.h>
#include <linux/iommu-liveupdate.h>

#ifdef CONFIG_ARM_SMMU_V3_LIVEUPDATE
extern const struct iommu_liveupdate_ops arm_smmu_liveupdate_ops;
#define ARM_SMMU_LIVEUPDATE_OPS	(&arm_smmu_liveupdate_ops)

/**
 * struct arm_smmu_liveupdate - What the driver knows of a unit in a live update
 * @smmu: The unit.
 * @hw:   What the handover says of it, while the boot looks for its devices.
 * @unit: Which one of the handover's it is.
 * @list: Of all units that were adopted.
 * @kept: It was found on and was adopted: it goes on with its stream table.
 * @left: It was handed over: no entry of its stream table is written any more. Under
 *	streams_mutex and arm_smmu_asid_lock.
 */
struct arm_smmu_liveupdate {
	struct arm_smmu_device *smmu;
	const struct iommu_hw_ser *hw;
	u32 unit;
	struct list_head list;
	bool kept;
	bool left;
};

/* liveupdate.c, called by arm-smmu-v3.c */
void *arm_smmu_alloc_table(struct arm_smmu_device *smmu, size_t size,
			   dma_addr_t *dma, gfp_t gfp);
void arm_smmu_free_table(struct arm_smmu_device *smmu, size_t size, void *table,
			 dma_addr_t dma);
void *arm_smmu_alloc_strtab(struct arm_smmu_device *smmu, size_t size,
			    dma_addr_t *dma, gfp_t gfp);
bool arm_smmu_make_pt_cd(struct arm_smmu_cd *target, struct arm_smmu_master *master,
			 struct arm_smmu_domain *domain);
bool arm_smmu_liveupdate_shutdown(struct arm_smmu_device *smmu);
int arm_smmu_liveupdate_take(struct arm_smmu_device *smmu);

static inline bool arm_smmu_liveupdate_kept(struct arm_smmu_device *smmu)
{
	return smmu->liveupdate->kept;
}

/* What of CR0 stays: without ATSCHK, what says that it was translated is not looked at. */
static inline u32 arm_smmu_liveupdate_stays(struct arm_smmu_device *smmu)
{
	return readl_relaxed(smmu->base + ARM_SMMU_CR0) & (CR0_SMMUEN | CR0_ATSCHK);
}

static inline bool arm_smmu_liveupdate_left(struct arm_smmu_device *smmu)
{
	return smmu->liveupdate->left;
}

static inline void arm_smmu_liveupdate_lost(struct device *dev)
{
	iommu_liveupdate_lost(dev, &arm_smmu_liveupdate_ops);
}

/* liveupdate.c, called by replace.h */
int arm_smmu_liveupdate_gap(struct device *dev);

/* liveupdate.c, called by liveupdate_domain.h */
bool arm_smmu_pt_applies(struct arm_smmu_device *smmu, struct arm_smmu_domain *domain,
			 u32 flags);
struct pt_iommu_armv8_cfg arm_smmu_pt_cfg(unsigned int oas, unsigned int vasz_lg2);
int arm_smmu_restored_cds(struct arm_smmu_master *master,
			  struct arm_smmu_domain *domain);
void arm_smmu_restored_free(struct iommu_domain *domain);
phys_addr_t arm_smmu_restored_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);

/* liveupdate_domain.h, called by liveupdate.c */
extern const struct iommu_domain_ops arm_smmu_pt_ops;
extern const struct iommu_domain_ops arm_smmu_restored_ops;
#else
#define ARM_SMMU_LIVEUPDATE_OPS	NULL

static inline void *arm_smmu_alloc_table(struct arm_smmu_device *smmu, size_t size,
					 dma_addr_t *dma, gfp_t gfp)
{
	return dma_alloc_coherent(smmu->dev, size, dma, gfp);
}

static inline void arm_smmu_free_table(struct arm_smmu_device *smmu, size_t size,
				       void *table, dma_addr_t dma)
{
	dma_free_coherent(smmu->dev, size, table, dma);
}

static inline void *arm_smmu_alloc_strtab(struct arm_smmu_device *smmu, size_t size,
					  dma_addr_t *dma, gfp_t gfp)
{
	return dmam_alloc_coherent(smmu->dev, size, dma, gfp);
}

static inline bool arm_smmu_make_pt_cd(struct arm_smmu_cd *target,
				       struct arm_smmu_master *master,
				       struct arm_smmu_domain *domain)
{
	return false;
}

static inline bool arm_smmu_liveupdate_shutdown(struct arm_smmu_device *smmu)
{
	return false;
}

static inline int arm_smmu_liveupdate_take(struct arm_smmu_device *smmu)
{
	return 0;
}

static inline bool arm_smmu_liveupdate_kept(struct arm_smmu_device *smmu)
{
	return false;
}

static inline u32 arm_smmu_liveupdate_stays(struct arm_smmu_device *smmu)
{
	return 0;
}

static inline bool arm_smmu_liveupdate_left(struct arm_smmu_device *smmu)
{
	return false;
}

static inline void arm_smmu_liveupdate_lost(struct device *dev)
{
}
#endif

#endif /* _ARM_SMMU_V3_LIVEUPDATE_H */
