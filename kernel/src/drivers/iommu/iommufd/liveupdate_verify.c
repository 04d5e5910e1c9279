// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * Does what user space has rebuilt say the same as what hardware is using?
 *
 * Replacing a restored HWPT by one that differs is allowed, and is a way to
 * lose DMA. User space asks first.
 */

#include <linux/capability.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu-liveupdate.h>
#include <linux/liveupdate_rule.h>

#include "io_pagetable.h"
#include "iommufd_private.h"
#include "liveupdate_rules.h"

/**
 * iommufd_liveupdate_describe() - Say to user space what a table says
 * @from: What it says.
 * @to:   The same, as user space gets it.
 *
 * Where memory is in the machine is for those who may do raw I/O, as with
 * IOMMU_IOAS_NOIOMMU_GET_PA; others get to know that there is something.
 */
void iommufd_liveupdate_describe(const struct pt_iommu_translation *from,
				 struct iommu_hwpt_liveupdate_translation *to)
{
	to->flags = from->present ? IOMMU_HWPT_LIVEUPDATE_PRESENT : 0;
	to->lg2_size = from->lg2sz;
	to->address = 0;
	to->entry = 0;
	if (capable(CAP_SYS_RAWIO)) {
		to->address = from->oa;
		to->entry = from->entry;
	}
}

/*
 * A device that is bound to the iommufd and on the restored HWPT, or NULL; to be put. One
 * without an IOMMU, which nobody can ask for its regions, is none.
 */
static struct device *device_on(struct iommufd_ctx *ictx, struct iommu_domain *restored)
{
	struct iommufd_device *idev;
	struct iommufd_object *obj;
	struct device *dev = NULL;
	unsigned long id = 0;

	/* Looked at one by one, as what is asked of it sleeps. */
	for (;; id++) {
		xa_lock(&ictx->objects);
		obj = xa_find(&ictx->objects, &id, ULONG_MAX, XA_PRESENT);
		while (obj && obj->type != IOMMUFD_OBJ_DEVICE)
			obj = xa_find_after(&ictx->objects, &id, ULONG_MAX, XA_PRESENT);
		if (obj) {
			idev = container_of(obj, struct iommufd_device, obj);
			dev = get_device(idev->dev);
		}
		xa_unlock(&ictx->objects);
		if (!obj)
			return NULL;
		if (dev->iommu && iommu_liveupdate_restored_domain(dev) == restored)
			return dev;
		put_device(dev);
	}
}

/**
 * iommufd_liveupdate_window() - Where doorbells of interrupts are in a restored HWPT
 * @ictx: The iommufd.
 * @restored: The restored domain.
 *
 * User space cannot map anything there, so that a HWPT that it has rebuilt does not have
 * what the restored one has; see liveupdate_msi.h.
 *
 * Return: The IOVAs; none if the IOMMU does not translate interrupts, or no device that
 * is bound is on the HWPT.
 */
struct pt_iommu_window
iommufd_liveupdate_window(struct iommufd_ctx *ictx, struct iommu_domain *restored)
{
	struct pt_iommu_window window = PT_IOMMU_NO_WINDOW;
	struct device *dev = device_on(ictx, restored);

	if (!dev)
		return window;
	window = iommufd_liveupdate_msi_window(dev);
	put_device(dev);
	return window;
}

static int compare(struct iommu_domain *restored,
		   struct iommufd_hwpt_paging *hwpt,
		   struct pt_iommu_window window,
		   struct pt_iommu_difference *diff)
{
	struct io_pagetable *iopt = &hwpt->ioas->iopt;
	struct pt_iommu *was, *is;
	int rc;

	/* Tables of one format, of a driver that uses the generic ones */
	if (hwpt->common.domain->owner->liveupdate != restored->owner->liveupdate)
		return -EOPNOTSUPP;
	was = iommupt_from_domain(restored);
	is = iommupt_from_domain(hwpt->common.domain);
	if (!was || !is || was->ops->verify != is->ops->verify)
		return -EOPNOTSUPP;

	/* Held for read, they keep map and unmap out, and nobody else. */
	down_read(&iopt->domains_rwsem);
	down_read(&iopt->iova_rwsem);
	rc = was->ops->verify(was, is, window, diff);
	up_read(&iopt->iova_rwsem);
	up_read(&iopt->domains_rwsem);
	return rc;
}

static int verify(struct iommufd_ctx *ictx, struct iommu_domain *restored,
		  struct iommufd_hwpt_paging *hwpt,
		  struct iommu_hwpt_liveupdate_verify *cmd)
{
	struct pt_iommu_difference diff = {};
	int rc;

	rc = compare(restored, hwpt, iommufd_liveupdate_window(ictx, restored), &diff);
	if (rc < 0)
		return rc;

	cmd->out_result = 0;
	if (diff.sizes_differ) {
		cmd->out_result |= IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER;
		cmd->out_size_iova = diff.size_iova;
	}
	if (rc) {
		cmd->out_result |= IOMMU_HWPT_LIVEUPDATE_DIFFERS;
		cmd->out_iova = diff.iova;
		iommufd_liveupdate_describe(&diff.side[0], &cmd->out_restored);
		iommufd_liveupdate_describe(&diff.side[1], &cmd->out_rebuilt);
	}
	return 0;
}

/**
 * iommufd_hwpt_liveupdate_verify() - IOMMU_HWPT_LIVEUPDATE_VERIFY
 * @ucmd: The ioctl.
 *
 * Return: 0 with the result, also if the two differ; -ENOENT if one of the
 * objects does not exist or is of another type; -EOPNOTSUPP for unknown flags,
 * or if the tables are of different formats; -EUCLEAN if the restored tables
 * refer to memory that the previous kernel did not hand over.
 */
int iommufd_hwpt_liveupdate_verify(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_verify *cmd = ucmd->cmd;
	struct iommufd_hw_pagetable *restored;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_object *obj;
	int rc;

	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	obj = iommufd_get_object(ucmd->ictx, cmd->restored_id,
				 IOMMUFD_OBJ_HWPT_RESTORED);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	restored = container_of(obj, struct iommufd_hw_pagetable, obj);

	hwpt = iommufd_get_hwpt_paging(ucmd, cmd->hwpt_id);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto out_restored;
	}

	rc = verify(ucmd->ictx, restored->domain, hwpt, cmd);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
out_restored:
	iommufd_put_object(ucmd->ictx, obj);
	return rc;
}

/**
 * iommufd_liveupdate_noiommu_attach() - Attach a device that no IOMMU translates for
 * @idev:  The device.
 * @hwpt:  What it is to be attached to.
 * @pasid: What of the device; only %IOMMU_NO_PASID is looked at.
 *
 * No entry of hardware is changed. But a device that came with a live update goes on
 * with the addresses that it was given, so it leaves its restored HWPT only for
 * one that has pinned the same pages at the same IOVAs.
 *
 * Context: With the group's lock held.
 * Return: 0; -EBUSY if the device is preserved for the next kernel; -EOPNOTSUPP if
 * @hwpt is none of an IOAS; -EINVAL if it maps something else; -EUCLEAN if the
 * restored tables refer to memory that the previous kernel did not hand over.
 */
int iommufd_liveupdate_noiommu_attach(struct iommufd_device *idev,
				      struct iommufd_hw_pagetable *hwpt,
				      ioasid_t pasid)
{
	struct pt_iommu_difference diff = {};
	struct iommu_domain *restored;
	int rc;

	if (pasid != IOMMU_NO_PASID)
		return 0;
	if (iommu_liveupdate_frozen(idev->dev))
		return -EBUSY;
	restored = iommu_liveupdate_restored_domain(idev->dev);
	if (!restored || restored == hwpt->domain)
		return 0;
	if (hwpt->obj.type != IOMMUFD_OBJ_HWPT_PAGING)
		return -EOPNOTSUPP;
	rc = compare(restored,
		     container_of(hwpt, struct iommufd_hwpt_paging, common),
		     PT_IOMMU_NO_WINDOW, &diff);
	if (rc < 0)
		return rc;
	rc = liveupdate_require(!rc, &rule_iommufd_elsewhere,
				"%s, from IOVA %#llx on", dev_name(idev->dev),
				diff.iova);
	if (!rc)
		iommu_liveupdate_left(idev->dev);
	return rc;
}
