/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replace the domain of a device while the device is doing DMA
 */
#ifndef _INTEL_REPLACE_H
#define _INTEL_REPLACE_H

#include <linux/iommu.h>

bool intel_replace_can(void);
bool intel_replace_domain(struct iommu_domain *domain, struct device *dev,
			  ioasid_t pasid, struct iommu_domain *old, int *ret);

#endif /* _INTEL_REPLACE_H */
