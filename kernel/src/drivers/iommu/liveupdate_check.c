// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/iommu.h>
#include <linux/liveupdate_check.h>
#include <linux/mm.h>

/* PASIDs a directory entry stands for, and most that there can be (20 bits) */
#define PASIDS_PER_PDE	64
#define MAX_PASIDS	0x100000

/**
 * iommu_ser_check() - Check the root of an IOMMU handover and find its parts
 * @mem: How to get at memory.
 * @pa: Physical address of the root.
 * @view: On success, the parts. Their entries are still to be checked.
 *
 * Return: NULL, or the rule that makes all of the handover unusable.
 */
const char *iommu_ser_check(struct liveupdate_mem *mem, u64 pa,
			    struct iommu_ser_view *view)
{
	const unsigned int order = get_order(IOMMU_SER_ARRAY_SIZE);
	const struct iommu_ser *ser;

	view->mem = mem;
	view->ser = mem->get(mem, pa, 0);
	ser = view->ser;
	if (!ser)
		return "root was not preserved";
	if (ser->version != IOMMU_SER_VERSION)
		return "unknown version";
	if (ser->reserved)
		return "reserved field of the root is not zero";
	view->iommus = mem->get(mem, ser->iommus_pa, order);
	view->domains = mem->get(mem, ser->domains_pa, order);
	view->devices = mem->get(mem, ser->devices_pa, order);
	if (!view->iommus || !view->domains || !view->devices)
		return "array was not preserved";
	if (!mem->claim(mem, pa) || !mem->claim(mem, ser->iommus_pa) ||
	    !mem->claim(mem, ser->domains_pa) ||
	    !mem->claim(mem, ser->devices_pa))
		return "arrays overlap";
	return NULL;
}

/**
 * iommu_ser_check_iommu() - Check one IOMMU unit
 * @view: The handover.
 * @i: Index of an entry that is in use.
 *
 * Claims the page of its root table.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommu_ser_check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	u32 j;

	if (hw->type != IOMMU_SER_TYPE_VTD)
		return "unknown type of IOMMU";
	if (hw->flags & ~(IOMMU_SER_USED | IOMMU_SER_VTD_SCALABLE))
		return "unknown flags";
	for (j = 0; j < i; j++)
		if ((view->iommus[j].flags & IOMMU_SER_USED) &&
		    view->iommus[j].reg_pa == hw->reg_pa)
			return "unit is listed twice";
	if (!view->mem->get(view->mem, hw->root_pa, 0))
		return "root table was not preserved";
	if (!view->mem->claim(view->mem, hw->root_pa))
		return "root table is used for something else, too";
	return NULL;
}

/**
 * iommu_ser_check_domain() - Check one domain
 * @view: The handover.
 * @i: Index of an entry that is in use.
 *
 * Claims the page of its topmost table. The tables below are looked at when
 * they are used.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommu_ser_check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	unsigned int n;

	if (d->flags & ~(IOMMU_SER_USED | IOMMU_SER_DOMAIN_INCOHERENT |
			 IOMMU_SER_DOMAIN_FORCE_SNOOP))
		return "unknown flags";
	if (d->format != IOMMU_SER_FMT_VTDSS)
		return "unknown table format";
	for (n = 0; n < sizeof(d->reserved); n++)
		if (d->reserved[n])
			return "reserved field is not zero";
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
	bool scalable = view->iommus[d->iommu].flags & IOMMU_SER_VTD_SCALABLE;
	size_t size;

	if (!scalable)
		return d->pasid_pa || d->max_pasid ?
		       "PASID directory of a device in legacy mode" : NULL;
	if (d->max_pasid & (d->max_pasid - 1) || d->max_pasid > MAX_PASIDS)
		return "its number of PASIDs is impossible";
	size = d->max_pasid / PASIDS_PER_PDE * sizeof(u64);
	if (size < PAGE_SIZE)
		return "its number of PASIDs is impossible";
	if (!view->mem->get(view->mem, d->pasid_pa, get_order(size)))
		return "its PASID directory was not preserved";
	if (!view->mem->claim(view->mem, d->pasid_pa))
		return "its PASID directory is used for something else, too";
	return NULL;
}

/**
 * iommu_ser_check_device() - Check one device
 * @view: The handover; IOMMUs and domains were checked, and those that failed
 *	are no longer marked as used.
 * @i: Index of an entry that is in use.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommu_ser_check_device(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];
	u32 j;

	if (d->flags & ~IOMMU_SER_USED)
		return "unknown flags";
	if (d->segment > 0xffff)
		return "segment is out of range";
	if (d->domain >= IOMMU_SER_MAX_DOMAINS ||
	    !(view->domains[d->domain].flags & IOMMU_SER_USED))
		return "domain does not exist";
	if (d->iommu >= IOMMU_SER_MAX_IOMMUS ||
	    !(view->iommus[d->iommu].flags & IOMMU_SER_USED))
		return "IOMMU does not exist";
	for (j = 0; j < i; j++) {
		const struct iommu_device_ser *o = &view->devices[j];

		if (!(o->flags & IOMMU_SER_USED))
			continue;
		if (o->segment == d->segment && o->bdf == d->bdf)
			return "device is listed twice";
		if (o->iommu == d->iommu && o->did == d->did &&
		    o->domain != d->domain)
			return "domain id is that of another domain, too";
	}
	if (!view->mem->get(view->mem, d->entry_pa, 0))
		return "page of its context entry was not preserved";
	return check_pasids(view, d);
}
