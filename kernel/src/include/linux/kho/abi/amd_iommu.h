/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_AMD_IOMMU_H
#define _LINUX_KHO_ABI_AMD_IOMMU_H

#include <linux/types.h>

/**
 * DOC: The part of AMD-Vi in the IOMMU handover
 *
 * What is of type %IOMMU_SER_TYPE_AMD in iommu.h. A change of layout or of meaning
 * needs a new %AMD_IOMMU_LIVEUPDATE_COMPATIBLE string. Terms are those of the "AMD
 * I/O Virtualization Technology (IOMMU) Specification".
 *
 * All units of a PCI segment use one device table, as in the driver. Each of them
 * names it. A device has one entry there, at its requester id. The entry gives the
 * domain id and the topmost table of the domain, and nothing that is not said here.
 */

#define AMD_IOMMU_LIVEUPDATE_COMPATIBLE	"amd-iommu-v1"

/**
 * struct amd_hw_ser - One unit.
 * @table_pa:   Physical address of its device table.
 * @table_size: Size of the device table in bytes: a power of two, 4 KiB to 2 MiB.
 * @reserved:   Zero.
 */
struct amd_hw_ser {
	u64 table_pa;
	u32 table_size;
	u32 reserved;
} __packed;

/* Values of amd_domain_ser.format */
#define AMD_DOMAIN_SER_AMDV1		1	/* "I/O Page Tables for Host Translations" */

/**
 * struct amd_domain_ser - One domain.
 * @format:   Format of the tables, %AMD_DOMAIN_SER_AMDV1.
 * @did:      Domain id, which no other domain has; never 0.
 * @reserved: Zero.
 */
struct amd_domain_ser {
	u32 format;
	u16 did;
	u16 reserved;
} __packed;

/**
 * struct amd_device_ser - One device.
 * @flags:    Zero: this version knows none.
 * @reserved: Zero.
 */
struct amd_device_ser {
	u32 flags;
	u32 reserved;
} __packed;

#endif /* _LINUX_KHO_ABI_AMD_IOMMU_H */
