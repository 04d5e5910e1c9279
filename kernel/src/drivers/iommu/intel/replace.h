/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replace the domain of a device while the device is doing DMA
 */
#ifndef _INTEL_REPLACE_H
#define _INTEL_REPLACE_H

#include <linux/iommu.h>

struct dmar_domain;
struct intel_iommu;
struct pasid_entry;

bool intel_replace_can(void);
bool intel_replace_domain(struct iommu_domain *domain, struct device *dev,
			  ioasid_t pasid, struct iommu_domain *old, int *ret);

/* In pasid.c: what an attach writes into a PASID-table entry */
void pasid_pte_config_first_level(struct intel_iommu *iommu,
				  struct pasid_entry *pte,
				  phys_addr_t fsptptr, u16 did, int flags);
void pasid_pte_config_second_level(struct intel_iommu *iommu,
				   struct pasid_entry *pte,
				   struct dmar_domain *domain, u16 did);

#endif /* _INTEL_REPLACE_H */
