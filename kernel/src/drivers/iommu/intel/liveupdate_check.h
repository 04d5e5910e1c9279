/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _INTEL_LIVEUPDATE_CHECK_H
#define _INTEL_LIVEUPDATE_CHECK_H

#include <linux/kho/abi/intel_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/liveupdate_check.h>

/* The driver's part of each; what is of another type is never asked for it. */
static inline const struct intel_hw_ser *
intel_hw_part(const struct iommu_hw_ser *hw)
{
	return (const struct intel_hw_ser *)hw->part;
}

static inline const struct intel_domain_ser *
intel_domain_part(const struct iommu_domain_ser *domain)
{
	return (const struct intel_domain_ser *)domain->part;
}

static inline const struct intel_device_ser *
intel_device_part(const struct iommu_device_ser *device)
{
	return (const struct intel_device_ser *)device->part;
}

extern const struct iommu_ser_driver vtd_ser_driver;
extern const struct iommu_ser_v1_ops vtd_ser_v1_ops;

/**
 * struct vtd_unit - What the hardware says of itself
 * @scalable: Its root table is in scalable mode.
 * @haw: Number of physical address bits.
 * @sagaw: Supported second-stage depths: bit n for n + 2 levels ("11.4.2
 *	Capability Register", SAGAW).
 * @large_pages: Bit 0: leaves of 2 MiB, bit 1: of 1 GiB (SLLPS).
 * @device_tlb: It answers what devices ask it to translate in advance, and can have
 *	them forget it ("11.4.3 Extended Capability Register", DT).
 * @first_did: The lowest domain id that a preserved device can have.
 * @end_did: One more than the highest.
 */
struct vtd_unit {
	bool scalable;
	unsigned int haw;
	unsigned int sagaw;
	unsigned int large_pages;
	bool device_tlb;
	u32 first_did;
	u32 end_did;
};

const char *vtd_check_root_slot(struct liveupdate_mem *mem,
				const struct vtd_unit *unit, u64 slot);
const char *vtd_check_device(const struct iommu_ser_view *view,
			     const struct vtd_unit *unit,
			     const struct iommu_device_ser *ser,
			     u64 table_pa, const u64 *context);
const char *vtd_check_tables(struct liveupdate_mem *mem,
			     const struct vtd_unit *unit,
			     const struct iommu_domain_ser *domain);

#endif /* _INTEL_LIVEUPDATE_CHECK_H */
