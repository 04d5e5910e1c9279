// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * The handover of the version before, which knew VT-d only: what is its part in
 * this version are fields among the others there. See
 * include/linux/liveupdate_check.h for what may and may not be done here.
 */

#include <linux/build_bug.h>
#include <linux/kho/abi/iommu_v1.h>
#include <linux/string.h>

#include "liveupdate_check.h"

/* All that could be written is read. */
static_assert(IOMMU_SER_V1_MAX_IOMMUS <= IOMMU_SER_MAX_IOMMUS);
static_assert(IOMMU_SER_V1_MAX_DOMAINS <= IOMMU_SER_MAX_DOMAINS);
static_assert(IOMMU_SER_V1_MAX_DEVICES <= IOMMU_SER_MAX_DEVICES);

/* Of no driver, now or later */
#define TYPE_UNKNOWN	0xffff

static void read_iommu(const struct iommu_hw_ser_v1 *from,
		       struct iommu_hw_ser *to)
{
	struct intel_hw_ser *part = (struct intel_hw_ser *)to->part;

	to->flags = from->flags & ~IOMMU_SER_V1_VTD_SCALABLE;
	to->type = from->type == IOMMU_SER_V1_TYPE_VTD ? IOMMU_SER_TYPE_INTEL :
							 TYPE_UNKNOWN;
	to->length = sizeof(*part);
	to->id = from->reg_pa;
	part->root_pa = from->root_pa;
	if (from->flags & IOMMU_SER_V1_VTD_SCALABLE)
		part->flags = INTEL_HW_SER_SCALABLE;
}

static void read_domain(const struct iommu_domain_ser_v1 *from,
			struct iommu_domain_ser *to)
{
	struct intel_domain_ser *part = (struct intel_domain_ser *)to->part;

	to->flags = from->flags & ~(IOMMU_SER_V1_DOMAIN_INCOHERENT |
				    IOMMU_SER_V1_DOMAIN_FORCE_SNOOP);
	to->type = IOMMU_SER_TYPE_INTEL;
	to->length = sizeof(*part);
	to->top_pa = from->top_pa;
	to->top_level = from->top_level;
	to->vasz_lg2 = from->vasz_lg2;
	memcpy(to->reserved, from->reserved, sizeof(to->reserved));
	/* The values are the same. */
	part->format = from->format;
	if (from->flags & IOMMU_SER_V1_DOMAIN_INCOHERENT)
		part->flags |= INTEL_DOMAIN_SER_INCOHERENT;
	if (from->flags & IOMMU_SER_V1_DOMAIN_FORCE_SNOOP)
		part->flags |= INTEL_DOMAIN_SER_FORCE_SNOOP;
}

static void read_device(const struct iommu_device_ser_v1 *from,
			struct iommu_device_ser *to)
{
	struct intel_device_ser *part = (struct intel_device_ser *)to->part;

	to->flags = from->flags;
	to->type = IOMMU_SER_TYPE_INTEL;
	to->length = INTEL_DEVICE_SER_V2_SIZE;
	to->segment = from->segment;
	to->bdf = from->bdf;
	to->domain = from->domain;
	to->iommu = from->iommu;
	part->did = from->did;
	part->max_pasid = from->max_pasid;
	part->entry_pa = from->entry_pa;
	part->pasid_pa = from->pasid_pa;
}

static void read_v1(const struct iommu_ser_v1_view *from,
		    const struct iommu_ser_arrays *to)
{
	u32 i;

	for (i = 0; i < IOMMU_SER_V1_MAX_IOMMUS; i++)
		if (from->iommus[i].flags & IOMMU_SER_V1_USED)
			read_iommu(&from->iommus[i], &to->iommus[i]);
	for (i = 0; i < IOMMU_SER_V1_MAX_DOMAINS; i++)
		if (from->domains[i].flags & IOMMU_SER_V1_USED)
			read_domain(&from->domains[i], &to->domains[i]);
	for (i = 0; i < IOMMU_SER_V1_MAX_DEVICES; i++)
		if (from->devices[i].flags & IOMMU_SER_V1_USED)
			read_device(&from->devices[i], &to->devices[i]);
}

/*
 * There is no way to be preserved with a domain that is another driver's, so no device
 * has a part of another driver.
 */
static bool v1_holds(const struct iommu_ser_view *view)
{
	u32 i;

	for (i = 0; i < IOMMU_SER_MAX_IOMMUS; i++)
		if ((view->iommus[i].flags & IOMMU_SER_USED) &&
		    (i >= IOMMU_SER_V1_MAX_IOMMUS ||
		     view->iommus[i].type != IOMMU_SER_TYPE_INTEL))
			return false;
	for (i = 0; i < IOMMU_SER_MAX_DOMAINS; i++)
		if ((view->domains[i].flags & IOMMU_SER_USED) &&
		    (i >= IOMMU_SER_V1_MAX_DOMAINS ||
		     view->domains[i].type != IOMMU_SER_TYPE_INTEL))
			return false;
	for (i = 0; i < IOMMU_SER_MAX_DEVICES; i++)
		if ((view->devices[i].flags & IOMMU_SER_USED) &&
		    (i >= IOMMU_SER_V1_MAX_DEVICES ||
		     intel_device_part(&view->devices[i])->flags ||
		     intel_device_part(&view->devices[i])->nr_pasids))
			return false;
	return true;
}

static void write_iommu(const struct iommu_hw_ser *from,
			struct iommu_hw_ser_v1 *to)
{
	const struct intel_hw_ser *part = intel_hw_part(from);

	to->flags = IOMMU_SER_V1_USED;
	if (part->flags & INTEL_HW_SER_SCALABLE)
		to->flags |= IOMMU_SER_V1_VTD_SCALABLE;
	to->type = IOMMU_SER_V1_TYPE_VTD;
	to->reg_pa = from->id;
	to->root_pa = part->root_pa;
}

static void write_domain(const struct iommu_domain_ser *from,
			 struct iommu_domain_ser_v1 *to)
{
	const struct intel_domain_ser *part = intel_domain_part(from);

	to->flags = IOMMU_SER_V1_USED;
	if (part->flags & INTEL_DOMAIN_SER_INCOHERENT)
		to->flags |= IOMMU_SER_V1_DOMAIN_INCOHERENT;
	if (part->flags & INTEL_DOMAIN_SER_FORCE_SNOOP)
		to->flags |= IOMMU_SER_V1_DOMAIN_FORCE_SNOOP;
	to->format = part->format;
	to->top_pa = from->top_pa;
	to->top_level = from->top_level;
	to->vasz_lg2 = from->vasz_lg2;
}

static void write_device(const struct iommu_device_ser *from,
			 struct iommu_device_ser_v1 *to)
{
	const struct intel_device_ser *part = intel_device_part(from);

	to->flags = IOMMU_SER_V1_USED;
	to->segment = from->segment;
	to->bdf = from->bdf;
	to->did = part->did;
	to->domain = from->domain;
	to->iommu = from->iommu;
	to->max_pasid = part->max_pasid;
	to->entry_pa = part->entry_pa;
	to->pasid_pa = part->pasid_pa;
}

static void write_v1(const struct iommu_ser_view *from,
		     const struct iommu_ser_v1_arrays *to)
{
	u32 i;

	for (i = 0; i < IOMMU_SER_V1_MAX_IOMMUS; i++)
		if (from->iommus[i].flags & IOMMU_SER_USED)
			write_iommu(&from->iommus[i], &to->iommus[i]);
	for (i = 0; i < IOMMU_SER_V1_MAX_DOMAINS; i++)
		if (from->domains[i].flags & IOMMU_SER_USED)
			write_domain(&from->domains[i], &to->domains[i]);
	for (i = 0; i < IOMMU_SER_V1_MAX_DEVICES; i++)
		if (from->devices[i].flags & IOMMU_SER_USED)
			write_device(&from->devices[i], &to->devices[i]);
}

const struct iommu_ser_v1_ops vtd_ser_v1_ops = {
	.read = read_v1,
	.holds = v1_holds,
	.write = write_v1,
};
