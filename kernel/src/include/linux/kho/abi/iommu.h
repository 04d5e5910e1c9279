/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_IOMMU_H
#define _LINUX_KHO_ABI_IOMMU_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: IOMMU handover format
 *
 * What one kernel tells the next about the IOMMUs of the machine, about the
 * translation tables that go on being used, and about the devices that use
 * them. The structures below are a contract between kernels of different
 * versions: a change of layout or of meaning needs a new
 * %IOMMU_LIVEUPDATE_COMPATIBLE string.
 *
 * The root, &struct iommu_ser, is the data of a file-lifecycle-bound (FLB)
 * object of that compatible string. It points to three arrays. An entry of an
 * array is named by its index, an entry whose @flags do not have
 * %IOMMU_SER_USED is free.
 *
 * What an entry begins with is common to all IOMMUs; behind that is a part of the
 * driver's own, of a type and a length. Bytes of it that are not in use are zero.
 * The part of each type has a header in this folder, and a version string of its
 * own, so that a kernel can read this format and not know a type.
 *
 * The tables themselves are not described here: they are what the hardware is
 * using, in the format that the hardware specification defines. Every page of
 * them is preserved by KHO; the incoming kernel asks KHO for each page that it is
 * about to follow. No field holds a kernel virtual address.
 */

#define IOMMU_LIVEUPDATE_COMPATIBLE	"iommu-v2"

/* First field of struct iommu_ser; never moves. */
#define IOMMU_SER_VERSION		2

/* Number of bytes of each of the three arrays. */
#define IOMMU_SER_ARRAY_SIZE		0x20000

/* Entry is in use. */
#define IOMMU_SER_USED			BIT(0)

/* Whose part it is: the values of @type */
#define IOMMU_SER_TYPE_INTEL		1	/* intel_iommu.h */
#define IOMMU_SER_TYPE_AMD		2	/* amd_iommu.h */
#define IOMMU_SER_TYPE_SMMUV3		3	/* smmuv3.h */
#define IOMMU_SER_TYPE_NOIOMMU		128	/* noiommu.h */

/**
 * struct iommu_ser - Root of the IOMMU handover.
 * @version:    %IOMMU_SER_VERSION.
 * @reserved:   Zero.
 * @iommus_pa:  Physical address of the &struct iommu_hw_ser array.
 * @domains_pa: Physical address of the &struct iommu_domain_ser array.
 * @devices_pa: Physical address of the &struct iommu_device_ser array.
 */
struct iommu_ser {
	u32 version;
	u32 reserved;
	u64 iommus_pa;
	u64 domains_pa;
	u64 devices_pa;
} __packed;

/**
 * struct iommu_hw_ser - One IOMMU unit.
 * @flags:  %IOMMU_SER_USED.
 * @type:   Whose part it is, IOMMU_SER_TYPE_*.
 * @length: Number of bytes of @part that are in use.
 * @id:     What tells the unit from others of its type: as a rule the physical
 *          address of its register set.
 * @part:   The driver's part.
 */
struct iommu_hw_ser {
	u32 flags;
	u16 type;
	u16 length;
	u64 id;
	u8 part[32];
} __packed;

/**
 * struct iommu_domain_ser - One translation: a tree of translation tables.
 * @flags:     %IOMMU_SER_USED.
 * @type:      Whose part it is, IOMMU_SER_TYPE_*.
 * @length:    Number of bytes of @part that are in use.
 * @top_pa:    Physical address of the topmost table.
 * @top_level: Level of the topmost table; 0 is the level of the smallest leaf.
 * @vasz_lg2:  Number of IOVA bits.
 * @reserved:  Zero.
 * @part:      The driver's part, which says what format the tables are of.
 */
struct iommu_domain_ser {
	u32 flags;
	u16 type;
	u16 length;
	u64 top_pa;
	u8 top_level;
	u8 vasz_lg2;
	u8 reserved[6];
	u8 part[24];
} __packed;

/**
 * struct iommu_device_ser - One device that goes on using a translation.
 * @flags:    %IOMMU_SER_USED.
 * @type:     Whose part it is, IOMMU_SER_TYPE_*; that of @iommu and @domain.
 * @length:   Number of bytes of @part that are in use.
 * @segment:  PCI segment.
 * @bdf:      PCI bus number and devfn.
 * @reserved: Zero.
 * @domain:   Index of its &struct iommu_domain_ser.
 * @iommu:    Index of the &struct iommu_hw_ser in front of it.
 * @part:     The driver's part: how hardware gets from the device to the domain.
 */
struct iommu_device_ser {
	u32 flags;
	u16 type;
	u16 length;
	u32 segment;
	u16 bdf;
	u16 reserved;
	u32 domain;
	u32 iommu;
	u8 part[40];
} __packed;

/* Numbers of entries of the arrays; not less than in any version before. */
#define IOMMU_SER_MAX_IOMMUS \
	(IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_hw_ser))
#define IOMMU_SER_MAX_DOMAINS \
	(IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_domain_ser))
#define IOMMU_SER_MAX_DEVICES \
	(IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_device_ser))

#endif /* _LINUX_KHO_ABI_IOMMU_H */
