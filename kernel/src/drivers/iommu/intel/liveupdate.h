/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __INTEL_LIVEUPDATE_H
#define __INTEL_LIVEUPDATE_H

#include <linux/iommu-liveupdate.h>

struct device;
struct device_domain_info;
struct intel_iommu;
struct pci_dev;

/* In iommu.c */
bool dmar_ats_supported(struct pci_dev *dev, struct intel_iommu *iommu);

#ifdef CONFIG_IOMMU_LIVEUPDATE
extern const struct iommu_liveupdate_ops intel_liveupdate_ops;
#define INTEL_LIVEUPDATE_OPS	(&intel_liveupdate_ops)

/* How the driver calls the core; what that does with the ops is there. */
static inline int intel_liveupdate_leaves(struct intel_iommu *iommu)
{
	return iommu_liveupdate_unit_leaves(&iommu->iommu);
}

static inline bool intel_liveupdate_stays(struct intel_iommu *iommu)
{
	return iommu_liveupdate_unit_stays(&iommu->iommu);
}

static inline bool intel_liveupdate_shutdown(struct intel_iommu *iommu)
{
	return iommu_liveupdate_shutdown(&iommu->iommu);
}

/* For graphics only with intel_iommu=igfx_off, or without any device. */
static inline void intel_liveupdate_ignored(struct intel_iommu *iommu)
{
	if (iommu->gcmd & DMA_GCMD_TE)
		iommu_liveupdate_unused(&iommu->iommu, &intel_liveupdate_ops);
}

static inline bool intel_liveupdate_adopt(struct intel_iommu *iommu)
{
	return iommu_liveupdate_adopt(&iommu->iommu, &intel_liveupdate_ops);
}

static inline void intel_liveupdate_unadopt(struct intel_iommu *iommu)
{
	iommu_liveupdate_unadopt(&iommu->iommu, &intel_liveupdate_ops);
}

static inline void intel_liveupdate_policy_off(void)
{
	iommu_liveupdate_off();
}

bool intel_liveupdate_adopt_pasid(struct device *dev,
				  struct device_domain_info *info);
void intel_liveupdate_as_found(struct device_domain_info *info);
void intel_liveupdate_released(struct device *dev);
#endif

#if IS_ENABLED(CONFIG_IOMMU_LIVEUPDATE) && IS_ENABLED(CONFIG_IRQ_REMAP)
int intel_liveupdate_preserve_ir(struct intel_iommu *iommu);
void intel_liveupdate_unpreserve_ir(struct intel_iommu *iommu);
void intel_liveupdate_block_interrupts(struct intel_iommu *iommu);
bool intel_liveupdate_keep_ir(struct intel_iommu *iommu);
void intel_liveupdate_ir_set(struct intel_iommu *iommu);
void intel_liveupdate_back_ir(struct intel_iommu *iommu);
#else
static inline int intel_liveupdate_preserve_ir(struct intel_iommu *iommu)
{
	return 0;
}

static inline void intel_liveupdate_unpreserve_ir(struct intel_iommu *iommu)
{
}

static inline void intel_liveupdate_block_interrupts(struct intel_iommu *iommu)
{
}

static inline bool intel_liveupdate_keep_ir(struct intel_iommu *iommu)
{
	return false;
}

static inline void intel_liveupdate_ir_set(struct intel_iommu *iommu)
{
}

static inline void intel_liveupdate_back_ir(struct intel_iommu *iommu)
{
}
#endif

#ifndef CONFIG_IOMMU_LIVEUPDATE
#define INTEL_LIVEUPDATE_OPS	NULL

static inline int intel_liveupdate_leaves(struct intel_iommu *iommu)
{
	return 0;
}

static inline bool intel_liveupdate_stays(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_liveupdate_shutdown(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_liveupdate_adopt(struct intel_iommu *iommu)
{
	return false;
}

static inline void intel_liveupdate_unadopt(struct intel_iommu *iommu)
{
}

static inline void intel_liveupdate_ignored(struct intel_iommu *iommu)
{
}

static inline void intel_liveupdate_policy_off(void)
{
}

static inline void intel_liveupdate_released(struct device *dev)
{
}

static inline void intel_liveupdate_as_found(struct device_domain_info *info)
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
