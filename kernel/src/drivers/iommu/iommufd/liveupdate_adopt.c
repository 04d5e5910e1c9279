// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Adopting the tables of a restored HWPT
 *
 * User space that has rebuilt its IOAS can have a HWPT of it that takes over the
 * tables of a restored HWPT, in place of one with tables of its own. Memory is
 * pinned and accounted as ever. Nothing is written: what would have been mapped
 * is compared with what is there (see iommu_pt_adopt.h).
 *
 * 1. IOMMU_HWPT_LIVEUPDATE_ADOPT makes the HWPT. Both share the tables now. The
 *    IOAS is frozen: map and unmap give EBUSY. The new HWPT cannot be destroyed
 *    before the restored one.
 * 2. Devices are attached to the new HWPT as to any other. Hardware gets the
 *    same tables under another domain id, without a gap.
 * 3. IOMMU_DESTROY of the restored HWPT, which needs that all devices have left
 *    it, makes the tables those of the new one and thaws the IOAS.
 *
 * With IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES the HWPT gets tables of its own, with
 * leaves of the same sizes as in the restored ones. It is a HWPT like any other
 * at once, and the restored one goes on as if nothing had been asked.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * The tables differ from the IOAS: the ioctl says where, and nothing has changed.
 * The process dies in between: the session keeps the iommufd, and the next process
 * finds HWPT and IOAS by the restored HWPT. If the iommufd goes, too, the devices
 * that are still on the restored HWPT stay on it with its tables; the new one goes
 * without them.
 */

#include <linux/generic_pt/iommu.h>
#include <linux/iommu-liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_rule.h>

#include "io_pagetable.h"
#include "iommufd_private.h"
#include "liveupdate_rules.h"

static void freeze(struct io_pagetable *iopt, int by)
{
	down_write(&iopt->domains_rwsem);
	down_write(&iopt->iova_rwsem);
	iopt->liveupdate_frozen += by;
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
}

/**
 * iommufd_liveupdate_adopt() - Let a new domain begin with restored tables
 * @ioas:   The IOAS that the domain is about to be filled from.
 * @domain: The domain, which is empty.
 *
 * Return: 0, also if that is not asked for; -EOPNOTSUPP if the tables are of
 * different kinds; -ENOMEM.
 */
int iommufd_liveupdate_adopt(struct iommufd_ioas *ioas,
			     struct iommu_domain *domain)
{
	struct iommufd_hwpt_restored *restored = ioas->liveupdate_adopt;
	struct pt_iommu *from, *to;

	lockdep_assert_held(&ioas->mutex);
	if (!restored)
		return 0;
	if (restored->common.domain->owner->liveupdate != domain->owner->liveupdate)
		return -EOPNOTSUPP;
	from = iommupt_from_domain(restored->common.domain);
	to = iommupt_from_domain(domain);
	if (!from || !to || from->ops->verify != to->ops->verify ||
	    !to->ops->adopt)
		return -EOPNOTSUPP;
	return to->ops->adopt(to, from, &restored->diff,
			      restored->adopt_sizes);
}

/**
 * iommufd_liveupdate_adopted() - A restored HWPT goes: who gets its tables?
 * @restored: The HWPT, which is being destroyed.
 * @users:    Number of devices that are still on it.
 */
void iommufd_liveupdate_adopted(struct iommufd_hwpt_restored *restored,
				unsigned int users)
{
	struct iommufd_hwpt_paging *hwpt = restored->adopter;
	struct pt_iommu *pt;

	if (!hwpt)
		return;
	pt = iommupt_from_domain(hwpt->common.domain);
	/* If it cannot, it stays as it is: nothing is mapped or unmapped any more. */
	if (!users && !pt->ops->adopt_commit(pt))
		freeze(&hwpt->ioas->iopt, -1);
	refcount_dec(&hwpt->common.obj.users);
}

static void found(struct iommufd_hwpt_restored *restored,
		  struct iommu_hwpt_liveupdate_adopt *cmd)
{
	cmd->out_hwpt_id = restored->adopter->common.obj.id;
	cmd->out_ioas_id = restored->adopter->ioas->obj.id;
}

static int note_len(void *arg, u64 iova, u64 paddr, u64 len)
{
	u64 *left = arg;

	*left = len;
	return 0;
}

/* Of IOVAs that are not mapped: nothing is translated, but for what is in the window. */
static int check_gap(struct pt_iommu *pt, u64 first, u64 last,
		     struct pt_iommu_window window)
{
	int rc = 0;

	if (last < window.first || first > window.last || window.first > window.last)
		return pt->ops->adopt_check(pt, first, last);
	if (first < window.first)
		rc = pt->ops->adopt_check(pt, first, window.first - 1);
	if (!rc && last > window.last)
		rc = pt->ops->adopt_check(pt, window.last + 1, last);
	return rc;
}

/*
 * All that is mapped was compared. What is between must not be translated. And no
 * leaf may go on behind the end of an area (then none begins before one, either):
 * what was mapped by itself is unmapped by itself, and half a leaf cannot be.
 */
static int check(struct io_pagetable *iopt, struct pt_iommu *pt,
		 struct pt_iommu_window window, struct iommu_hwpt_liveupdate_adopt *cmd)
{
	struct iopt_area *area;
	u64 next = 0, left;
	int rc;

	guard(rwsem_read)(&iopt->iova_rwsem);
	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX)) {
		u64 first = iopt_area_iova(area);
		u64 last = iopt_area_last_iova(area);

		if (next < first) {
			rc = check_gap(pt, next, first - 1, window);
			if (rc)
				goto out_more;
		}
		rc = pt->ops->leaves(pt, last, last, note_len, &left);
		if (rc)
			return rc;
		if (left > 1) {
			cmd->out_result = IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER;
			cmd->out_iova = last;
			return 1;
		}
		next = last + 1;
		if (!next)
			return 0;
	}
	rc = check_gap(pt, next, U64_MAX, window);
out_more:
	if (rc > 0)
		cmd->out_result = IOMMU_HWPT_LIVEUPDATE_MORE;
	return rc;
}

/*
 * What is in the window is adopted with the tables, and nobody has mapped it here: it may
 * be the doorbells of interrupts, but not memory, which nobody would hold.
 */
static bool window_has_memory(struct iommu_domain *restored,
			      struct pt_iommu_window window)
{
	phys_addr_t pa;
	u64 iova;

	for (iova = window.first; iova < window.last; iova += PAGE_SIZE) {
		pa = iommu_iova_to_phys(restored, iova);
		if (pa && pfn_valid(PHYS_PFN(pa)))
			return true;
	}
	return false;
}

static int adopt(struct iommufd_ctx *ictx,
		 struct iommufd_hwpt_restored *restored,
		 struct iommufd_ioas *ioas, struct iommufd_device *idev,
		 struct iommu_hwpt_liveupdate_adopt *cmd)
{
	bool sizes = cmd->flags & IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES;
	struct iommu_domain *domain = restored->common.domain;
	struct iommufd_hwpt_paging *hwpt;
	struct pt_iommu_window window;
	struct pt_iommu *pt;
	int rc;

	guard(mutex)(&ioas->mutex);
	freeze(&ioas->iopt, 1);
	restored->adopt_sizes = sizes;
	ioas->liveupdate_adopt = restored;
	hwpt = iommufd_hwpt_paging_alloc(ictx, ioas, idev, IOMMU_NO_PASID,
					 cmd->hwpt_flags, false, NULL);
	ioas->liveupdate_adopt = NULL;
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		if (rc != -EILSEQ)
			goto out_thaw;
		cmd->out_result = restored->diff.sizes_differ ?
					  IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER :
					  IOMMU_HWPT_LIVEUPDATE_DIFFERS;
		cmd->out_iova = restored->diff.iova;
		iommufd_liveupdate_describe(&restored->diff.side[0],
					    &cmd->out_restored);
		iommufd_liveupdate_describe(&restored->diff.side[1],
					    &cmd->out_rebuilt);
		rc = 0;
		goto out_thaw;
	}

	pt = iommupt_from_domain(hwpt->common.domain);
	window = iommufd_liveupdate_window(ictx, domain);
	if (window_has_memory(domain, window)) {
		cmd->out_result = IOMMU_HWPT_LIVEUPDATE_MORE;
		rc = 1;
	} else {
		rc = check(&ioas->iopt, pt, window, cmd);
	}
	if (!rc && sizes)
		rc = pt->ops->adopt_commit(pt);
	if (rc) {
		rc = min(rc, 0);
		iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
		goto out_thaw;
	}
	if (sizes) {
		cmd->out_hwpt_id = hwpt->common.obj.id;
		cmd->out_ioas_id = ioas->obj.id;
		iommufd_object_finalize(ictx, &hwpt->common.obj);
		goto out_thaw;
	}
	/* Pairs with iommufd_liveupdate_adopted() */
	refcount_inc(&hwpt->common.obj.users);
	restored->adopter = hwpt;
	found(restored, cmd);
	iommufd_object_finalize(ictx, &hwpt->common.obj);
	return 0;

out_thaw:
	freeze(&ioas->iopt, -1);
	return rc;
}

/* With what user space has named: a device and an IOAS. */
static int adopt_into(struct iommufd_ucmd *ucmd,
		      struct iommufd_hwpt_restored *restored)
{
	struct iommu_hwpt_liveupdate_adopt *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	struct iommufd_ioas *ioas;
	int rc;

	idev = iommufd_get_device(ucmd, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas)) {
		rc = PTR_ERR(ioas);
		goto out_device;
	}
	if (iommu_liveupdate_restored_domain(idev->dev) == restored->common.domain)
		rc = adopt(ucmd->ictx, restored, ioas, idev, cmd);
	else
		rc = -EINVAL;
	iommufd_put_object(ucmd->ictx, &ioas->obj);
out_device:
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}

/**
 * iommufd_hwpt_liveupdate_adopt() - IOMMU_HWPT_LIVEUPDATE_ADOPT
 * @ucmd: The ioctl.
 *
 * Return: 0 with the result, also if the two differ; -EBUSY if the restored HWPT
 * was adopted already, or if there is a way back and the update is not confirmed: what
 * adopts tables can change them; -ENOENT if one of the objects does not exist or is of
 * another type, or if nothing has adopted the HWPT and that was asked for;
 * -EINVAL if the device is not on the restored HWPT, or if sizes are asked for
 * without an IOAS; -EOPNOTSUPP for unknown flags, or if the hardware would get
 * tables of another kind for the device;
 * -EUCLEAN if the restored tables refer to memory that the previous kernel did
 * not hand over; -EINTR; and what IOMMU_HWPT_ALLOC returns.
 */
int iommufd_hwpt_liveupdate_adopt(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_adopt *cmd = ucmd->cmd;
	struct iommufd_hwpt_restored *restored;
	struct iommufd_object *obj;
	int rc = 0;

	if (cmd->flags & ~IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->flags && !cmd->ioas_id)
		return -EINVAL;
	obj = iommufd_get_object(ucmd->ictx, cmd->restored_id,
				 IOMMUFD_OBJ_HWPT_RESTORED);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	restored = container_of(obj, struct iommufd_hwpt_restored, common.obj);
	cmd->out_result = 0;
	cmd->out_hwpt_id = 0;
	cmd->out_ioas_id = 0;
	/* One at a time, in whatever IOAS. */
	scoped_guard(mutex, &restored->adopt_lock) {
		if (cmd->ioas_id && restored->adopter)
			rc = -EBUSY;
		else if (cmd->ioas_id && luo_back_armed())
			rc = liveupdate_require(false, &rule_iommufd_unconfirmed,
						"a HWPT");
		else if (cmd->ioas_id)
			rc = adopt_into(ucmd, restored);
		else if (restored->adopter)
			found(restored, cmd);
		else
			rc = -ENOENT;
	}
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	iommufd_put_object(ucmd->ictx, obj);
	return rc;
}
