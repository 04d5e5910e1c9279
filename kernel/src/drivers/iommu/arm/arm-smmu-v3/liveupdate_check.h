/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _SMMUV3_LIVEUPDATE_CHECK_H
#define _SMMUV3_LIVEUPDATE_CHECK_H

#include <linux/bits.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/smmuv3.h>
#include <linux/liveupdate_check.h>

/* The driver's part of each; what is of another type is never asked for it. */
static inline const struct smmuv3_hw_ser *
smmuv3_hw_part(const struct iommu_hw_ser *hw)
{
	return (const struct smmuv3_hw_ser *)hw->part;
}

static inline const struct smmuv3_domain_ser *
smmuv3_domain_part(const struct iommu_domain_ser *domain)
{
	return (const struct smmuv3_domain_ser *)domain->part;
}

static inline const struct smmuv3_device_ser *
smmuv3_device_part(const struct iommu_device_ser *device)
{
	return (const struct smmuv3_device_ser *)device->part;
}

extern const struct iommu_ser_driver smmuv3_ser_driver;

/* "Table descriptor format", "Block descriptor and Page descriptor formats" (DDI 0487) */
#define ITEM_VALID		BIT_ULL(0)
#define ITEM_TABLE		BIT_ULL(1)
#define ITEM_ADDR		GENMASK_ULL(47, 12)

enum {
	/* Stream table entries and context descriptors are of 8 words of 64 bits. */
	SMMUV3_ENTRY_WORDS = 8,
	SMMUV3_ENTRY_SIZE = 64,
	/* Streams of a level 2 stream table, as exponent of two */
	SMMUV3_SPLIT = 8,
	SMMUV3_L2_SIZE = SMMUV3_ENTRY_SIZE << SMMUV3_SPLIT,
};

/**
 * struct smmuv3_unit - What the hardware says of itself, and what this kernel makes of it
 * @oas: Number of physical address bits.
 * @ips: The same, as CD.IPS has it.
 * @asid_bits: Number of bits that an ASID has.
 * @el2: Its translations are those of EL2 with E2H.
 * @stalls: It can stall a request that faults.
 */
struct smmuv3_unit {
	unsigned int oas;
	unsigned int ips;
	unsigned int asid_bits;
	bool el2;
	bool stalls;
};

bool smmuv3_is_two_level(u32 strtab_cfg);
u64 smmuv3_strtab_size(u32 strtab_cfg);
bool smmuv3_ste_blocks(const u64 *ste);
const char *smmuv3_check_registers(const struct smmuv3_hw_ser *part, u64 base, u32 cfg);
const char *smmuv3_check_l1(const struct iommu_ser_view *view, u32 iommu, u32 index,
			    u64 desc);
const char *smmuv3_check_device(const struct iommu_ser_view *view,
				const struct smmuv3_unit *unit,
				const struct iommu_device_ser *ser,
				const u64 *ste, const u64 *cds);
const char *smmuv3_check_tables(struct liveupdate_mem *mem,
				const struct smmuv3_unit *unit,
				const struct iommu_domain_ser *domain);

#endif /* _SMMUV3_LIVEUPDATE_CHECK_H */
