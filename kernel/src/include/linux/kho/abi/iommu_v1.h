/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_IOMMU_V1_H
#define _LINUX_KHO_ABI_IOMMU_V1_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: IOMMU handover format, the version before
 *
 * What iommu.h is now, as it was when VT-d was the only IOMMU: fields that are the
 * driver's part there are among the others here. It is read, and it is written if
 * the loaded kernel reads nothing newer and it can hold what there is. It does not
 * change any more.
 */

#define IOMMU_LIVEUPDATE_COMPATIBLE_V1	"iommu-v1"

/* First field of struct iommu_ser_v1; never moves. */
#define IOMMU_SER_V1_VERSION		1

/* Number of bytes of each of the three arrays. */
#define IOMMU_SER_V1_ARRAY_SIZE		0x10000

/* Entry is in use. */
#define IOMMU_SER_V1_USED		BIT(0)

/**
 * struct iommu_ser_v1 - Root of the IOMMU handover.
 * @version:    %IOMMU_SER_V1_VERSION.
 * @reserved:   Zero.
 * @iommus_pa:  Physical address of the &struct iommu_hw_ser_v1 array.
 * @domains_pa: Physical address of the &struct iommu_domain_ser_v1 array.
 * @devices_pa: Physical address of the &struct iommu_device_ser_v1 array.
 */
struct iommu_ser_v1 {
	u32 version;
	u32 reserved;
	u64 iommus_pa;
	u64 domains_pa;
	u64 devices_pa;
} __packed;

/* Values of iommu_hw_ser_v1.type */
#define IOMMU_SER_V1_TYPE_VTD		1

/* iommu_hw_ser_v1.flags: the root table is in VT-d scalable mode format. */
#define IOMMU_SER_V1_VTD_SCALABLE	BIT(1)

/**
 * struct iommu_hw_ser_v1 - One IOMMU unit.
 * @flags:   %IOMMU_SER_V1_USED and flags of the type.
 * @type:    Which hardware it is, %IOMMU_SER_V1_TYPE_VTD.
 * @reg_pa:  Physical address of its register set, which identifies the unit.
 * @root_pa: Physical address of its root table.
 */
struct iommu_hw_ser_v1 {
	u32 flags;
	u32 type;
	u64 reg_pa;
	u64 root_pa;
} __packed;

/* Values of iommu_domain_ser_v1.format */
#define IOMMU_SER_V1_FMT_VTDSS		1

/* iommu_domain_ser_v1.flags */
#define IOMMU_SER_V1_DOMAIN_INCOHERENT	BIT(1)	/* walker does not snoop */
#define IOMMU_SER_V1_DOMAIN_FORCE_SNOOP	BIT(2)	/* leaves carry SNP */

/**
 * struct iommu_domain_ser_v1 - One translation: a tree of translation tables.
 * @flags:     %IOMMU_SER_V1_USED and the IOMMU_SER_V1_DOMAIN_* flags.
 * @format:    Format of the tables, %IOMMU_SER_V1_FMT_VTDSS.
 * @top_pa:    Physical address of the topmost table.
 * @top_level: Level of the topmost table; 0 is the level of the smallest leaf.
 * @vasz_lg2:  Number of IOVA bits.
 * @reserved:  Zero.
 */
struct iommu_domain_ser_v1 {
	u32 flags;
	u32 format;
	u64 top_pa;
	u8 top_level;
	u8 vasz_lg2;
	u8 reserved[6];
} __packed;

/**
 * struct iommu_device_ser_v1 - One device that goes on using a translation.
 * @flags:     %IOMMU_SER_V1_USED.
 * @segment:   PCI segment.
 * @bdf:       PCI bus number and devfn.
 * @did:       Domain id in the hardware's entry of this device.
 * @domain:    Index of its &struct iommu_domain_ser_v1.
 * @iommu:     Index of the &struct iommu_hw_ser_v1 in front of it.
 * @max_pasid: Number of PASIDs that its PASID directory has room for; 0 in
 *             VT-d legacy mode.
 * @entry_pa:  Physical address of the page that holds its context entry.
 * @pasid_pa:  Physical address of its PASID directory; 0 in VT-d legacy mode.
 */
struct iommu_device_ser_v1 {
	u32 flags;
	u32 segment;
	u16 bdf;
	u16 did;
	u32 domain;
	u32 iommu;
	u32 max_pasid;
	u64 entry_pa;
	u64 pasid_pa;
} __packed;

/* Numbers of entries of the arrays */
#define IOMMU_SER_V1_MAX_IOMMUS \
	(IOMMU_SER_V1_ARRAY_SIZE / sizeof(struct iommu_hw_ser_v1))
#define IOMMU_SER_V1_MAX_DOMAINS \
	(IOMMU_SER_V1_ARRAY_SIZE / sizeof(struct iommu_domain_ser_v1))
#define IOMMU_SER_V1_MAX_DEVICES \
	(IOMMU_SER_V1_ARRAY_SIZE / sizeof(struct iommu_device_ser_v1))

#endif /* _LINUX_KHO_ABI_IOMMU_V1_H */
