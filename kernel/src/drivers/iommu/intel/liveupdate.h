/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __INTEL_LIVEUPDATE_H
#define __INTEL_LIVEUPDATE_H

struct device;
struct device_domain_info;
struct intel_iommu;

#ifdef CONFIG_IOMMU_LIVEUPDATE
extern const struct iommu_liveupdate_ops intel_liveupdate_ops;
bool intel_liveupdate_shutdown(struct intel_iommu *iommu);
bool intel_liveupdate_adopt(struct intel_iommu *iommu);
void intel_liveupdate_policy_off(void);
bool intel_liveupdate_adopt_pasid(struct device *dev,
				  struct device_domain_info *info);
#else
static inline bool intel_liveupdate_shutdown(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_liveupdate_adopt(struct intel_iommu *iommu)
{
	return false;
}

static inline void intel_liveupdate_policy_off(void)
{
}

static inline bool
intel_liveupdate_adopt_pasid(struct device *dev,
			     struct device_domain_info *info)
{
	return false;
}
#endif

#endif
