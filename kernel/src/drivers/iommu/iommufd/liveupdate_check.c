// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/liveupdate_check.h>

/**
 * iommufd_ser_check() - Check the handover of an iommufd
 * @mem: How to get at memory.
 * @pa: Physical address of the handover.
 * @version: The version that it has to have.
 * @serp: On success, the handover.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *iommufd_ser_check(struct liveupdate_mem *mem, u64 pa, u32 version,
			      const struct iommufd_ser **serp)
{
	/* In the first version this was a reserved field. */
	u32 flags = version == IOMMUFD_SER_VERSION_V1 ?
		    0 : IOMMUFD_SER_HWPT_KEEP_MARK;
	const struct iommufd_ser *ser;
	size_t size;
	u32 i, j;

	ser = liveupdate_check_sized(mem, pa, &size);
	if (!ser)
		return "it was not preserved";
	if (ser->version != version)
		return "unknown version";
	if (!ser->nr_hwpts ||
	    ser->nr_hwpts > (size - sizeof(*ser)) / sizeof(ser->hwpts[0]))
		return "its number of HWPTs is impossible";
	/* Each has a domain of its own, which bounds the loops below. */
	if (ser->nr_hwpts > IOMMU_SER_MAX_DOMAINS)
		return "its number of HWPTs is impossible";
	for (i = 0; i < ser->nr_hwpts; i++) {
		if (ser->hwpts[i].flags & ~flags)
			return "unknown flags of a HWPT";
		if (ser->hwpts[i].domain >= IOMMU_SER_MAX_DOMAINS)
			return "domain of a HWPT is out of range";
		for (j = 0; j < i; j++) {
			if (ser->hwpts[i].token == ser->hwpts[j].token)
				return "token is there twice";
			if (ser->hwpts[i].domain == ser->hwpts[j].domain)
				return "domain has two HWPTs";
		}
	}
	*serp = ser;
	return NULL;
}
