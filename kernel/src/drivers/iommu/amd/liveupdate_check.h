/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _AMD_LIVEUPDATE_CHECK_H
#define _AMD_LIVEUPDATE_CHECK_H

#include <linux/kho/abi/amd_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/liveupdate_check.h>

/* The driver's part of each; what is of another type is never asked for it. */
static inline const struct amd_hw_ser *
amd_hw_part(const struct iommu_hw_ser *hw)
{
	return (const struct amd_hw_ser *)hw->part;
}

static inline const struct amd_domain_ser *
amd_domain_part(const struct iommu_domain_ser *domain)
{
	return (const struct amd_domain_ser *)domain->part;
}

static inline const struct amd_device_ser *
amd_device_part(const struct iommu_device_ser *device)
{
	return (const struct amd_device_ser *)device->part;
}

extern const struct iommu_ser_driver amd_ser_driver;

/* A device table entry in words of 64 bits */
enum {
	AMD_DTE_WORDS = 4,
	AMD_DTE_SIZE = 32,
};

/**
 * struct amd_unit - What the hardware says of itself
 * @paddr_bits: Number of physical address bits.
 * @vasz_lg2: Number of IOVA bits that it translates.
 */
struct amd_unit {
	unsigned int paddr_bits;
	unsigned int vasz_lg2;
};

bool amd_dte_translates(const u64 *dte);
void amd_dte_block(u64 *dte, u64 messages);
const char *amd_check_device(const struct iommu_ser_view *view,
			     const struct amd_unit *unit,
			     const struct iommu_device_ser *ser,
			     const u64 *dte);
const char *amd_check_table_register(const struct amd_hw_ser *part, u64 reg);
const char *amd_check_tables(struct liveupdate_mem *mem,
			     const struct amd_unit *unit,
			     const struct iommu_domain_ser *domain);

#endif /* _AMD_LIVEUPDATE_CHECK_H */
