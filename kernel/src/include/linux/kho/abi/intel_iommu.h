/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_INTEL_IOMMU_H
#define _LINUX_KHO_ABI_INTEL_IOMMU_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: The part of Intel VT-d in the IOMMU handover
 *
 * What is of type %IOMMU_SER_TYPE_INTEL in iommu.h. A change of layout or of
 * meaning needs a new %INTEL_IOMMU_LIVEUPDATE_COMPATIBLE string. Terms are those
 * of the "Intel Virtualization Technology for Directed I/O Architecture
 * Specification".
 */

#define INTEL_IOMMU_LIVEUPDATE_COMPATIBLE	"intel-iommu-v2"

/*
 * The version before: the layout is the same, the flags of a device are zero. It
 * is what is written as long as no device may use ATS, so that a kernel that reads
 * nothing newer can be gone back to.
 */
#define INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V1	"intel-iommu-v1"

/* intel_hw_ser.flags: the root table is in scalable mode format. */
#define INTEL_HW_SER_SCALABLE		BIT(0)

/**
 * struct intel_hw_ser - One remapping unit.
 * @root_pa:  Physical address of its root table.
 * @flags:    %INTEL_HW_SER_SCALABLE or zero.
 * @reserved: Zero.
 */
struct intel_hw_ser {
	u64 root_pa;
	u32 flags;
	u32 reserved;
} __packed;

/* Values of intel_domain_ser.format */
#define INTEL_DOMAIN_SER_VTDSS		1	/* second-stage tables */

/* intel_domain_ser.flags */
#define INTEL_DOMAIN_SER_INCOHERENT	BIT(0)	/* walker does not snoop */
#define INTEL_DOMAIN_SER_FORCE_SNOOP	BIT(1)	/* leaves carry SNP */

/**
 * struct intel_domain_ser - One domain.
 * @format: Format of the tables, %INTEL_DOMAIN_SER_VTDSS.
 * @flags:  The INTEL_DOMAIN_SER_* flags.
 */
struct intel_domain_ser {
	u32 format;
	u32 flags;
} __packed;

/*
 * intel_device_ser.flags: its context entry lets it use ATS (TT is 01b in legacy mode,
 * DTE is set in scalable mode); its ATS is on, which needs the former.
 */
#define INTEL_DEVICE_SER_DEVICE_TLB	BIT(0)
#define INTEL_DEVICE_SER_ATS		BIT(1)

/**
 * struct intel_device_ser - One device.
 * @did:       Domain id in the hardware's entry of this device.
 * @flags:     The INTEL_DEVICE_SER_* flags.
 * @ats_stu:   Smallest translation unit in its ATS control register: 4 KiB times
 *             two to this power; of a virtual function in that of its physical
 *             one. 0 if ATS is off. This version knows no other unit than 0.
 * @max_pasid: Number of PASIDs that its PASID directory has room for; 0 in
 *             legacy mode.
 * @entry_pa:  Physical address of the page that holds its context entry.
 * @pasid_pa:  Physical address of its PASID directory; 0 in legacy mode.
 */
struct intel_device_ser {
	u16 did;
	u8 flags;
	u8 ats_stu;
	u32 max_pasid;
	u64 entry_pa;
	u64 pasid_pa;
} __packed;

#endif /* _LINUX_KHO_ABI_INTEL_IOMMU_H */
