// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * See include/linux/liveupdate_check.h for what may and may not be done here.
 *
 * References are to the "AMD I/O Virtualization Technology (IOMMU) Specification".
 * A bit that is reserved there is refused if it is set; so is one that has a meaning
 * which no kernel of this version makes use of, because then the entry does not say
 * what the handover says.
 */

#include <linux/bits.h>
#include <linux/bitfield.h>
#include <linux/compiler.h>
#include <linux/mm.h>

#include "liveupdate_check.h"

/* "Device Table Entry Format", first word */
#define DTE_V			BIT_ULL(0)
#define DTE_TV			BIT_ULL(1)
#define DTE_MODE		GENMASK_ULL(11, 9)
#define DTE_ROOT		GENMASK_ULL(51, 12)
#define DTE_GV			BIT_ULL(55)
#define DTE_IR			BIT_ULL(61)
#define DTE_IW			BIT_ULL(62)
#define DTE_0_USED		(DTE_V | DTE_TV | DTE_MODE | DTE_ROOT | DTE_IR | DTE_IW)

/* Second word */
#define DTE_DID			GENMASK_ULL(15, 0)

/* Third word: what goes by interrupt and is not looked up in the table */
#define DTE_INT_VALID		BIT_ULL(0)
#define DTE_INT_PASS		(GENMASK_ULL(58, 56) | GENMASK_ULL(63, 62))
/* Guest page table levels, reserved without a guest page table */
#define DTE_2_RESERVED		GENMASK_ULL(55, 52)

/* "Device Table Base Address Register" */
#define DEVTAB_BASE		GENMASK_ULL(51, 12)
#define DEVTAB_SIZE		GENMASK_ULL(8, 0)

/* "I/O Page Tables for Host Translations" */
#define PTE_PRESENT		BIT_ULL(0)
#define PTE_NEXT_LEVEL		GENMASK_ULL(11, 9)
#define PTE_ADDR		GENMASK_ULL(51, 12)
#define PTE_ACCESS		(BIT_ULL(61) | BIT_ULL(62))
/* FC, and A and D, which hardware may have written before it was preserved */
#define PTE_LEAF_USED		(PTE_PRESENT | PTE_NEXT_LEVEL | PTE_ADDR | PTE_ACCESS | \
				 BIT_ULL(60) | GENMASK_ULL(6, 5))
#define PTE_TABLE_USED		(PTE_PRESENT | PTE_NEXT_LEVEL | PTE_ADDR | PTE_ACCESS | \
				 BIT_ULL(5))

enum {
	MIN_TABLE = 0x1000,
	MAX_TABLE = 0x200000,
	TABLE_ITEMS = 512,
	NL_LEAF = 0,
	NL_SIZED_LEAF = 7,
	/* Levels of the topmost table: the smallest that the driver makes, and the highest */
	MIN_TOP_LEVEL = 1,
	MAX_TOP_LEVEL = 5,
	MIN_VASZ = 30,
};

static const char *check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	const struct amd_hw_ser *part = amd_hw_part(hw);
	u32 j;

	if (hw->length != sizeof(*part))
		return "driver's part has another length";
	if (part->reserved)
		return "reserved field of the unit is not zero";
	if (part->table_size < MIN_TABLE || part->table_size > MAX_TABLE ||
	    part->table_size & (part->table_size - 1))
		return "its device table has an impossible size";
	if (!view->mem->get(view->mem, part->table_pa, get_order(part->table_size)))
		return "device table was not preserved";
	/* The units of a segment share it. */
	for (j = 0; j < i; j++) {
		const struct iommu_hw_ser *o = &view->iommus[j];

		if ((o->flags & IOMMU_SER_USED) && o->type == hw->type &&
		    amd_hw_part(o)->table_pa == part->table_pa)
			return NULL;
	}
	if (!view->mem->claim(view->mem, part->table_pa))
		return "device table is used for something else, too";
	return NULL;
}

static const char *check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	const struct amd_domain_ser *part = amd_domain_part(d);
	u32 j;

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->reserved)
		return "reserved field of the tables is not zero";
	if (part->format != AMD_DOMAIN_SER_AMDV1)
		return "unknown table format";
	if (!part->did)
		return "domain id is zero";
	for (j = 0; j < i; j++) {
		const struct iommu_domain_ser *o = &view->domains[j];

		if ((o->flags & IOMMU_SER_USED) && o->type == d->type &&
		    amd_domain_part(o)->did == part->did)
			return "domain id is that of another domain, too";
	}
	/* The top grows with what is mapped, so that it need not span all IOVA bits. */
	if (d->top_level < MIN_TOP_LEVEL || d->top_level > MAX_TOP_LEVEL ||
	    d->vasz_lg2 < MIN_VASZ || d->vasz_lg2 > 64)
		return "impossible table geometry";
	if (!view->mem->get(view->mem, d->top_pa, 0))
		return "topmost table was not preserved";
	if (!view->mem->claim(view->mem, d->top_pa))
		return "topmost table is used for something else, too";
	return NULL;
}

static const char *check_device(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	const struct amd_device_ser *part = amd_device_part(d);
	const struct amd_hw_ser *hw = amd_hw_part(&view->iommus[d->iommu]);

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->flags)
		return "unknown flags of the driver's part";
	if (part->reserved)
		return "reserved field of the driver's part is not zero";
	if (d->bdf >= hw->table_size / AMD_DTE_SIZE)
		return "its entry is beyond the device table";
	return NULL;
}

const struct iommu_ser_driver amd_ser_driver = {
	.type = IOMMU_SER_TYPE_AMD,
	.check_iommu = check_iommu,
	.check_domain = check_domain,
	.check_device = check_device,
};

/**
 * amd_dte_translates() - Can this be the entry of a device that was handed over?
 * @dte: The device table entry.
 *
 * Any other entry either lets nothing through or lets through what no table says:
 * one that is not valid, one without paging, and one with a guest page table. All
 * of these are blocked without a look at the handover.
 *
 * Return: true if it gives access by way of host page tables alone.
 */
bool amd_dte_translates(const u64 *dte)
{
	u64 word = READ_ONCE(dte[0]);

	return (word & (DTE_V | DTE_TV)) == (DTE_V | DTE_TV) &&
	       word & DTE_MODE && word & (DTE_IR | DTE_IW) && !(word & DTE_GV);
}

/**
 * amd_dte_block() - Let a requester do no DMA
 * @dte: Its device table entry, which hardware may be reading.
 * @messages: What becomes the second word: bits of the IVRS table or 0.
 *
 * Blocked is an entry that is valid and gives no access; a cleared one would let
 * everything through. All that opens the entry is in the first word, so that this is
 * written first. The third word is about interrupts, and stays. The caller has hardware
 * forget what it has cached of the entry.
 */
void amd_dte_block(u64 *dte, u64 messages)
{
	WRITE_ONCE(dte[0], DTE_V | DTE_TV);
	WRITE_ONCE(dte[1], messages);
	WRITE_ONCE(dte[3], 0);
}

/**
 * amd_check_device() - Does hardware's entry say what the handover says?
 * @view: The handover.
 * @unit: The hardware.
 * @ser: The device; iommu_ser_check_device() found no fault with it.
 * @dte: The device table entry.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *amd_check_device(const struct iommu_ser_view *view,
			     const struct amd_unit *unit,
			     const struct iommu_device_ser *ser,
			     const u64 *dte)
{
	const struct iommu_domain_ser *dom = &view->domains[ser->domain];

	if (!amd_dte_translates(dte))
		return "its device table entry does not translate";
	if (dte[0] & ~DTE_0_USED || dte[1] & ~DTE_DID ||
	    dte[2] & DTE_2_RESERVED || dte[3])
		return "bits of its device table entry are set that say something else";
	if (dte[2] & DTE_INT_PASS)
		return "interrupts of it pass that nobody looks up";
	if ((dte[0] & (DTE_IR | DTE_IW)) != (DTE_IR | DTE_IW))
		return "its device table entry does not give all access";
	if ((dte[0] & DTE_ROOT) != dom->top_pa)
		return "its device table entry refers to other tables";
	if (FIELD_GET(DTE_MODE, dte[0]) != dom->top_level + 1U)
		return "its device table entry has another number of levels";
	if (FIELD_GET(DTE_DID, dte[1]) != amd_domain_part(dom)->did)
		return "its device table entry has another domain id";
	if (dom->vasz_lg2 > unit->vasz_lg2)
		return "the IOMMU does not translate so many address bits";
	return NULL;
}

/**
 * amd_check_table_register() - Does a unit use the device table of the handover?
 * @part: The unit in the handover.
 * @reg: Its Device Table Base Address Register.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *amd_check_table_register(const struct amd_hw_ser *part, u64 reg)
{
	if ((reg & DEVTAB_BASE) != part->table_pa)
		return "hardware has another device table than the handover";
	if ((FIELD_GET(DEVTAB_SIZE, reg) + 1) * MIN_TABLE != part->table_size)
		return "the device table of hardware has another size than in the handover";
	return NULL;
}

/* A leaf of more than one item has its size in the ones at the end of its address. */
static const char *check_sized_leaf(u64 entry, unsigned int level)
{
	u64 page = FIELD_GET(PTE_ADDR, entry);
	unsigned int lg2 = 13;

	for (; page & 1; page >>= 1)
		lg2++;
	/* As large as an item of its level or larger, and within one table */
	if (lg2 <= 12 + 9 * level || lg2 >= 12 + 9 * (level + 1) || lg2 > 51 ||
	    lg2 == 39)
		return "a leaf in its tables is of an impossible size";
	return NULL;
}

static const char *check_leaf(u64 entry, unsigned int level)
{
	if (entry & ~PTE_LEAF_USED)
		return "reserved bits of a leaf in its tables are set";
	if (level == MAX_TOP_LEVEL)
		return "a leaf in its tables is of an impossible size";
	if (FIELD_GET(PTE_NEXT_LEVEL, entry) == NL_SIZED_LEAF)
		return check_sized_leaf(entry, level);
	if (level && (entry & GENMASK_ULL(11 + 9 * level, 12) || level == 3))
		return "a leaf in its tables is of an impossible size";
	return NULL;
}

static const char *check_table(struct liveupdate_mem *mem,
			       const struct amd_unit *unit, u64 pa,
			       unsigned int level)
{
	const u64 *item = mem->get(mem, pa, 0);
	const char *why;
	unsigned int i;

	for (i = 0; i < TABLE_ITEMS; i++) {
		u64 entry = item[i];
		unsigned int next = FIELD_GET(PTE_NEXT_LEVEL, entry);

		if (!(entry & PTE_PRESENT))
			continue;
		if ((entry & PTE_ADDR) >> unit->paddr_bits)
			return "an address in its tables is beyond what the IOMMU can have";
		if (next == NL_LEAF || next == NL_SIZED_LEAF) {
			why = check_leaf(entry, level);
			if (why)
				return why;
			continue;
		}
		/* Hardware could skip levels; the driver never makes it do so. */
		if (next != level)
			return "an entry in its tables leads to another level";
		if (entry & ~PTE_TABLE_USED)
			return "reserved bits of an entry in its tables are set";
		pa = entry & PTE_ADDR;
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
 * amd_check_tables() - Check all tables of a domain
 * @mem: How to get at memory.
 * @unit: The hardware.
 * @domain: The domain; iommu_ser_check_domain() found no fault with it.
 *
 * The time that this takes grows with the number of tables. No table is visited
 * twice, and the descent is not deeper than the domain has levels.
 *
 * Return: NULL, or the rule that they break.
 */
const char *amd_check_tables(struct liveupdate_mem *mem,
			     const struct amd_unit *unit,
			     const struct iommu_domain_ser *domain)
{
	return check_table(mem, unit, domain->top_pa, domain->top_level);
}
