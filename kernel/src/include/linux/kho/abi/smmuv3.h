/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_SMMUV3_H
#define _LINUX_KHO_ABI_SMMUV3_H

#include <linux/types.h>

/**
 * DOC: The part of Arm's SMMUv3 in the IOMMU handover
 *
 * What is of type %IOMMU_SER_TYPE_SMMUV3 in iommu.h. A change of layout or of meaning
 * needs a new %SMMUV3_LIVEUPDATE_COMPATIBLE string. Terms are those of the "Arm System
 * Memory Management Unit Architecture Specification, SMMU architecture version 3".
 *
 * A device has one stream, whose entry (STE) names a linear table of context
 * descriptors. The first of these (CD) names the tables of the domain. It is the only
 * one that is valid. Neither says anything that is not said here.
 */

#define SMMUV3_LIVEUPDATE_COMPATIBLE	"smmuv3-v1"

/*
 * What the domain's descriptors can name by AttrIndx: normal memory that is not cached,
 * normal memory that is, a device, and memory that only the outer cache has.
 */
#define SMMUV3_SER_MAIR			0xf404ff44ULL

/**
 * struct smmuv3_hw_ser - One SMMU.
 * @strtab_pa:  Physical address of its stream table.
 * @strtab_cfg: Format and size of the stream table, as SMMU_STRTAB_BASE_CFG has them.
 * @reserved:   Zero.
 */
struct smmuv3_hw_ser {
	u64 strtab_pa;
	u32 strtab_cfg;
	u32 reserved;
} __packed;

/* Values of smmuv3_domain_ser.format */
#define SMMUV3_DOMAIN_SER_S1		1	/* VMSAv8-64, stage 1, granule of 4 KiB */

/**
 * struct smmuv3_domain_ser - One domain.
 * @format:   Format of the tables, %SMMUV3_DOMAIN_SER_S1.
 * @asid:     ASID, which no other domain has; never 0.
 * @reserved: Zero.
 */
struct smmuv3_domain_ser {
	u32 format;
	u16 asid;
	u16 reserved;
} __packed;

/**
 * struct smmuv3_device_ser - One device.
 * @sid:      Its StreamID.
 * @s1cdmax:  Number of its context descriptors, as exponent of two: 0 to 10.
 * @reserved: Zero.
 * @l2_pa:    Physical address of the level 2 stream table that its entry is in; 0 if the
 *            stream table is linear.
 * @cd_pa:    Physical address of its table of context descriptors.
 */
struct smmuv3_device_ser {
	u32 sid;
	u8 s1cdmax;
	u8 reserved[3];
	u64 l2_pa;
	u64 cd_pa;
} __packed;

#endif /* _LINUX_KHO_ABI_SMMUV3_H */
