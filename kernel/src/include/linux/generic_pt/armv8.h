/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* The VMSAv8-64 page table format; see fmt/armv8.h. Included by generic_pt/iommu.h. */
#ifndef __GENERIC_PT_ARMV8_H
#define __GENERIC_PT_ARMV8_H

struct pt_armv8 {
	struct pt_common common;
};

enum {
	/*
	 * The table is one of stage 2: from an intermediate address to a physical one, with
	 * the memory's type in each descriptor. Otherwise it is one of stage 1, where a
	 * descriptor names one of the types of a register (MAIR).
	 */
	PT_FEAT_ARMV8_S2 = PT_FEAT_FMT_START,
};

struct pt_iommu_armv8_cfg {
	struct pt_iommu_cfg common;
	/* 3 is a table of 4 levels: 48 bits of VA */
	unsigned int top_level;
};

/**
 * struct pt_iommu_armv8_hw_info - What the SMMU has to know of a table
 * @ttb:    Physical address of the top: S2TTB, or TTB0 of a context descriptor.
 * @levels: How many levels there are, 3 or 4.
 */
struct pt_iommu_armv8_hw_info {
	u64 ttb;
	u8 levels;
};

IOMMU_FORMAT(armv8, armv8_pt);

#endif
