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

/*
 * What a device with PASIDs besides the first one needs to be read. Preserve refuses
 * such a device, and so does a kernel that is handed one: iommufd does not carry the
 * attachments of PASIDs. So no kernel says yet that it reads this version.
 */
#define INTEL_IOMMU_LIVEUPDATE_COMPATIBLE	"intel-iommu-v3"

/*
 * The version before: the part of a device ends before @pasids_pa, after
 * %INTEL_DEVICE_SER_V2_SIZE bytes. It is what a device that may use ATS needs.
 */
#define INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V2	"intel-iommu-v2"

/*
 * The one before that: the layout is the same, the flags of a device are zero. It
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

/* Length of the part of a device that has no PASID besides the first one */
#define INTEL_DEVICE_SER_V2_SIZE	24

/* Most PASIDs in a list: what a page of 4 KiB holds */
#define INTEL_DEVICE_SER_MAX_PASIDS	256

/**
 * struct intel_device_ser - One device.
 * @did:       Domain id in the hardware's entry of this device: that of its first
 *             PASID, 0, in scalable mode.
 * @flags:     The INTEL_DEVICE_SER_* flags.
 * @ats_stu:   Smallest translation unit in its ATS control register: 4 KiB times
 *             two to this power; of a virtual function in that of its physical
 *             one. 0 if ATS is off. This version knows no other unit than 0.
 * @max_pasid: Number of PASIDs that its PASID directory has room for; 0 in
 *             legacy mode.
 * @entry_pa:  Physical address of the page that holds its context entry.
 * @pasid_pa:  Physical address of its PASID directory; 0 in legacy mode.
 * @pasids_pa: Physical address of the page that lists its PASIDs besides the first
 *             one. This and what follows is there in scalable mode only, and only if
 *             there is such a PASID; else the part ends here.
 * @nr_pasids: Number of these, at most %INTEL_DEVICE_SER_MAX_PASIDS.
 * @reserved:  Zero.
 */
struct intel_device_ser {
	u16 did;
	u8 flags;
	u8 ats_stu;
	u32 max_pasid;
	u64 entry_pa;
	u64 pasid_pa;
	u64 pasids_pa;
	u32 nr_pasids;
	u32 reserved;
} __packed;

/**
 * struct intel_pasid_ser - One PASID of a device, which is not its first one.
 * @pasid:    The PASID; not 0, and less than the @max_pasid of the device.
 * @domain:   Index of the &struct iommu_domain_ser that it is attached to.
 * @did:      Domain id in the hardware's entry of this PASID. One id is that of one
 *            domain behind a unit, whoever has it: a device or one of its PASIDs.
 * @reserved: Zero.
 *
 * A list is in the order of the domain ids, and of the PASIDs among those that have
 * the same id, so that two lists are compared in one pass. Each PASID of the
 * directory that is present, but the first, is in the list.
 */
struct intel_pasid_ser {
	u32 pasid;
	u32 domain;
	u16 did;
	u8 reserved[6];
} __packed;

#endif /* _LINUX_KHO_ABI_INTEL_IOMMU_H */
