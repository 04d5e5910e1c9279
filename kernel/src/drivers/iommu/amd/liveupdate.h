/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __AMD_LIVEUPDATE_H
#define __AMD_LIVEUPDATE_H

#include <linux/iommu-liveupdate.h>

struct amd_iommu;
struct device;

#ifdef CONFIG_IOMMU_LIVEUPDATE
extern const struct iommu_liveupdate_ops amd_liveupdate_ops;
#define AMD_LIVEUPDATE_OPS	(&amd_liveupdate_ops)

/* liveupdate.c, called by init.c */
bool amd_liveupdate_keep(struct amd_iommu *iommu);
bool amd_liveupdate_stays_on(struct amd_iommu *iommu);
void amd_liveupdate_take_table(struct amd_iommu *iommu);
bool amd_liveupdate_has_table(struct amd_iommu *iommu);
void amd_liveupdate_adopt(void);
void amd_liveupdate_failed(void);

/* liveupdate.c, called by iommu.c */
static inline void amd_liveupdate_lost(struct device *dev)
{
	iommu_liveupdate_lost(dev, &amd_liveupdate_ops);
}

/* liveupdate.c, called by replace.h */
int amd_liveupdate_gap(struct device *dev);
void amd_liveupdate_put_did(u16 did);

/* replace.h, called by liveupdate.c */
struct iommu_domain *amd_liveupdate_restore(phys_addr_t top,
					    unsigned int top_level,
					    unsigned int vasz_lg2, u16 did);
#else
#define AMD_LIVEUPDATE_OPS	NULL

static inline bool amd_liveupdate_keep(struct amd_iommu *iommu)
{
	return false;
}

static inline bool amd_liveupdate_stays_on(struct amd_iommu *iommu)
{
	return false;
}

static inline void amd_liveupdate_adopt(void)
{
}

static inline void amd_liveupdate_failed(void)
{
}

static inline void amd_liveupdate_lost(struct device *dev)
{
}

static inline int amd_liveupdate_gap(struct device *dev)
{
	return -EOPNOTSUPP;
}
#endif

#endif
