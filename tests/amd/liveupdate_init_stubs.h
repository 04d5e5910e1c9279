/* SPDX-License-Identifier: GPL-2.0-only */
/* What liveupdate_init.h uses of init.c, which it is a part of */

struct amd_iommu;
static void iommu_set_device_table(struct amd_iommu *iommu);
static void early_enable_iommu(struct amd_iommu *iommu);
static void iommu_enable_command_buffer(struct amd_iommu *iommu);

#define iommu_disable_command_buffer(iommu)	((void)(iommu))
#define iommu_disable_event_buffer(iommu)	((void)(iommu))
#define iommu_disable_irtcachedis(iommu)	((void)(iommu))
#define iommu_feature_disable(iommu, bit)	((void)(iommu))
#define iommu_init_flags(iommu)			((void)(iommu))
#define iommu_enable_gt(iommu)			((void)(iommu))
#define iommu_enable_ga(iommu)			((void)(iommu))
#define iommu_enable_xt(iommu)			((void)(iommu))
#define iommu_enable_irtcachedis(iommu)		((void)(iommu))
#define iommu_enable_2k_int(iommu)		((void)(iommu))
