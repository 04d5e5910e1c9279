// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * See include/linux/liveupdate_check.h for what may and may not be done here.
 *
 * References are to the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification". A bit that is reserved there is refused if it is
 * set; so is one that has a meaning which no kernel of this version makes use
 * of, because then the entry does not say what the handover says.
 */

#include <linux/bits.h>
#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/stddef.h>

#include "liveupdate_check.h"

#define ENTRY_PRESENT		BIT_ULL(0)
#define ENTRY_FPD		BIT_ULL(1)	/* fault processing disable */
#define ENTRY_ADDR		GENMASK_ULL(63, 12)

/* "9.1 Root Entry", "9.2 Scalable-Mode Root Entry" */
#define ROOT_RESERVED		GENMASK_ULL(11, 1)

/* "9.3 Context Entry", low and high 64 bits */
#define CTX_TT			GENMASK_ULL(3, 2)
#define CTX_LO_RESERVED		GENMASK_ULL(11, 4)
#define CTX_AW			GENMASK_ULL(2, 0)
#define CTX_DID			GENMASK_ULL(23, 8)
#define CTX_HI_RESERVED		(GENMASK_ULL(63, 24) | BIT_ULL(7))

/* "9.4 Scalable-Mode Context-Entry"; PRE is not in use. */
#define CTX_SM_DTE		BIT_ULL(2)
#define CTX_SM_PASIDE		BIT_ULL(3)	/* requests with a PASID are let in */
#define CTX_SM_PDTS		GENMASK_ULL(11, 9)
#define CTX_SM_LO_RESERVED	GENMASK_ULL(8, 4)

/* "9.5 Scalable-Mode PASID Directory Entry" */
#define PDE_RESERVED		GENMASK_ULL(11, 2)

/* "9.6 Scalable-Mode PASID Table Entry", first and second 64 bits */
#define PTE_AW			GENMASK_ULL(4, 2)
#define PTE_PGTT		GENMASK_ULL(8, 6)
#define PTE_SSADE		BIT_ULL(9)	/* dirty bits are written */
#define PTE_LO_RESERVED		(GENMASK_ULL(11, 10) | BIT_ULL(5))
#define PTE_DID			GENMASK_ULL(15, 0)
#define PTE_PWSNP		BIT_ULL(23)
#define PTE_PGSNP		BIT_ULL(24)

/* "9.8 Second-Stage Paging Entries"; DMA tables have no X */
#define SS_ACCESS		GENMASK_ULL(1, 0)
#define SS_PS			BIT_ULL(7)
#define SS_SNP			BIT_ULL(11)
#define SS_LEAF_RESERVED	BIT_ULL(62)

enum {
	TT_MULTI_LEVEL = 0,
	TT_DEVICE_TLB = 1,
	PGTT_SECOND_STAGE = 2,
	PASIDS_PER_PDE = 64,
	MAX_PASIDS = 0x100000,	/* 20 bits */
	PASID_ENTRY_WORDS = 8,
	TABLE_ITEMS = 512,
	/* PDTS: the directory has 2^(PDTS + 7) entries. */
	PDTS_OFFSET = 7,
};

/* What was written without a list of PASIDs, and what one page holds of them */
static_assert(offsetof(struct intel_device_ser, pasids_pa) ==
	      INTEL_DEVICE_SER_V2_SIZE);
static_assert(INTEL_DEVICE_SER_MAX_PASIDS * sizeof(struct intel_pasid_ser) == 4096);

static const char *check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	const struct intel_hw_ser *part = intel_hw_part(hw);

	if (hw->length != sizeof(*part))
		return "driver's part has another length";
	if (part->flags & ~INTEL_HW_SER_SCALABLE)
		return "unknown flags of the unit";
	if (part->reserved)
		return "reserved field of the unit is not zero";
	if (!view->mem->get(view->mem, part->root_pa, 0))
		return "root table was not preserved";
	if (!view->mem->claim(view->mem, part->root_pa))
		return "root table is used for something else, too";
	return NULL;
}

static const char *check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	const struct intel_domain_ser *part = intel_domain_part(d);

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->flags & ~(INTEL_DOMAIN_SER_INCOHERENT |
			    INTEL_DOMAIN_SER_FORCE_SNOOP))
		return "unknown flags of the tables";
	if (part->format != INTEL_DOMAIN_SER_VTDSS)
		return "unknown table format";
	/* 12 bits of the page, 9 of each level */
	if (d->top_level < 2 || d->top_level > 4 || d->vasz_lg2 < 30 ||
	    d->vasz_lg2 > 12 + 9 * (d->top_level + 1))
		return "impossible table geometry";
	if (!view->mem->get(view->mem, d->top_pa, 0))
		return "topmost table was not preserved";
	if (!view->mem->claim(view->mem, d->top_pa))
		return "topmost table is used for something else, too";
	return NULL;
}

static const char *check_pasids(const struct iommu_ser_view *view,
				const struct iommu_device_ser *d)
{
	const struct intel_hw_ser *hw = intel_hw_part(&view->iommus[d->iommu]);
	const struct intel_device_ser *part = intel_device_part(d);
	size_t size;

	if (!(hw->flags & INTEL_HW_SER_SCALABLE))
		return part->pasid_pa || part->max_pasid ?
		       "PASID directory of a device in legacy mode" : NULL;
	if (part->max_pasid & (part->max_pasid - 1) ||
	    part->max_pasid > MAX_PASIDS)
		return "its number of PASIDs is impossible";
	size = part->max_pasid / PASIDS_PER_PDE * sizeof(u64);
	if (size < PAGE_SIZE)
		return "its number of PASIDs is impossible";
	if (!view->mem->get(view->mem, part->pasid_pa, get_order(size)))
		return "its PASID directory was not preserved";
	if (!view->mem->claim(view->mem, part->pasid_pa))
		return "its PASID directory is used for something else, too";
	return NULL;
}

/* One of the PASIDs that a device lists. @prev: the one in front of it, or NULL. */
static const char *check_listed(const struct iommu_ser_view *view,
				const struct iommu_device_ser *d,
				const struct intel_pasid_ser *p,
				const struct intel_pasid_ser *prev)
{
	unsigned int i;

	for (i = 0; i < sizeof(p->reserved); i++)
		if (p->reserved[i])
			return "reserved field of a listed PASID is not zero";
	if (!p->pasid || p->pasid >= intel_device_part(d)->max_pasid)
		return "a listed PASID is out of range";
	if (p->domain >= IOMMU_SER_MAX_DOMAINS ||
	    !(view->domains[p->domain].flags & IOMMU_SER_USED))
		return "domain of a listed PASID does not exist";
	if (view->domains[p->domain].type != d->type)
		return "domain of a listed PASID is one of another type of IOMMU";
	if (!prev || p->did > prev->did)
		return NULL;
	if (p->did < prev->did || p->pasid <= prev->pasid)
		return "its list of PASIDs is not in order";
	if (p->domain != prev->domain)
		return "domain id of a listed PASID is that of another domain, too";
	return NULL;
}

static const char *check_list(const struct iommu_ser_view *view,
			      const struct iommu_device_ser *d)
{
	const struct intel_hw_ser *hw = intel_hw_part(&view->iommus[d->iommu]);
	const struct intel_device_ser *part = intel_device_part(d);
	const struct intel_pasid_ser *list;
	const char *why;
	u32 i;

	if (d->length == INTEL_DEVICE_SER_V2_SIZE)
		return NULL;
	if (!(hw->flags & INTEL_HW_SER_SCALABLE))
		return "list of PASIDs of a device in legacy mode";
	if (part->reserved)
		return "reserved field of the driver's part is not zero";
	if (!part->nr_pasids || part->nr_pasids > INTEL_DEVICE_SER_MAX_PASIDS)
		return "number of PASIDs in its list is impossible";
	list = view->mem->get(view->mem, part->pasids_pa, 0);
	if (!list)
		return "its list of PASIDs was not preserved";
	if (!view->mem->claim(view->mem, part->pasids_pa))
		return "its list of PASIDs is used for something else, too";
	for (i = 0; i < part->nr_pasids; i++) {
		why = check_listed(view, d, &list[i], i ? &list[i - 1] : NULL);
		if (why)
			return why;
	}
	return NULL;
}

/*
 * PASIDs of a device with their domain ids: those that it lists, and the first one.
 * What a device lists that was refused may be anything.
 */
struct pasids {
	struct intel_pasid_ser first;
	const struct intel_pasid_ser *list;
	u32 nr;
};

static struct pasids pasids_of(const struct iommu_ser_view *view,
			       const struct iommu_device_ser *d)
{
	const struct intel_device_ser *part = intel_device_part(d);
	struct pasids pasids = {
		.first = { .domain = d->domain, .did = part->did },
	};

	if (!part->nr_pasids || part->nr_pasids > INTEL_DEVICE_SER_MAX_PASIDS)
		return pasids;
	pasids.list = view->mem->get(view->mem, part->pasids_pa, 0);
	if (pasids.list)
		pasids.nr = part->nr_pasids;
	return pasids;
}

/* Is one id that of two domains, in two lists that are in the order of the ids? */
static bool clash(const struct intel_pasid_ser *a, u32 nr_a,
		  const struct intel_pasid_ser *b, u32 nr_b)
{
	u32 i = 0, j = 0;

	while (i < nr_a && j < nr_b) {
		if (a[i].did == b[j].did && a[i].domain != b[j].domain)
			return true;
		if (a[i].did < b[j].did)
			i++;
		else
			j++;
	}
	return false;
}

/*
 * One domain id is that of one domain of a unit. A pair of devices takes one pass over
 * two lists, each of one page at most.
 */
static const char *check_dids(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	const struct pasids mine = pasids_of(view, d);
	u32 j;

	if (clash(&mine.first, 1, mine.list, mine.nr))
		return "domain id of a listed PASID is that of another domain, too";
	for (j = 0; j < i; j++) {
		const struct iommu_device_ser *o = &view->devices[j];
		struct pasids its;

		if (!(o->flags & IOMMU_SER_USED) || o->type != d->type ||
		    o->iommu != d->iommu)
			continue;
		its = pasids_of(view, o);
		if (clash(&mine.first, 1, &its.first, 1) ||
		    clash(&mine.first, 1, its.list, its.nr))
			return "domain id is that of another domain, too";
		if (clash(mine.list, mine.nr, &its.first, 1) ||
		    clash(mine.list, mine.nr, its.list, its.nr))
			return "domain id of a listed PASID is that of another domain, too";
	}
	return NULL;
}

static const char *check_device(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	const struct intel_device_ser *part = intel_device_part(d);
	const char *why;

	if (d->length != INTEL_DEVICE_SER_V2_SIZE && d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->flags & ~(INTEL_DEVICE_SER_DEVICE_TLB | INTEL_DEVICE_SER_ATS))
		return "unknown flags of the driver's part";
	if (part->flags == INTEL_DEVICE_SER_ATS)
		return "its ATS is on, and not allowed";
	/* The driver uses no other, and invalidates page by page. */
	if (part->ats_stu)
		return "its translation unit of ATS is not 4 KiB";
	why = check_list(view, d);
	if (!why)
		why = check_dids(view, i);
	if (why)
		return why;
	if (!view->mem->get(view->mem, part->entry_pa, 0))
		return "page of its context entry was not preserved";
	return check_pasids(view, d);
}

const struct iommu_ser_driver vtd_ser_driver = {
	.type = IOMMU_SER_TYPE_INTEL,
	.check_iommu = check_iommu,
	.check_domain = check_domain,
	.check_device = check_device,
};

static bool beyond_haw(const struct vtd_unit *unit, u64 entry)
{
	return (entry & ENTRY_ADDR) >> unit->haw;
}

/**
 * vtd_check_root_slot() - Check one present slot of the root table
 * @mem: How to get at memory.
 * @unit: The hardware.
 * @slot: Root entry, or half of one in scalable mode.
 *
 * Claims the page of the context table.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *vtd_check_root_slot(struct liveupdate_mem *mem,
				const struct vtd_unit *unit, u64 slot)
{
	if (slot & ROOT_RESERVED)
		return "reserved bits of the root entry are set";
	if (beyond_haw(unit, slot) || !mem->get(mem, slot & ENTRY_ADDR, 0))
		return "context table was not preserved";
	if (!mem->claim(mem, slot & ENTRY_ADDR))
		return "context table is used for something else, too";
	return NULL;
}

/*
 * A device whose entry lets it use ATS reaches what it says is translated already.
 * @allows: The entry does.
 */
static const char *check_device_tlb(const struct iommu_device_ser *ser,
				    bool allows)
{
	bool may = intel_device_part(ser)->flags & INTEL_DEVICE_SER_DEVICE_TLB;

	if (may == allows)
		return NULL;
	return allows ? "its context entry allows ATS, and the handover does not" :
			"its context entry does not allow ATS";
}

static const char *check_legacy(const struct iommu_device_ser *ser,
				const struct iommu_domain_ser *dom,
				const u64 *ctx)
{
	unsigned int tt = FIELD_GET(CTX_TT, ctx[0]);

	if (ctx[0] & CTX_LO_RESERVED || ctx[1] & CTX_HI_RESERVED)
		return "reserved bits of its context entry are set";
	if (tt != TT_MULTI_LEVEL && tt != TT_DEVICE_TLB)
		return "its context entry is of an unknown translation type";
	if ((ctx[0] & ENTRY_ADDR) != dom->top_pa)
		return "its context entry refers to other tables";
	if (FIELD_GET(CTX_AW, ctx[1]) != dom->top_level - 1U)
		return "its context entry has another address width";
	if (FIELD_GET(CTX_DID, ctx[1]) != intel_device_part(ser)->did)
		return "its context entry has another domain id";
	return check_device_tlb(ser, tt == TT_DEVICE_TLB);
}

static const char *check_pasid_entry(const struct iommu_domain_ser *dom,
				     u16 did, const u64 *pte)
{
	unsigned int i;
	u64 rest = 0;

	for (i = 2; i < PASID_ENTRY_WORDS; i++)
		rest |= pte[i];
	if (rest || pte[0] & PTE_LO_RESERVED ||
	    pte[1] & ~(PTE_DID | PTE_PWSNP | PTE_PGSNP))
		return "reserved bits of its PASID entry are set";
	if (FIELD_GET(PTE_PGTT, pte[0]) != PGTT_SECOND_STAGE)
		return "its PASID entry is of an unknown translation type";
	if (pte[0] & PTE_SSADE)
		return "dirty tracking of its HWPT is on";
	if ((pte[0] & ENTRY_ADDR) != dom->top_pa)
		return "its PASID entry refers to other tables";
	if (FIELD_GET(PTE_AW, pte[0]) != dom->top_level - 1U)
		return "its PASID entry has another address width";
	if (FIELD_GET(PTE_DID, pte[1]) != did)
		return "its PASID entry has another domain id";
	return NULL;
}

/* All PASID tables of a device: no more PASIDs are in use than the first one and @nr. */
static const char *check_pasid_tables(struct liveupdate_mem *mem,
				      const struct vtd_unit *unit,
				      const struct iommu_device_ser *ser,
				      const struct iommu_domain_ser *dom,
				      const u64 *dir, u32 nr)
{
	unsigned int i, j, n;
	const u64 *table;
	const char *why;
	u32 others = 0;

	if (!(dir[0] & ENTRY_PRESENT))
		return "its PASID entry is not present";
	n = intel_device_part(ser)->max_pasid / PASIDS_PER_PDE;
	for (i = 0; i < n; i++) {
		if (!(dir[i] & ENTRY_PRESENT))
			continue;
		if (dir[i] & PDE_RESERVED)
			return "reserved bits of its PASID directory are set";
		table = beyond_haw(unit, dir[i]) ? NULL :
			mem->get(mem, dir[i] & ENTRY_ADDR, 0);
		if (!table)
			return "a PASID table of it was not preserved";
		if (!mem->claim(mem, dir[i] & ENTRY_ADDR))
			return "a PASID table of it is used for something else, too";
		for (j = 0; j < PASIDS_PER_PDE; j++, table += PASID_ENTRY_WORDS) {
			bool present = table[0] & ENTRY_PRESENT;

			if (i || j) {
				if (present && ++others > nr)
					return "it has a PASID that was not handed over";
				continue;
			}
			if (!present)
				return "its PASID entry is not present";
			why = check_pasid_entry(dom, intel_device_part(ser)->did,
						table);
			if (why)
				return why;
		}
	}
	return NULL;
}

/* "9.5 Scalable-Mode PASID Directory Entry", "9.6 Scalable-Mode PASID Table Entry" */
static const u64 *find_pasid_entry(struct liveupdate_mem *mem, const u64 *dir,
				   u32 pasid)
{
	u64 pde = dir[pasid / PASIDS_PER_PDE];
	const u64 *pte;

	if (!(pde & ENTRY_PRESENT))
		return NULL;
	pte = mem->get(mem, pde & ENTRY_ADDR, 0);
	pte += pasid % PASIDS_PER_PDE * PASID_ENTRY_WORDS;
	return pte[0] & ENTRY_PRESENT ? pte : NULL;
}

/*
 * Each listed PASID has its entry. A PASID that was in the list twice would need to have
 * two domain ids in the same one; so if check_pasid_tables() found no more than are in the
 * list, it found these. It has found fault with no table, either.
 * @reach: Number of entries of the directory that hardware makes use of.
 */
static const char *check_listed_entries(const struct iommu_ser_view *view,
					const struct vtd_unit *unit,
					const struct pasids *pasids,
					const u64 *dir, unsigned int reach)
{
	u32 i;

	for (i = 0; i < pasids->nr; i++) {
		const struct intel_pasid_ser *p = &pasids->list[i];
		const struct iommu_domain_ser *dom = &view->domains[p->domain];
		const char *why;
		const u64 *pte;

		if (p->did < unit->first_did || p->did >= unit->end_did)
			return "domain id of a listed PASID is out of range";
		if (!(unit->sagaw & BIT(dom->top_level - 1)))
			return "the IOMMU does not support the table depth of a listed PASID";
		if (p->pasid / PASIDS_PER_PDE >= reach)
			return "its context entry does not reach a listed PASID";
		pte = find_pasid_entry(view->mem, dir, p->pasid);
		if (!pte)
			return "a listed PASID has no entry";
		why = check_pasid_entry(dom, p->did, pte);
		if (why)
			return why;
	}
	return NULL;
}

static const char *check_scalable(const struct iommu_ser_view *view,
				  const struct vtd_unit *unit,
				  const struct iommu_device_ser *ser,
				  const struct iommu_domain_ser *dom,
				  const u64 *ctx)
{
	const struct intel_device_ser *part = intel_device_part(ser);
	unsigned int entries = part->max_pasid / PASIDS_PER_PDE;
	unsigned int reach = 1U << (FIELD_GET(CTX_SM_PDTS, ctx[0]) + PDTS_OFFSET);
	const struct pasids pasids = pasids_of(view, ser);
	const char *why;
	const u64 *dir;

	/* The second word holds RID_PASID, 0, and RID_PRIV; then nothing. */
	if (ctx[0] & CTX_SM_LO_RESERVED || ctx[1] || ctx[2] || ctx[3])
		return "reserved bits of its context entry are set";
	why = check_device_tlb(ser, ctx[0] & CTX_SM_DTE);
	if (why)
		return why;
	if ((ctx[0] & ENTRY_ADDR) != part->pasid_pa)
		return "its context entry refers to another PASID directory";
	if (reach > entries)
		return "its context entry reaches beyond its PASID directory";
	if (pasids.nr && !(ctx[0] & CTX_SM_PASIDE))
		return "its context entry does not allow PASIDs";
	dir = view->mem->get(view->mem, part->pasid_pa,
			     get_order(entries * sizeof(u64)));
	why = check_pasid_tables(view->mem, unit, ser, dom, dir, pasids.nr);
	return why ?: check_listed_entries(view, unit, &pasids, dir, reach);
}

/**
 * vtd_check_device() - Does hardware's entry say what the handover says?
 * @view: The handover.
 * @unit: The hardware.
 * @ser: The device; iommu_ser_check_device() found no fault with it.
 * @table_pa: Physical address of the context table that the entry is in.
 * @context: The context entry, which is present: 2 words, 4 in scalable mode.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *vtd_check_device(const struct iommu_ser_view *view,
			     const struct vtd_unit *unit,
			     const struct iommu_device_ser *ser,
			     u64 table_pa, const u64 *context)
{
	const struct iommu_domain_ser *dom = &view->domains[ser->domain];
	const struct intel_device_ser *part = intel_device_part(ser);
	const char *why;

	if (part->entry_pa != table_pa)
		return "its context entry is elsewhere";
	if (part->did < unit->first_did || part->did >= unit->end_did)
		return "its domain id is out of range";
	if (!(unit->sagaw & BIT(dom->top_level - 1)))
		return "the IOMMU does not support its table depth";
	why = unit->scalable ? check_scalable(view, unit, ser, dom, context) :
			       check_legacy(ser, dom, context);
	if (why)
		return why;
	if (part->flags && !unit->device_tlb)
		return "it may use ATS, which this kernel cannot do with the IOMMU";
	return NULL;
}

static const char *check_table(struct liveupdate_mem *mem,
			       const struct vtd_unit *unit, u64 pa,
			       unsigned int level)
{
	const u64 *item = mem->get(mem, pa, 0);
	unsigned int i;
	const char *why;

	for (i = 0; i < TABLE_ITEMS; i++) {
		u64 entry = item[i];
		bool leaf = !level || entry & SS_PS;

		if (!(entry & SS_ACCESS))
			continue;
		if (beyond_haw(unit, entry & GENMASK_ULL(51, 12)))
			return "an address in its tables is beyond what the IOMMU can have";
		if (leaf) {
			if (level > 2 || (level &&
					  !(unit->large_pages & BIT(level - 1))))
				return "a leaf in its tables is of an impossible size";
			/* Of a large leaf the lower address bits are reserved. */
			if (entry & SS_LEAF_RESERVED ||
			    (level && entry & GENMASK_ULL(11 + 9 * level, 12)))
				return "reserved bits of a leaf in its tables are set";
			continue;
		}
		if (entry & (SS_SNP | SS_LEAF_RESERVED))
			return "reserved bits of an entry in its tables are set";
		pa = entry & GENMASK_ULL(51, 12);
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
 * vtd_check_tables() - Check all second-stage tables of a domain
 * @mem: How to get at memory.
 * @unit: The hardware.
 * @domain: The domain; iommu_ser_check_domain() found no fault with it.
 *
 * The time that this takes grows with the number of tables: one of four levels
 * that maps 1 TiB with leaves of 4 KiB has half a million. No table is visited
 * twice, and the descent is not deeper than the domain has levels.
 *
 * Return: NULL, or the rule that they break.
 */
const char *vtd_check_tables(struct liveupdate_mem *mem,
			     const struct vtd_unit *unit,
			     const struct iommu_domain_ser *domain)
{
	return check_table(mem, unit, domain->top_pa, domain->top_level);
}
