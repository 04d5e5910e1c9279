// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommu_v1.h>
#include <linux/liveupdate_check.h>
#include <linux/mm.h>

/* The root is the same in all versions; how large the arrays are is not. */
static const char *check_root(struct liveupdate_mem *mem, u64 pa, u32 version,
			      size_t array_size, const struct iommu_ser **serp)
{
	const unsigned int order = get_order(array_size);
	const struct iommu_ser *ser = mem->get(mem, pa, 0);

	if (!ser)
		return "root was not preserved";
	if (ser->version != version)
		return "unknown version";
	if (ser->reserved)
		return "reserved field of the root is not zero";
	if (!mem->get(mem, ser->iommus_pa, order) ||
	    !mem->get(mem, ser->domains_pa, order) ||
	    !mem->get(mem, ser->devices_pa, order))
		return "array was not preserved";
	if (!mem->claim(mem, pa) || !mem->claim(mem, ser->iommus_pa) ||
	    !mem->claim(mem, ser->domains_pa) ||
	    !mem->claim(mem, ser->devices_pa))
		return "arrays overlap";
	*serp = ser;
	return NULL;
}

/**
 * iommu_ser_check() - Check the root of an IOMMU handover and find its parts
 * @mem: How to get at memory.
 * @pa: Physical address of the root.
 * @view: With @driver set. On success, the parts; their entries are still to be
 *	checked.
 *
 * Return: NULL, or the rule that makes all of the handover unusable.
 */
const char *iommu_ser_check(struct liveupdate_mem *mem, u64 pa,
			    struct iommu_ser_view *view)
{
	const unsigned int order = get_order(IOMMU_SER_ARRAY_SIZE);
	const struct iommu_ser *ser;
	const char *why;

	why = check_root(mem, pa, IOMMU_SER_VERSION, IOMMU_SER_ARRAY_SIZE,
			 &ser);
	if (why)
		return why;
	view->mem = mem;
	view->iommus = mem->get(mem, ser->iommus_pa, order);
	view->domains = mem->get(mem, ser->domains_pa, order);
	view->devices = mem->get(mem, ser->devices_pa, order);
	return NULL;
}

/**
 * iommu_ser_v1_check() - Check the root of a handover of the version before
 * @mem: How to get at memory.
 * @pa: Physical address of the root.
 * @view: On success, its parts. They are to be made those of this version, and
 *	checked then.
 *
 * Return: NULL, or the rule that makes all of the handover unusable.
 */
const char *iommu_ser_v1_check(struct liveupdate_mem *mem, u64 pa,
			       struct iommu_ser_v1_view *view)
{
	const unsigned int order = get_order(IOMMU_SER_V1_ARRAY_SIZE);
	const struct iommu_ser *ser;
	const char *why;

	why = check_root(mem, pa, IOMMU_SER_V1_VERSION,
			 IOMMU_SER_V1_ARRAY_SIZE, &ser);
	if (why)
		return why;
	view->iommus = mem->get(mem, ser->iommus_pa, order);
	view->domains = mem->get(mem, ser->domains_pa, order);
	view->devices = mem->get(mem, ser->devices_pa, order);
	return NULL;
}

static bool is_zero(const u8 *bytes, size_t n)
{
	while (n--)
		if (*bytes++)
			return false;
	return true;
}

/* What is said about a driver's part in front of it */
static const char *check_part(const struct iommu_ser_view *view, u16 type,
			      u16 length, const u8 *part, size_t size)
{
	if (!view->driver(type))
		return "unknown type of IOMMU";
	if (length > size)
		return "driver's part is longer than its place";
	if (!is_zero(part + length, size - length))
		return "bytes behind the driver's part are not zero";
	return NULL;
}

/**
 * iommu_ser_check_iommu() - Check one IOMMU unit
 * @view: The handover.
 * @i: Index of an entry that is in use.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommu_ser_check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	const char *why;
	u32 j;

	why = check_part(view, hw->type, hw->length, hw->part,
			 sizeof(hw->part));
	if (why)
		return why;
	if (hw->flags & ~IOMMU_SER_USED)
		return "unknown flags";
	for (j = 0; j < i; j++)
		if ((view->iommus[j].flags & IOMMU_SER_USED) &&
		    view->iommus[j].type == hw->type &&
		    view->iommus[j].id == hw->id)
			return "unit is listed twice";
	return view->driver(hw->type)->check_iommu(view, i);
}

/**
 * iommu_ser_check_domain() - Check one domain
 * @view: The handover.
 * @i: Index of an entry that is in use.
 *
 * The tables below the topmost one are looked at when they are used.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommu_ser_check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	const char *why;

	why = check_part(view, d->type, d->length, d->part, sizeof(d->part));
	if (why)
		return why;
	if (d->flags & ~IOMMU_SER_USED)
		return "unknown flags";
	if (!is_zero(d->reserved, sizeof(d->reserved)))
		return "reserved field is not zero";
	return view->driver(d->type)->check_domain(view, i);
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
	const char *why;
	u32 j;

	why = check_part(view, d->type, d->length, d->part, sizeof(d->part));
	if (why)
		return why;
	if (d->flags & ~IOMMU_SER_USED)
		return "unknown flags";
	if (d->reserved)
		return "reserved field is not zero";
	if (d->segment > 0xffff)
		return "segment is out of range";
	if (d->domain >= IOMMU_SER_MAX_DOMAINS ||
	    !(view->domains[d->domain].flags & IOMMU_SER_USED))
		return "domain does not exist";
	if (d->iommu >= IOMMU_SER_MAX_IOMMUS ||
	    !(view->iommus[d->iommu].flags & IOMMU_SER_USED))
		return "IOMMU does not exist";
	if (view->domains[d->domain].type != d->type)
		return "domain is one of another type of IOMMU";
	if (view->iommus[d->iommu].type != d->type)
		return "IOMMU is of another type";
	for (j = 0; j < i; j++) {
		const struct iommu_device_ser *o = &view->devices[j];

		if ((o->flags & IOMMU_SER_USED) && o->segment == d->segment &&
		    o->bdf == d->bdf)
			return "device is listed twice";
	}
	return view->driver(d->type)->check_device(view, i);
}
