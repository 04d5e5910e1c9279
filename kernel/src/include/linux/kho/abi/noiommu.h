/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_NOIOMMU_H
#define _LINUX_KHO_ABI_NOIOMMU_H

#include <linux/types.h>

/**
 * DOC: The part of devices without an IOMMU in the IOMMU handover
 *
 * What is of type %IOMMU_SER_TYPE_NOIOMMU in iommu.h. A change of layout or of
 * meaning needs a new %NOIOMMU_LIVEUPDATE_COMPATIBLE string.
 *
 * There is one unit, which stands for no hardware: its @id is zero and its part
 * has no bytes. It is the only unit of the handover. Nor has the part of a device
 * any bytes. Hardware does not read the tables of a domain: they say at which
 * physical addresses the device was told that its memory is.
 */

#define NOIOMMU_LIVEUPDATE_COMPATIBLE	"noiommu-v1"

/* Values of noiommu_domain_ser.format */
#define NOIOMMU_DOMAIN_SER_AMDV1	1	/* as those of AMD's host tables */

/**
 * struct noiommu_domain_ser - One domain.
 * @format:   Format of the tables, %NOIOMMU_DOMAIN_SER_AMDV1.
 * @reserved: Zero.
 */
struct noiommu_domain_ser {
	u32 format;
	u32 reserved;
} __packed;

#endif /* _LINUX_KHO_ABI_NOIOMMU_H */
