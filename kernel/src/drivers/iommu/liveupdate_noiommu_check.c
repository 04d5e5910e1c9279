// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/noiommu.h>
#include <linux/liveupdate_check.h>

/* Of tables that begin with the fewest levels, and grow at the top: levels 2 to 5 */
enum {
	MIN_TOP_LEVEL = 2,
	MAX_TOP_LEVEL = 5,
	VASZ_LG2 = 64,
};

static const char *check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	u32 j;

	if (hw->length)
		return "driver's part has another length";
	if (hw->id)
		return "a unit that is no hardware has registers";
	for (j = 0; j < IOMMU_SER_MAX_IOMMUS; j++)
		if (j != i && (view->iommus[j].flags & IOMMU_SER_USED))
			return "the host has no IOMMU, and has one";
	return NULL;
}

static const char *check_domain(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_domain_ser *d = &view->domains[i];
	const struct noiommu_domain_ser *part = (const void *)d->part;

	if (d->length != sizeof(*part))
		return "driver's part has another length";
	if (part->format != NOIOMMU_DOMAIN_SER_AMDV1)
		return "unknown table format";
	if (part->reserved)
		return "reserved field of the domain is not zero";
	if (d->top_level < MIN_TOP_LEVEL || d->top_level > MAX_TOP_LEVEL ||
	    d->vasz_lg2 != VASZ_LG2)
		return "impossible table geometry";
	if (!view->mem->get(view->mem, d->top_pa, 0))
		return "topmost table was not preserved";
	if (!view->mem->claim(view->mem, d->top_pa))
		return "topmost table is used for something else, too";
	return NULL;
}

static const char *check_device(const struct iommu_ser_view *view, u32 i)
{
	if (view->devices[i].length)
		return "driver's part has another length";
	return NULL;
}

const struct iommu_ser_driver noiommu_ser_driver = {
	.type = IOMMU_SER_TYPE_NOIOMMU,
	.check_iommu = check_iommu,
	.check_domain = check_domain,
	.check_device = check_device,
};
