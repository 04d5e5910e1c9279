// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * See include/linux/liveupdate_check.h for what may and may not be done here.
 *
 * References are to the "Arm System Memory Management Unit Architecture Specification,
 * SMMU architecture version 3". A bit that is reserved there is refused if it is set; so
 * is one that has a meaning which no kernel of this version makes use of, because then
 * the entry does not say what the handover says.
 */

#include <linux/bits.h>
#include <linux/bitfield.h>
#include <linux/compiler.h>
#include <linux/mm.h>

#include "liveupdate_check.h"

/* "SMMU_STRTAB_BASE", "SMMU_STRTAB_BASE_CFG" */
#define BASE_ADDR		GENMASK_ULL(51, 6)
#define CFG_LOG2SIZE		GENMASK(5, 0)
#define CFG_SPLIT		GENMASK(10, 6)
#define CFG_FMT			GENMASK(17, 16)
#define CFG_TWO_LEVEL		1

/* "Level 1 Stream Table Descriptor" */
#define L1_SPAN			GENMASK_ULL(4, 0)
#define L1_PTR			GENMASK_ULL(51, 6)

/* "Stream Table Entry", its words */
#define STE_V			BIT_ULL(0)
#define STE_CFG			GENMASK_ULL(3, 1)
#define STE_CFG_ABORT		0
#define STE_CFG_S1		5
#define STE_CTXPTR		GENMASK_ULL(51, 6)
#define STE_S1CDMAX		GENMASK_ULL(63, 59)
#define STE_0_USED		(STE_V | STE_CFG | STE_CTXPTR | STE_S1CDMAX)
#define STE_1_S1DSS		GENMASK_ULL(1, 0)
#define STE_1_S1CIR		GENMASK_ULL(3, 2)
#define STE_1_S1COR		GENMASK_ULL(5, 4)
#define STE_1_S1CSH		GENMASK_ULL(7, 6)
#define STE_1_MEV		BIT_ULL(19)
#define STE_1_S1STALLD		BIT_ULL(27)
#define STE_1_STRW		GENMASK_ULL(31, 30)
#define STE_SSID0		2
#define STE_WBRA		1
#define STE_STRW_EL2		2

/* "Context Descriptor", its words */
#define CD_T0SZ			GENMASK_ULL(5, 0)
#define CD_IR0			GENMASK_ULL(9, 8)
#define CD_OR0			GENMASK_ULL(11, 10)
#define CD_SH0			GENMASK_ULL(13, 12)
#define CD_EPD1			BIT_ULL(30)
#define CD_V			BIT_ULL(31)
#define CD_IPS			GENMASK_ULL(34, 32)
#define CD_AA64			BIT_ULL(41)
#define CD_R			BIT_ULL(45)
#define CD_A			BIT_ULL(46)
#define CD_ASET			BIT_ULL(47)
#define CD_ASID			GENMASK_ULL(63, 48)
#define CD_0_USED		(CD_T0SZ | CD_IR0 | CD_OR0 | CD_SH0 | CD_EPD1 | CD_V | CD_IPS | \
				 CD_AA64 | CD_R | CD_A | CD_ASET | CD_ASID)
#define CD_WBWA			1
#define SH_INNER		3

/* AttrIndx, AP, SH, AF, nG, PXN and XN, and those that are software's */
#define ITEM_LEAF_USED		(ITEM_VALID | ITEM_TABLE | ITEM_ADDR | GENMASK_ULL(4, 2) | \
				 GENMASK_ULL(11, 6) | GENMASK_ULL(58, 53))
#define ITEM_TABLE_USED		(ITEM_VALID | ITEM_TABLE | ITEM_ADDR | GENMASK_ULL(58, 55))

enum {
	MAX_CDS = 10,
	TABLE_ITEMS = 512,
	/* Levels of the topmost table that the driver makes: of 39 bits, and of 48 */
	MIN_TOP_LEVEL = 2,
	MAX_TOP_LEVEL = 3,
	/* What T0SZ can say with a granule of 4 KiB */
	MIN_VASZ = 25,
	MAX_VASZ = 48,
};

/**
 * smmuv3_is_two_level() - Has a stream table two levels?
 * @strtab_cfg: SMMU_STRTAB_BASE_CFG.
 *
 * Return: false if it is linear.
 */
bool smmuv3_is_two_level(u32 strtab_cfg)
{
	return FIELD_GET(CFG_FMT, strtab_cfg) == CFG_TWO_LEVEL;
}

/**
 * smmuv3_strtab_size() - How large is a stream table?
 * @strtab_cfg: SMMU_STRTAB_BASE_CFG.
 *
 * Return: Its number of bytes; that of level 1, if it has two.
 */
u64 smmuv3_strtab_size(u32 strtab_cfg)
{
	unsigned int lg2 = FIELD_GET(CFG_LOG2SIZE, strtab_cfg);

	return smmuv3_is_two_level(strtab_cfg) ? sizeof(u64) << (lg2 - SMMUV3_SPLIT) :
						 (u64)SMMUV3_ENTRY_SIZE << lg2;
}

static const char *check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	const struct smmuv3_hw_ser *part = smmuv3_hw_part(hw);
	unsigned int lg2 = FIELD_GET(CFG_LOG2SIZE, part->strtab_cfg);
	unsigned int order;

	if (hw->length != sizeof(*part))
		return "driver's part has another length";
	if (part->reserved)
		return "reserved field of the unit is not zero";
	if (part->strtab_cfg & ~(u32)(CFG_LOG2SIZE | CFG_SPLIT | CFG_FMT))
		return "unknown bits of its stream table's format";
	if (smmuv3_is_two_level(part->strtab_cfg) ?
	    FIELD_GET(CFG_SPLIT, part->strtab_cfg) != SMMUV3_SPLIT || lg2 < SMMUV3_SPLIT :
	    FIELD_GET(CFG_SPLIT, part->strtab_cfg) || FIELD_GET(CFG_FMT, part->strtab_cfg))
		return "its stream table has an unknown format";
	if (lg2 > 32)
		return "its stream table has an impossible size";
	order = get_order(smmuv3_strtab_size(part->strtab_cfg));
	if (order > LIVEUPDATE_CHECK_MAX_ORDER)
		return "its stream table has an impossible size";
	if (!view->mem->get(view->mem, part->strtab_pa, order))
		return "stream table was not preserved";
	if (!view->mem->claim(view->mem, part->strtab_pa))
		return "stream table is used for something else, too";
	return NULL;
}

static const char *check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	const struct smmuv3_domain_ser *part = smmuv3_domain_part(d);
	u32 j;

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->reserved)
		return "reserved field of the tables is not zero";
	if (part->format != SMMUV3_DOMAIN_SER_S1)
		return "unknown table format";
	if (!part->asid)
		return "ASID is zero";
	for (j = 0; j < i; j++) {
		const struct iommu_domain_ser *o = &view->domains[j];

		if ((o->flags & IOMMU_SER_USED) && o->type == d->type &&
		    smmuv3_domain_part(o)->asid == part->asid)
			return "ASID is that of another domain, too";
	}
	if (d->top_level < MIN_TOP_LEVEL || d->top_level > MAX_TOP_LEVEL ||
	    d->vasz_lg2 < MIN_VASZ || d->vasz_lg2 > MAX_VASZ ||
	    (d->vasz_lg2 - 13) / 9 != d->top_level)
		return "impossible table geometry";
	if (!view->mem->get(view->mem, d->top_pa, 0))
		return "topmost table was not preserved";
	if (!view->mem->claim(view->mem, d->top_pa))
		return "topmost table is used for something else, too";
	return NULL;
}

/* A level 2 table is that of the streams that have its number, and of no others. */
static const char *check_l2(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	const struct smmuv3_device_ser *part = smmuv3_device_part(d);
	u32 j;

	if (!view->mem->get(view->mem, part->l2_pa, get_order(SMMUV3_L2_SIZE)))
		return "level 2 stream table was not preserved";
	for (j = 0; j < i; j++) {
		const struct iommu_device_ser *o = &view->devices[j];

		if (!(o->flags & IOMMU_SER_USED) || o->type != d->type ||
		    o->iommu != d->iommu ||
		    smmuv3_device_part(o)->sid >> SMMUV3_SPLIT != part->sid >> SMMUV3_SPLIT)
			continue;
		return smmuv3_device_part(o)->l2_pa == part->l2_pa ? NULL :
		       "another device has another level 2 stream table for its streams";
	}
	if (!view->mem->claim(view->mem, part->l2_pa))
		return "level 2 stream table is used for something else, too";
	return NULL;
}

static const char *check_device(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	const struct smmuv3_device_ser *part = smmuv3_device_part(d);
	const struct smmuv3_hw_ser *hw = smmuv3_hw_part(&view->iommus[d->iommu]);
	u32 j;

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->reserved[0] | part->reserved[1] | part->reserved[2])
		return "reserved field of the driver's part is not zero";
	if ((u64)part->sid >> FIELD_GET(CFG_LOG2SIZE, hw->strtab_cfg))
		return "its StreamID is beyond the stream table";
	for (j = 0; j < i; j++) {
		const struct iommu_device_ser *o = &view->devices[j];

		if ((o->flags & IOMMU_SER_USED) && o->type == d->type &&
		    o->iommu == d->iommu && smmuv3_device_part(o)->sid == part->sid)
			return "its StreamID is that of another device, too";
	}
	if (part->s1cdmax > MAX_CDS)
		return "it has too many context descriptors";
	if (!view->mem->get(view->mem, part->cd_pa,
			    get_order(SMMUV3_ENTRY_SIZE << part->s1cdmax)))
		return "table of context descriptors was not preserved";
	if (!view->mem->claim(view->mem, part->cd_pa))
		return "table of context descriptors is used for something else, too";
	/* Last: whoever claims the table for others, too, is a device that can be used. */
	if (smmuv3_is_two_level(hw->strtab_cfg))
		return check_l2(view, i);
	if (part->l2_pa)
		return "it has a level 2 stream table, and its unit has one level";
	return NULL;
}

const struct iommu_ser_driver smmuv3_ser_driver = {
	.type = IOMMU_SER_TYPE_SMMUV3,
	.check_iommu = check_iommu,
	.check_domain = check_domain,
	.check_device = check_device,
};

/**
 * smmuv3_ste_blocks() - Does a stream table entry let nothing through?
 * @ste: The entry.
 *
 * Return: true if it is not valid, or says so.
 */
bool smmuv3_ste_blocks(const u64 *ste)
{
	u64 word = READ_ONCE(ste[0]);

	return !(word & STE_V) || FIELD_GET(STE_CFG, word) == STE_CFG_ABORT;
}

/**
 * smmuv3_check_registers() - Does a unit use the stream table of the handover?
 * @part: The unit in the handover.
 * @base: Its SMMU_STRTAB_BASE.
 * @cfg: Its SMMU_STRTAB_BASE_CFG.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *smmuv3_check_registers(const struct smmuv3_hw_ser *part, u64 base, u32 cfg)
{
	if ((base & BASE_ADDR) != part->strtab_pa)
		return "hardware has another stream table than the handover";
	if (cfg != part->strtab_cfg)
		return "the stream table of hardware has another format than in the handover";
	return NULL;
}

/**
 * smmuv3_check_l1() - Can a level 1 descriptor stay as it is?
 * @view: The handover.
 * @iommu: The unit that it is of; its stream table has two levels.
 * @index: Number of the descriptor.
 * @desc: What it says.
 *
 * Return: NULL if it says that there is nothing, or leads to the level 2 table that the
 * handover has there; or the rule that it breaks.
 */
const char *smmuv3_check_l1(const struct iommu_ser_view *view, u32 iommu, u32 index,
			    u64 desc)
{
	u32 i;

	if (!desc)
		return NULL;
	for (i = 0; i < IOMMU_SER_MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &view->devices[i];

		if ((d->flags & IOMMU_SER_USED) && d->iommu == iommu &&
		    smmuv3_device_part(d)->sid >> SMMUV3_SPLIT == index)
			break;
	}
	if (i == IOMMU_SER_MAX_DEVICES)
		return "no device of the handover has a stream there";
	if (desc & ~(L1_SPAN | L1_PTR))
		return "reserved bits of a level 1 descriptor are set";
	if (FIELD_GET(L1_SPAN, desc) != SMMUV3_SPLIT + 1)
		return "a level 1 descriptor spans another number of streams";
	if ((desc & L1_PTR) != smmuv3_device_part(&view->devices[i])->l2_pa)
		return "a level 1 descriptor leads elsewhere";
	return NULL;
}

static const char *check_ste(const struct smmuv3_unit *unit,
			     const struct smmuv3_device_ser *part, const u64 *ste)
{
	const u64 word1 = FIELD_PREP(STE_1_S1DSS, STE_SSID0) |
			  FIELD_PREP(STE_1_S1CIR, STE_WBRA) |
			  FIELD_PREP(STE_1_S1COR, STE_WBRA) |
			  FIELD_PREP(STE_1_S1CSH, SH_INNER) |
			  (unit->stalls ? STE_1_S1STALLD : 0) |
			  FIELD_PREP(STE_1_STRW, unit->el2 ? STE_STRW_EL2 : 0);
	unsigned int i;

	if (!(ste[0] & STE_V))
		return "its stream table entry is not valid";
	if (FIELD_GET(STE_CFG, ste[0]) != STE_CFG_S1)
		return "its stream table entry is of another kind";
	if (ste[0] & ~STE_0_USED)
		return "reserved bits of its stream table entry are set";
	if ((ste[0] & STE_CTXPTR) != part->cd_pa)
		return "its stream table entry has other context descriptors";
	if (FIELD_GET(STE_S1CDMAX, ste[0]) != part->s1cdmax)
		return "its stream table entry has another number of context descriptors";
	/* Whether faults are merged says nothing about translations. */
	if ((ste[1] & ~STE_1_MEV) != word1)
		return "its stream table entry translates in another way";
	for (i = 2; i < SMMUV3_ENTRY_WORDS; i++)
		if (ste[i])
			return "reserved bits of its stream table entry are set";
	return NULL;
}

static const char *check_cd(const struct smmuv3_unit *unit,
			    const struct iommu_domain_ser *dom, const u64 *cd)
{
	const u64 word0 = FIELD_PREP(CD_T0SZ, 64 - dom->vasz_lg2) |
			  FIELD_PREP(CD_IR0, CD_WBWA) | FIELD_PREP(CD_OR0, CD_WBWA) |
			  FIELD_PREP(CD_SH0, SH_INNER) | CD_EPD1 | CD_V |
			  FIELD_PREP(CD_IPS, unit->ips) | CD_AA64 | CD_R | CD_A | CD_ASET |
			  FIELD_PREP(CD_ASID, smmuv3_domain_part(dom)->asid);

	if (!(cd[0] & CD_V))
		return "its context descriptor is not valid";
	if (cd[0] & ~CD_0_USED)
		return "reserved bits of its context descriptor are set";
	if ((cd[0] ^ word0) & CD_ASID)
		return "its context descriptor has another ASID";
	if (cd[0] != word0)
		return "its context descriptor translates in another way";
	if (cd[1] != dom->top_pa)
		return "its context descriptor refers to other tables";
	if (cd[3] != SMMUV3_SER_MAIR)
		return "its context descriptor has other types of memory";
	if (cd[2] | cd[4] | cd[5] | cd[6] | cd[7])
		return "reserved bits of its context descriptor are set";
	return NULL;
}

/**
 * smmuv3_check_device() - Do hardware's entries say what the handover says?
 * @view: The handover.
 * @unit: The hardware.
 * @ser: The device; iommu_ser_check_device() found no fault with it.
 * @ste: Its stream table entry.
 * @cds: Its context descriptors, as many as the handover says.
 *
 * Return: NULL, or the rule that they break.
 */
const char *smmuv3_check_device(const struct iommu_ser_view *view,
				const struct smmuv3_unit *unit,
				const struct iommu_device_ser *ser,
				const u64 *ste, const u64 *cds)
{
	const struct smmuv3_device_ser *part = smmuv3_device_part(ser);
	const struct iommu_domain_ser *dom = &view->domains[ser->domain];
	const char *why;
	u32 i;

	if (smmuv3_domain_part(dom)->asid >> unit->asid_bits)
		return "the IOMMU does not have so many ASIDs";
	why = check_ste(unit, part, ste) ?: check_cd(unit, dom, cds);
	if (why)
		return why;
	for (i = 1; i >> part->s1cdmax == 0; i++)
		if (cds[i * SMMUV3_ENTRY_WORDS] & CD_V)
			return "it has a context descriptor for a PASID";
	return NULL;
}

static const char *check_leaf(u64 entry, unsigned int level)
{
	if (entry & ~ITEM_LEAF_USED)
		return "reserved bits of a leaf in its tables are set";
	if (entry & ITEM_ADDR & (GENMASK_ULL(11 + 9 * level, 0)))
		return "a leaf in its tables is of an impossible size";
	return NULL;
}

static const char *check_table(struct liveupdate_mem *mem,
			       const struct smmuv3_unit *unit, u64 pa,
			       unsigned int level)
{
	const u64 *item = mem->get(mem, pa, 0);
	const char *why;
	unsigned int i;

	for (i = 0; i < TABLE_ITEMS; i++) {
		u64 entry = item[i];

		if (!(entry & ITEM_VALID))
			continue;
		if ((entry & ITEM_ADDR) >> unit->oas)
			return "an address in its tables is beyond what the IOMMU can have";
		/* A page has the bit that makes an entry above it lead to a table. */
		if (level == MAX_TOP_LEVEL || !level ? !(entry & ITEM_TABLE) : 0)
			return "an entry in its tables is of a reserved kind";
		if (!level || !(entry & ITEM_TABLE)) {
			why = check_leaf(entry, level);
			if (why)
				return why;
			continue;
		}
		if (entry & ~ITEM_TABLE_USED)
			return "reserved bits of an entry in its tables are set";
		pa = entry & ITEM_ADDR;
		if (!mem->get(mem, pa, 0))
			return "one of its tables was not preserved";
		/* A cycle, too, comes back to a page that is claimed. */
		if (!mem->claim(mem, pa))
			return "one of its tables is used for something else, too";
		why = check_table(mem, unit, pa, level - 1);
		if (why)
			return why;
	}
	return NULL;
}

/**
 * smmuv3_check_tables() - Check all tables of a domain
 * @mem: How to get at memory.
 * @unit: The hardware.
 * @domain: The domain; iommu_ser_check_domain() found no fault with it.
 *
 * The time that this takes grows with the number of tables. No table is visited
 * twice, and the descent is not deeper than the domain has levels.
 *
 * Return: NULL, or the rule that they break.
 */
const char *smmuv3_check_tables(struct liveupdate_mem *mem,
				const struct smmuv3_unit *unit,
				const struct iommu_domain_ser *domain)
{
	return check_table(mem, unit, domain->top_pa, domain->top_level);
}
