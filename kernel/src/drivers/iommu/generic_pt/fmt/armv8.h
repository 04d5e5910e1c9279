/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (c) 2026 The Continuo authors
 *
 * VMSAv8-64 page table with a granule of 4 KiB, stage 1 and stage 2
 *
 * This is described in chapter "The AArch64 Virtual Memory System Architecture" of the "Arm
 * Architecture Reference Manual for A-profile architecture" (DDI 0487), sections
 *   "Table descriptor format"
 *   "Block descriptor and Page descriptor formats"
 *   "Memory region attributes"
 * The SMMU reads such tables as "Arm System Memory Management Unit Architecture
 * Specification, SMMU architecture version 3" (IHI 0070) says, section "Translation".
 *
 * The levels that the specification numbers from the top are, with pts->level:
 *   level 3, of page descriptors - 0
 *   level 2, of 2 MiB            - 1
 *   level 1, of 1 GiB            - 2
 *   level 0, of tables only      - 3
 *
 * The Contiguous bit is not used: without FEAT_BBM an entry may only become part of a
 * contiguous one by way of an invalid one.
 */
#ifndef __GENERIC_PT_FMT_ARMV8_H
#define __GENERIC_PT_FMT_ARMV8_H

#include "defs_armv8.h"
#include "../pt_defs.h"

#include <linux/bitfield.h>
#include <linux/container_of.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/log2.h>

enum {
	PT_MAX_OUTPUT_ADDRESS_LG2 = 48,
	PT_MAX_VA_ADDRESS_LG2 = 48,
	PT_ITEM_WORD_SIZE = sizeof(u64),
	PT_MAX_TOP_LEVEL = 3,
	PT_GRANULE_LG2SZ = 12,
	PT_TABLEMEM_LG2SZ = 12,

	PT_TOP_PHYS_MASK = GENMASK_ULL(47, 12),
};

/* All descriptors */
enum {
	ARMV8PT_FMT_VALID = BIT(0),
	/* Of a page, or of a table; a block has it clear. */
	ARMV8PT_FMT_PAGE = BIT(1),
	ARMV8PT_FMT_TABLE = BIT(1),
	ARMV8PT_FMT_OA = GENMASK_ULL(47, 12),
};

/* Block and page descriptors */
enum {
	ARMV8PT_FMT_SH = GENMASK_ULL(9, 8),
	ARMV8PT_FMT_AF = BIT(10),
	ARMV8PT_FMT_XN = BIT_ULL(54),

	/* Stage 1 */
	ARMV8PT_FMT_ATTRINDX = GENMASK_ULL(4, 2),
	ARMV8PT_FMT_AP_UNPRIV = BIT(6),
	ARMV8PT_FMT_AP_RDONLY = BIT(7),
	ARMV8PT_FMT_NG = BIT(11),
	ARMV8PT_FMT_PXN = BIT_ULL(53),

	/* Stage 2 */
	ARMV8PT_FMT_MEMATTR = GENMASK_ULL(5, 2),
	ARMV8PT_FMT_S2AP_READ = BIT(6),
	ARMV8PT_FMT_S2AP_WRITE = BIT(7),

	/* Both stages call what there is between SH and OA, and above OA, something else. */
	ARMV8PT_FMT_LOWER = GENMASK_ULL(7, 2),
	ARMV8PT_FMT_ATTRS = ARMV8PT_FMT_LOWER | ARMV8PT_FMT_SH | ARMV8PT_FMT_AF |
			    ARMV8PT_FMT_NG | ARMV8PT_FMT_PXN | ARMV8PT_FMT_XN,
};

/* Their values. Those of ATTRINDX are the places in MAIR where drivers have the types. */
#define ARMV8PT_SH_OUTER	2
#define ARMV8PT_SH_INNER	3
#define ARMV8PT_ATTRINDX_NC	0
#define ARMV8PT_ATTRINDX_CACHE	1
#define ARMV8PT_ATTRINDX_DEV	2
#define ARMV8PT_MEMATTR_DEV	0x1
#define ARMV8PT_MEMATTR_NC	0x5
#define ARMV8PT_MEMATTR_WB	0xf

/*
 * What an item has set that says anything at all. Some encodings of such an item are
 * reserved: they translate to nothing, and are never written.
 */
#define PT_ITEM_PRESENT ((u64)ARMV8PT_FMT_VALID)

static inline pt_oaddr_t armv8_pt_table_pa(const struct pt_state *pts)
{
	return oalog2_mul(FIELD_GET(ARMV8PT_FMT_OA, pts->entry),
			  PT_TABLEMEM_LG2SZ);
}

#define pt_table_pa armv8_pt_table_pa

static inline pt_oaddr_t armv8_pt_entry_oa(const struct pt_state *pts)
{
	return oalog2_mul(FIELD_GET(ARMV8PT_FMT_OA, pts->entry),
			  PT_GRANULE_LG2SZ);
}

#define pt_entry_oa armv8_pt_entry_oa

static inline bool armv8_pt_can_have_leaf(const struct pt_state *pts)
{
	return pts->level <= 2;
}

#define pt_can_have_leaf armv8_pt_can_have_leaf

static inline unsigned int armv8_pt_num_items_lg2(const struct pt_state *pts)
{
	return PT_TABLEMEM_LG2SZ - ilog2(sizeof(u64));
}

#define pt_num_items_lg2 armv8_pt_num_items_lg2

static inline enum pt_entry_type armv8_pt_load_entry_raw(struct pt_state *pts)
{
	const u64 *tablep = pt_cur_table(pts, u64);
	u64 entry = READ_ONCE(tablep[pts->index]);

	pts->entry = entry;
	if (!(entry & ARMV8PT_FMT_VALID))
		return PT_ENTRY_EMPTY;
	if (pts->level == 0)
		/* The other encoding is reserved, and translates to nothing. */
		return entry & ARMV8PT_FMT_PAGE ? PT_ENTRY_OA : PT_ENTRY_EMPTY;
	if (entry & ARMV8PT_FMT_TABLE)
		return PT_ENTRY_TABLE;
	return armv8_pt_can_have_leaf(pts) ? PT_ENTRY_OA : PT_ENTRY_EMPTY;
}

#define pt_load_entry_raw armv8_pt_load_entry_raw

static inline void
armv8_pt_install_leaf_entry(struct pt_state *pts, pt_oaddr_t oa,
			    unsigned int oasz_lg2,
			    const struct pt_write_attrs *attrs)
{
	u64 *tablep = pt_cur_table(pts, u64);
	u64 entry;

	if (!pt_check_install_leaf_args(pts, oa, oasz_lg2))
		return;

	entry = ARMV8PT_FMT_VALID |
		FIELD_PREP(ARMV8PT_FMT_OA, log2_div(oa, PT_GRANULE_LG2SZ)) |
		attrs->descriptor_bits;
	if (pts->level == 0)
		entry |= ARMV8PT_FMT_PAGE;

	WRITE_ONCE(tablep[pts->index], entry);
	pts->entry = entry;
}

#define pt_install_leaf_entry armv8_pt_install_leaf_entry

static inline bool armv8_pt_install_table(struct pt_state *pts,
					  pt_oaddr_t table_pa,
					  const struct pt_write_attrs *attrs)
{
	/* What a table descriptor can take away from those below is not used. */
	return pt_table_install64(pts, ARMV8PT_FMT_VALID | ARMV8PT_FMT_TABLE |
				  FIELD_PREP(ARMV8PT_FMT_OA,
					     log2_div(table_pa, PT_GRANULE_LG2SZ)));
}

#define pt_install_table armv8_pt_install_table

static inline void armv8_pt_attr_from_entry(const struct pt_state *pts,
					    struct pt_write_attrs *attrs)
{
	attrs->descriptor_bits = pts->entry & ARMV8PT_FMT_ATTRS;
}

#define pt_attr_from_entry armv8_pt_attr_from_entry

static inline unsigned int armv8_pt_max_sw_bit(struct pt_common *common)
{
	return 3;
}

#define pt_max_sw_bit armv8_pt_max_sw_bit

static inline u64 armv8_pt_sw_bit(unsigned int bitnr)
{
	if (__builtin_constant_p(bitnr) && bitnr > 3)
		BUILD_BUG();

	/* "Reserved for software use" in a leaf, and ignored in a table descriptor */
	switch (bitnr) {
	case 0 ... 3:
		return BIT_ULL(bitnr + 55);
	default:
		PT_WARN_ON(true);
		return 0;
	}
}

#define pt_sw_bit armv8_pt_sw_bit

/* --- iommu */
#define pt_iommu_table pt_iommu_armv8

/* The common struct is in the per-format common struct */
static inline struct pt_common *common_from_iommu(struct pt_iommu *iommu_table)
{
	return &container_of(iommu_table, struct pt_iommu_table, iommu)
			->armv8_pt.common;
}

static inline struct pt_iommu *iommu_from_common(struct pt_common *common)
{
	return &container_of(common, struct pt_iommu_table, armv8_pt.common)
			->iommu;
}

static inline int armv8_pt_iommu_set_prot(struct pt_common *common,
					  struct pt_write_attrs *attrs,
					  unsigned int iommu_prot)
{
	u64 pte = ARMV8PT_FMT_AF;

	if (!(iommu_prot & (IOMMU_READ | IOMMU_WRITE)))
		return -EINVAL;

	if (pt_feature(common, PT_FEAT_ARMV8_S2)) {
		if (iommu_prot & IOMMU_READ)
			pte |= ARMV8PT_FMT_S2AP_READ;
		if (iommu_prot & IOMMU_WRITE)
			pte |= ARMV8PT_FMT_S2AP_WRITE;
		pte |= FIELD_PREP(ARMV8PT_FMT_MEMATTR,
				  iommu_prot & IOMMU_MMIO ? ARMV8PT_MEMATTR_DEV :
				  iommu_prot & IOMMU_CACHE ? ARMV8PT_MEMATTR_WB :
							     ARMV8PT_MEMATTR_NC);
	} else {
		/* Whoever may write may read. */
		if (!(iommu_prot & IOMMU_WRITE))
			pte |= ARMV8PT_FMT_AP_RDONLY;
		if (!(iommu_prot & IOMMU_PRIV))
			pte |= ARMV8PT_FMT_AP_UNPRIV;
		pte |= ARMV8PT_FMT_NG |
		       FIELD_PREP(ARMV8PT_FMT_ATTRINDX,
				  iommu_prot & IOMMU_MMIO ? ARMV8PT_ATTRINDX_DEV :
				  iommu_prot & IOMMU_CACHE ? ARMV8PT_ATTRINDX_CACHE :
							     ARMV8PT_ATTRINDX_NC);
	}
	pte |= FIELD_PREP(ARMV8PT_FMT_SH, iommu_prot & IOMMU_CACHE ?
					  ARMV8PT_SH_INNER : ARMV8PT_SH_OUTER);
	if (iommu_prot & IOMMU_NOEXEC)
		pte |= ARMV8PT_FMT_XN;

	attrs->descriptor_bits = pte;
	return 0;
}

#define pt_iommu_set_prot armv8_pt_iommu_set_prot

static inline int armv8_pt_iommu_fmt_init(struct pt_iommu_armv8 *iommu_table,
					  const struct pt_iommu_armv8_cfg *cfg)
{
	struct pt_armv8 *table = &iommu_table->armv8_pt;

	if (cfg->top_level < 2 || cfg->top_level > PT_MAX_TOP_LEVEL)
		return -EOPNOTSUPP;

	table->common.max_vasz_lg2 =
		min_t(unsigned int, cfg->common.hw_max_vasz_lg2,
		      PT_GRANULE_LG2SZ +
			      (PT_TABLEMEM_LG2SZ - ilog2(sizeof(u64))) *
				      (cfg->top_level + 1));
	pt_top_set_level(&table->common, cfg->top_level);
	return 0;
}

#define pt_iommu_fmt_init armv8_pt_iommu_fmt_init

static inline void
armv8_pt_iommu_fmt_hw_info(struct pt_iommu_armv8 *table,
			   const struct pt_range *top_range,
			   struct pt_iommu_armv8_hw_info *info)
{
	info->ttb = virt_to_phys(top_range->top_table);
	PT_WARN_ON(info->ttb & ~PT_TOP_PHYS_MASK);
	info->levels = top_range->top_level + 1;
}

#define pt_iommu_fmt_hw_info armv8_pt_iommu_fmt_hw_info

#if defined(GENERIC_PT_KUNIT)
static const struct pt_iommu_armv8_cfg armv8_kunit_fmt_cfgs[] = {
	[0] = { .common.hw_max_vasz_lg2 = 48, .top_level = 3,
		.common.features = BIT(PT_FEAT_ARMV8_S2) },
	[1] = { .common.hw_max_vasz_lg2 = 39, .top_level = 2,
		.common.features = BIT(PT_FEAT_ARMV8_S2) },
	[2] = { .common.hw_max_vasz_lg2 = 48, .top_level = 3 },
};

#define kunit_fmt_cfgs armv8_kunit_fmt_cfgs
enum { KUNIT_FMT_FEATURES = BIT(PT_FEAT_ARMV8_S2) };
#endif
#endif
