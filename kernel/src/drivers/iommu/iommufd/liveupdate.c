// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: iommufd live update
 *
 * An iommufd is carried over as the tokens of its marked HWPTs. Everything else
 * is rebuilt by user space with the ordinary ioctls.
 *
 * Happy path
 * ~~~~~~~~~~
 *
 * User space marks HWPTs with IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE and preserves
 * the files that are mapped, memfds or files of guestmemfs, then the iommufd. From
 * then on the IOAS of each marked HWPT refuses to map and unmap. In the next
 * kernel the retrieved iommufd holds one object for each token: a HWPT without an
 * IOAS, which cannot be changed. Binding a retrieved VFIO device finds it attached
 * to its HWPT. User space gets the object's id by its token with
 * IOMMU_HWPT_LIVEUPDATE_RESTORE, attaches the device to a HWPT that it built
 * anew, and destroys the restored one.
 *
 * A mark made with IOMMU_HWPT_LIVEUPDATE_KEEP_MARK need not be made again. It
 * goes over with the HWPT, and when a device is moved from the restored HWPT to
 * another one, that one is marked with the same token and the same flag. In the
 * same way it goes from HWPT to HWPT within a kernel, when the last device is
 * moved away. A mark that user space made itself is never replaced by one that
 * was kept, and a token stays unique: the first HWPT takes it.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * Memory that does not come along: the preserve is refused if an area of the
 * IOAS is not of a file that is preserved in the same session, is of a memfd that
 * was not sealed when it was mapped, or is of a file that no longer consists of
 * the memory that the HWPT translates to. The log names the IOVA. Files of
 * guestmemfs have no seals and need none: while one is mapped here it is pinned, and
 * a pinned or preserved one cannot shrink. This is what the seals of a memfd promise.
 *
 * Abort before the jump: unpreserve thaws the IOASs; the marks stay.
 *
 * Finish too early: refused as long as a HWPT was not restored by its token, or
 * a device is still attached to a restored domain.
 *
 * Destroyed too early: a restored HWPT answers EBUSY as long as a device has not
 * left it, whether or not the device is bound.
 *
 * A process dies: the session holds the iommufd, and with it all objects. The
 * next process retrieves the same iommufd and goes on.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/generic_pt/iommu.h>
#include <linux/guestmemfs.h>
#include <linux/iommu-liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_retry.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/pagemap.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>

#include "io_pagetable.h"
#include "iommufd_private.h"
#include "liveupdate_rules.h"

/* Is a HWPT other than @hwpt marked with @token? */
static bool token_taken(struct iommufd_ctx *ictx,
			struct iommufd_hwpt_paging *hwpt, u64 token)
{
	struct iommufd_hwpt_paging *other;
	struct iommufd_object *obj;
	unsigned long index;

	lockdep_assert_held(&ictx->objects.xa_lock);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_PAGING)
			continue;
		other = container_of(obj, struct iommufd_hwpt_paging,
				     common.obj);
		if (other != hwpt && other->liveupdate_marked &&
		    other->liveupdate_token == token)
			return true;
	}
	return false;
}

static int change_mark(struct iommufd_ctx *ictx,
		       struct iommufd_hwpt_paging *hwpt, u64 token, u32 flags)
{
	lockdep_assert_held(&ictx->objects.xa_lock);
	if (ictx->liveupdate_preserved)
		return -EBUSY;
	if (flags & IOMMU_HWPT_LIVEUPDATE_UNMARK) {
		if (!hwpt->liveupdate_marked || hwpt->liveupdate_token != token)
			return -ENOENT;
		hwpt->liveupdate_marked = false;
		hwpt->liveupdate_keep = false;
		return 0;
	}
	if (token_taken(ictx, hwpt, token))
		return -EADDRINUSE;
	hwpt->liveupdate_token = token;
	hwpt->liveupdate_keep = flags & IOMMU_HWPT_LIVEUPDATE_KEEP_MARK;
	hwpt->liveupdate_marked = true;
	return 0;
}

/**
 * iommufd_hwpt_liveupdate_mark() - IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE
 * @ucmd: The ioctl.
 *
 * Return: 0; -EADDRINUSE if another HWPT has the token; -EBUSY if the iommufd
 * is preserved at the moment; -EOPNOTSUPP if the HWPT has no hardware behind
 * it, a flag is unknown or a reserved field is not zero; -EINVAL if UNMARK is
 * not the only flag; -ENOENT if there is no such paging HWPT, or if UNMARK is
 * to remove a mark that the HWPT does not have.
 */
int iommufd_hwpt_liveupdate_mark(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_mark_preserve *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_hwpt_paging *hwpt;
	bool taken;
	int rc;

	if ((cmd->flags & ~(IOMMU_HWPT_LIVEUPDATE_KEEP_MARK |
			    IOMMU_HWPT_LIVEUPDATE_UNMARK)) ||
	    cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->flags & IOMMU_HWPT_LIVEUPDATE_UNMARK) &&
	    cmd->flags != IOMMU_HWPT_LIVEUPDATE_UNMARK)
		return -EINVAL;

	hwpt = iommufd_get_hwpt_paging(ucmd, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	if (!hwpt->common.domain->owner ||
	    !hwpt->common.domain->owner->liveupdate) {
		rc = -EOPNOTSUPP;
		goto out_put;
	}

	/* Whoever is refused is told so without the lock. */
	xa_lock(&ictx->objects);
	taken = !ictx->liveupdate_preserved &&
		!(cmd->flags & IOMMU_HWPT_LIVEUPDATE_UNMARK) &&
		token_taken(ictx, hwpt, cmd->hwpt_token);
	xa_unlock(&ictx->objects);
	rc = liveupdate_require(!taken, &rule_iommufd_token, "HWPT %u",
				hwpt->common.obj.id);
	if (rc)
		goto out_put;

	xa_lock(&ictx->objects);
	rc = change_mark(ictx, hwpt, cmd->hwpt_token, cmd->flags);
	xa_unlock(&ictx->objects);
out_put:
	iommufd_put_object(ictx, &hwpt->common.obj);
	return rc;
}

/* The mark that a device takes along from @from, if there is one. */
static bool kept_mark(struct iommufd_hw_pagetable *from, u64 *token)
{
	struct iommufd_hwpt_restored *restored;
	struct iommufd_hwpt_paging *paging;

	if (from->obj.type == IOMMUFD_OBJ_HWPT_RESTORED) {
		restored = container_of(from, struct iommufd_hwpt_restored,
					common);
		*token = restored->token;
		return restored->keep;
	}
	if (from->obj.type != IOMMUFD_OBJ_HWPT_PAGING)
		return false;
	paging = container_of(from, struct iommufd_hwpt_paging, common);
	*token = paging->liveupdate_token;
	/*
	 * One reference is the object's own, the other that of the device that
	 * has just left. With more, somebody still uses the HWPT as it is.
	 */
	return paging->liveupdate_marked && paging->liveupdate_keep &&
	       refcount_read(&from->obj.users) == 2;
}

/**
 * iommufd_liveupdate_replaced() - A device was moved to another HWPT
 * @idev:  The device.
 * @pasid: What of the device was moved; marks follow %IOMMU_NO_PASID only.
 * @from:  The HWPT that it left; the caller holds the device's reference.
 * @to:    The HWPT that it is attached to now.
 *
 * A kept mark goes along if @to is not marked and nobody has the token.
 *
 * Context: With the group's lock held.
 */
void iommufd_liveupdate_replaced(struct iommufd_device *idev, ioasid_t pasid,
				 struct iommufd_hw_pagetable *from,
				 struct iommufd_hw_pagetable *to)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt_paging *hwpt, *old = NULL;
	const char *why = NULL;
	u64 token;

	if (pasid != IOMMU_NO_PASID || to->obj.type != IOMMUFD_OBJ_HWPT_PAGING)
		return;
	hwpt = container_of(to, struct iommufd_hwpt_paging, common);

	xa_lock(&ictx->objects);
	if (!kept_mark(from, &token) ||
	    (hwpt->liveupdate_marked && hwpt->liveupdate_token == token))
		goto out_unlock;
	if (from->obj.type == IOMMUFD_OBJ_HWPT_PAGING)
		old = container_of(from, struct iommufd_hwpt_paging, common);
	if (hwpt->liveupdate_marked) {
		why = "it is marked with another one";
	} else if (!to->domain->owner || !to->domain->owner->liveupdate) {
		why = "its IOMMU does not support live update";
	} else if (ictx->liveupdate_preserved) {
		why = "the iommufd is preserved at the moment";
	} else if (!old && token_taken(ictx, hwpt, token)) {
		why = "another HWPT has it";
	} else {
		if (old) {
			old->liveupdate_marked = false;
			old->liveupdate_keep = false;
		}
		hwpt->liveupdate_token = token;
		hwpt->liveupdate_keep = true;
		hwpt->liveupdate_marked = true;
	}
out_unlock:
	xa_unlock(&ictx->objects);
	if (why)
		dev_info(idev->dev,
			 "liveupdate: HWPT %u does not take the kept mark %#llx over: %s\n",
			 to->obj.id, token, why);
}

/**
 * iommufd_hwpt_liveupdate_restore() - IOMMU_HWPT_LIVEUPDATE_RESTORE
 * @ucmd: The ioctl.
 *
 * Return: 0 with the object id; -ENOENT if no HWPT came with the token.
 */
int iommufd_hwpt_liveupdate_restore(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_restore *cmd = ucmd->cmd;
	struct iommufd_hwpt_restored *hwpt, *found = NULL;
	struct iommufd_object *obj;
	unsigned long index;

	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	xa_lock(&ucmd->ictx->objects);
	xa_for_each(&ucmd->ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_RESTORED)
			continue;
		hwpt = container_of(obj, struct iommufd_hwpt_restored,
				    common.obj);
		if (hwpt->token == cmd->hwpt_token) {
			found = hwpt;
			found->reclaimed = true;
			cmd->out_hwpt_id = obj->id;
			break;
		}
	}
	xa_unlock(&ucmd->ictx->objects);
	if (!found)
		return -ENOENT;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* --- outgoing --- */

static int require_area(bool ok, const struct liveupdate_rule *rule,
			struct iopt_area *area, unsigned long iova)
{
	return liveupdate_require(ok, rule, "IOVA %#lx of the area %#lx-%#lx",
				  iova, iopt_area_iova(area),
				  iopt_area_last_iova(area));
}

/*
 * The comparison of an area with its file.
 * @find: Get the piece of the file that has @pos in it. -ENOENT: there is none.
 * @file: The file.
 * @xas: Where in the file's pages it is, if it has pages.
 * @iova: Where in the area: all before is right.
 * @last: Last IOVA to look at this time.
 * @pos: Where in the file.
 * @piece_end: End of the piece that was found last, as an offset in the file.
 * @piece_paddr: Physical address of that end.
 * @rule: What is wrong.
 */
struct area_check {
	int (*find)(struct area_check *c);
	struct file *file;
	struct xa_state xas;
	u64 iova, last;
	u64 pos;
	u64 piece_end, piece_paddr;
	const struct liveupdate_rule *rule;
};

static int find_folio(struct area_check *c)
{
	struct folio *folio;
	unsigned int order;

	do {
		xas_set(&c->xas, c->pos >> PAGE_SHIFT);
		folio = xas_load(&c->xas);
	} while (xas_retry(&c->xas, folio));
	if (!folio || xa_is_value(folio))
		return -ENOENT;
	order = PAGE_SHIFT + xas_get_order(&c->xas);
	c->piece_end = ((c->pos >> order) + 1) << order;
	c->piece_paddr = PFN_PHYS(folio_pfn(folio)) + BIT_ULL(order);
	return 0;
}

static int find_guestmem(struct area_check *c)
{
	u64 len = 0;

	c->piece_paddr = guestmemfs_phys(c->file, c->pos, &len) + len;
	c->piece_end = c->pos + len;
	return len ? 0 : -ENOENT;
}

static int check_leaf(void *arg, u64 iova, u64 paddr, u64 len)
{
	struct area_check *c = arg;

	len = min(len, c->last - iova + 1);
	while (len) {
		u64 n;

		if (c->pos >= c->piece_end && c->find(c)) {
			c->rule = &rule_iommufd_page_gone;
			return -EINVAL;
		}
		if (c->piece_paddr - (c->piece_end - c->pos) != paddr) {
			c->rule = &rule_iommufd_other_page;
			return -EINVAL;
		}
		n = min(len, c->piece_end - c->pos);
		c->iova += n;
		c->pos += n;
		paddr += n;
		len -= n;
	}
	return 0;
}

/* So many at a time: nothing else runs meanwhile. */
#define CHECK_BYTES	SZ_64M

/*
 * Are the pages that the hardware translates the area to still those in the
 * file? One could have been punched out of a memfd after it was mapped and
 * pinned. The file has been preserved, so that none can be from now on. The memory
 * of a file of guestmemfs cannot change; that it was mapped right is checked.
 */
static int check_area_pages(struct iopt_area *area, struct iommu_domain *domain)
{
	struct pt_iommu *pt = iommupt_from_domain(domain);
	struct address_space *mapping = area->pages->file->f_mapping;
	struct area_check c = {
		.find = area->pages->guestmem ? find_guestmem : find_folio,
		.file = area->pages->file,
		.xas = __XA_STATE(&mapping->i_pages, 0, 0, 0),
		.iova = iopt_area_iova(area),
		.pos = area->pages->start +
		       iopt_area_start_byte(area, iopt_area_iova(area)),
		.rule = &rule_iommufd_unmapped,
	};
	int rc;

	for (;;) {
		c.last = min_t(u64, iopt_area_last_iova(area),
			       c.iova | (CHECK_BYTES - 1));
		scoped_guard(rcu)
			rc = pt->ops->leaves(pt, c.iova, c.last, check_leaf, &c);
		rc = require_area(!rc, c.rule, area, c.iova);
		if (rc)
			return rc;
		if (c.last == iopt_area_last_iova(area))
			return 0;
		cond_resched();
	}
}

static int check_area(struct iopt_area *area, struct iommu_domain *domain,
		      struct liveupdate_session *session)
{
	unsigned long iova = iopt_area_iova(area);
	struct iopt_pages *pages = area->pages;
	u64 token;
	int rc;

	rc = require_area(pages && pages->type == IOPT_ADDRESS_FILE,
			  &rule_iommufd_memfd, area, iova);
	if (rc)
		return rc;
	/* guestmemfs itself keeps what is pinned from shrinking. */
	rc = require_area(pages->guestmem || pages->liveupdate_sealed,
			  &rule_iommufd_seals, area, iova) ?:
	     require_area(!liveupdate_outgoing_token(session, pages->file, &token),
			  &rule_iommufd_file, area, iova);
	if (rc)
		return rc;
	return check_area_pages(area, domain);
}

static void thaw_ioas(struct iommufd_ioas *ioas)
{
	down_write(&ioas->iopt.domains_rwsem);
	down_write(&ioas->iopt.iova_rwsem);
	ioas->iopt.liveupdate_frozen--;
	up_write(&ioas->iopt.iova_rwsem);
	up_write(&ioas->iopt.domains_rwsem);
}

/*
 * With both locks held for write no map or unmap is half done, and each that
 * comes later sees liveupdate_frozen.
 */
static int freeze_ioas(struct iommufd_hwpt_paging *hwpt, bool checked,
		       struct liveupdate_session *session)
{
	struct io_pagetable *iopt = &hwpt->ioas->iopt;
	struct iopt_area *area;
	int rc = 0;

	down_write(&iopt->domains_rwsem);
	down_write(&iopt->iova_rwsem);
	/* All HWPTs of an IOAS translate the same. */
	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area && !checked;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX)) {
		rc = check_area(area, hwpt->common.domain, session);
		if (rc)
			break;
	}
	if (!rc)
		iopt->liveupdate_frozen++;
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
	return rc;
}

/* @checked: Another HWPT of its IOAS was preserved before. */
static int preserve_hwpt(struct iommufd_ctx *ictx,
			 struct iommufd_hwpt_paging *hwpt, bool checked,
			 struct iommufd_hwpt_ser *ser,
			 struct liveupdate_session *session)
{
	int rc;

	rc = liveupdate_require(!hwpt->common.fault && !hwpt->nest_parent,
				&rule_iommufd_hwpt, "HWPT %u",
				hwpt->common.obj.id) ?:
	     freeze_ioas(hwpt, checked, session);
	if (rc)
		return rc;
	/* Meanwhile no doorbell of an interrupt is mapped, and later none can be. */
	scoped_guard(mutex, &ictx->sw_msi_lock)
		rc = iommu_domain_preserve(hwpt->common.domain,
					   hwpt->common.obj.id, &ser->domain);
	if (rc) {
		thaw_ioas(hwpt->ioas);
		return rc;
	}
	ser->token = hwpt->liveupdate_token;
	ser->flags = hwpt->liveupdate_keep ? IOMMUFD_SER_HWPT_KEEP_MARK : 0;
	return 0;
}

static void unpreserve_hwpt(struct iommufd_hwpt_paging *hwpt)
{
	iommu_domain_unpreserve(hwpt->common.domain);
	thaw_ioas(hwpt->ioas);
}

/* Take a reference on each marked HWPT and keep the set from changing. */
static int collect_marked(struct iommufd_ctx *ictx,
			  struct iommufd_hwpt_paging ***hwptsp)
{
	struct iommufd_hwpt_paging **hwpts, *hwpt;
	struct iommufd_object *obj;
	unsigned long index;
	unsigned int n = 0;

	xa_lock(&ictx->objects);
	ictx->liveupdate_preserved = true;
	xa_for_each(&ictx->objects, index, obj)
		if (obj->type == IOMMUFD_OBJ_HWPT_PAGING)
			n++;
	xa_unlock(&ictx->objects);

	/* HWPTs that come now are not marked, so n is enough. */
	hwpts = kcalloc(n, sizeof(*hwpts), GFP_KERNEL);
	if (!hwpts) {
		ictx->liveupdate_preserved = false;
		return -ENOMEM;
	}

	n = 0;
	xa_lock(&ictx->objects);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_PAGING)
			continue;
		hwpt = container_of(obj, struct iommufd_hwpt_paging,
				    common.obj);
		if (hwpt->liveupdate_marked) {
			refcount_inc(&hwpt->common.obj.users);
			hwpts[n++] = hwpt;
		}
	}
	xa_unlock(&ictx->objects);
	*hwptsp = hwpts;
	return n;
}

static void put_marked(struct iommufd_ctx *ictx,
		       struct iommufd_hwpt_paging **hwpts, unsigned int n)
{
	while (n--)
		refcount_dec(&hwpts[n]->common.obj.users);
	kfree(hwpts);
	xa_lock(&ictx->objects);
	ictx->liveupdate_preserved = false;
	xa_unlock(&ictx->objects);
}

/* Each version of the format has a handler of its own. */
static u32 handler_version(const struct liveupdate_file_handler *handler)
{
	return strcmp(handler->compatible, IOMMUFD_LIVEUPDATE_COMPATIBLE) ?
		       IOMMUFD_SER_VERSION_V1 : IOMMUFD_SER_VERSION;
}

/* Is there a mark that only the newer version can tell the next kernel of? */
static bool any_kept(struct iommufd_ctx *ictx)
{
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_object *obj;
	unsigned long index;

	guard(spinlock)(&ictx->objects.xa_lock);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_PAGING)
			continue;
		hwpt = container_of(obj, struct iommufd_hwpt_paging,
				    common.obj);
		if (hwpt->liveupdate_marked && hwpt->liveupdate_keep)
			return true;
	}
	return false;
}

/**
 * struct iommufd_outgoing - A preserved iommufd
 * @ser:   The handover.
 * @hwpts: The HWPTs, in the order of @ser; a reference is held on each.
 */
struct iommufd_outgoing {
	struct iommufd_ser *ser;
	struct iommufd_hwpt_paging **hwpts;
};

static int iommufd_preserve(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx = args->file->private_data;
	struct iommufd_outgoing *out;
	int rc, n, i;

	out = kzalloc_obj(*out);
	if (!out)
		return -ENOMEM;

	n = collect_marked(ictx, &out->hwpts);
	if (n < 0) {
		rc = n;
		goto err_free;
	}
	rc = liveupdate_require(any_kept(ictx) ==
				(handler_version(args->handler) == IOMMUFD_SER_VERSION),
				&rule_iommufd_changed, "iommufd") ?:
	     liveupdate_require(n, &rule_iommufd_unmarked, "iommufd");
	if (rc)
		goto err_put;

	out->ser = kho_alloc_preserve(struct_size(out->ser, hwpts, n));
	if (IS_ERR(out->ser)) {
		rc = PTR_ERR(out->ser);
		goto err_put;
	}
	out->ser->version = handler_version(args->handler);
	out->ser->nr_hwpts = n;

	for (i = 0; i < n; i++) {
		bool checked = false;
		int j;

		for (j = 0; j < i && !checked; j++)
			checked = out->hwpts[j]->ioas == out->hwpts[i]->ioas;
		rc = preserve_hwpt(ictx, out->hwpts[i], checked, &out->ser->hwpts[i],
				   args->session);
		if (rc)
			goto err_hwpts;
	}

	args->serialized_data = virt_to_phys(out->ser);
	args->private_data = out;
	return 0;

err_hwpts:
	while (i--)
		unpreserve_hwpt(out->hwpts[i]);
	kho_unpreserve_free(out->ser);
err_put:
	put_marked(ictx, out->hwpts, n);
err_free:
	kfree(out);
	return rc;
}

static void iommufd_unpreserve(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx = args->file->private_data;
	struct iommufd_outgoing *out = args->private_data;
	unsigned int i = out->ser->nr_hwpts;

	while (i--)
		unpreserve_hwpt(out->hwpts[i]);
	put_marked(ictx, out->hwpts, out->ser->nr_hwpts);
	kho_unpreserve_free(out->ser);
	kfree(out);
}

/**
 * iommufd_liveupdate_in_session() - Is an iommufd preserved in this session?
 * @ictx:    The iommufd.
 * @session: The session of the running callback.
 *
 * Return: 0, or -ENOENT.
 */
int iommufd_liveupdate_in_session(struct iommufd_ctx *ictx,
				  struct liveupdate_session *session)
{
	u64 token;

	return liveupdate_outgoing_token(session, ictx->file, &token);
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_in_session, "IOMMUFD");

/* The domain that a device is attached to; stable while it is preserved. */
static struct iommu_domain *device_domain(struct iommufd_device *idev)
{
	struct iommu_domain *domain = NULL;
	struct iommufd_hw_pagetable *hwpt;

	mutex_lock(&idev->igroup->lock);
	hwpt = iommufd_device_hwpt(idev);
	if (hwpt && hwpt->obj.type == IOMMUFD_OBJ_HWPT_PAGING)
		domain = hwpt->domain;
	mutex_unlock(&idev->igroup->lock);
	return domain;
}

/**
 * iommufd_device_liveupdate_preserve() - Carry a device's attachment over
 * @idev: The device; its iommufd is preserved in the same session.
 *
 * Context: In the .preserve() callback of the device's file.
 * Return: 0; -EINVAL if the device is not attached to a HWPT of an IOAS; -EPERM if
 * it has no IOMMU and the process is not privileged (CAP_SYS_RAWIO); or what
 * iommu_device_preserve() returns.
 */
int iommufd_device_liveupdate_preserve(struct iommufd_device *idev)
{
	struct iommu_domain *domain;
	int rc;

	rc = liveupdate_require(idev->igroup->group || capable(CAP_SYS_RAWIO),
				&rule_iommufd_rawio, "%s", dev_name(idev->dev));
	if (rc)
		return rc;
	domain = device_domain(idev);
	return liveupdate_require(domain, &rule_iommufd_detached, "%s",
				  dev_name(idev->dev)) ?:
	       iommu_device_preserve(idev->dev, domain);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_liveupdate_preserve, "IOMMUFD");

/**
 * iommufd_device_liveupdate_unpreserve() - Undo the preserve
 * @idev: The device.
 */
void iommufd_device_liveupdate_unpreserve(struct iommufd_device *idev)
{
	iommu_device_unpreserve(idev->dev);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_liveupdate_unpreserve, "IOMMUFD");

/**
 * iommufd_device_liveupdate_freeze() - Last check before the jump
 * @idev: The device.
 *
 * Return: 0, or -EBUSY if the device is no longer as it was preserved, which the
 * log says.
 */
int iommufd_device_liveupdate_freeze(struct iommufd_device *idev)
{
	struct iommu_domain *domain = device_domain(idev);

	return liveupdate_require(domain, &rule_iommufd_left, "%s",
				  dev_name(idev->dev)) ?:
	       iommu_device_unchanged(idev->dev, domain);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_liveupdate_freeze, "IOMMUFD");

/* --- incoming --- */

/**
 * iommufd_hwpt_restored_destroy() - Give a restored HWPT up
 * @obj: The object. No device of this iommufd is attached to it.
 */
void iommufd_hwpt_restored_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_restored *hwpt =
		container_of(obj, struct iommufd_hwpt_restored, common.obj);

	/* See unrestore_hwpts() */
	if (!hwpt->common.domain)
		return;
	iommufd_liveupdate_adopted(hwpt,
				   iommu_restored_domain_users(hwpt->common.domain));
	hwpt->common.domain->iommufd_hwpt = NULL;
	iommu_restored_domain_put(hwpt->common.domain);
}

/**
 * iommufd_liveupdate_in_use() - May this object not be destroyed yet?
 * @ictx: The iommufd.
 * @id:   Any id.
 *
 * A device that is on a restored HWPT need not be attached to it as far as
 * iommufd knows: it may not be bound yet, or was detached. If the HWPT went,
 * nobody could claim the device any more. Once all devices have left, none
 * comes back, so that the answer does not change to true.
 *
 * Return: true if it is a restored HWPT with a device on it.
 */
bool iommufd_liveupdate_in_use(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_object *obj;
	bool in_use;

	xa_lock(&ictx->objects);
	obj = xa_load(&ictx->objects, id);
	if (!obj || obj->type != IOMMUFD_OBJ_HWPT_RESTORED ||
	    !iommufd_lock_obj(obj)) {
		xa_unlock(&ictx->objects);
		return false;
	}
	xa_unlock(&ictx->objects);
	hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
	in_use = iommu_restored_domain_users(hwpt->domain);
	iommufd_put_object(ictx, obj);
	return in_use;
}

static int restore_hwpt(struct iommufd_ctx *ictx,
			const struct iommufd_hwpt_ser *ser)
{
	struct iommufd_hwpt_restored *hwpt;
	struct iommu_domain *domain;

	hwpt = __iommufd_object_alloc(ictx, hwpt, IOMMUFD_OBJ_HWPT_RESTORED,
				      common.obj);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	domain = iommu_restored_domain_get(ser->domain, ictx);
	if (IS_ERR(domain)) {
		iommufd_object_abort(ictx, &hwpt->common.obj);
		return PTR_ERR(domain);
	}
	domain->iommufd_hwpt = &hwpt->common;
	domain->cookie_type = IOMMU_COOKIE_IOMMUFD;
	hwpt->ictx = ictx;
	hwpt->common.domain = domain;
	mutex_init(&hwpt->adopt_lock);
	hwpt->token = ser->token;
	hwpt->keep = ser->flags & IOMMUFD_SER_HWPT_KEEP_MARK;
	iommufd_object_finalize(ictx, &hwpt->common.obj);
	return 0;
}

/*
 * A retrieve has failed. The file is released some time later, perhaps after the
 * next retrieve, so the domains are taken from it here; nobody else has it.
 */
static void unrestore_hwpts(struct iommufd_ctx *ictx)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_object *obj;
	unsigned long index;

	xa_for_each(&ictx->objects, index, obj) {
		hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
		hwpt->domain->iommufd_hwpt = NULL;
		iommu_restored_domain_unget(hwpt->domain);
		hwpt->domain = NULL;
	}
}

static const struct iommufd_ser *incoming_ser(u64 pa, u32 version)
{
	const struct iommufd_ser *ser;
	struct liveupdate_kho_mem kho;
	const char *why;

	liveupdate_kho_mem_init(&kho);
	why = iommufd_ser_check(&kho.mem, pa, version, &ser);
	liveupdate_kho_mem_destroy(&kho);
	if (!why)
		return ser;
	pr_err("handover of an iommufd refused: %s\n", why);
	liveupdate_refused("list", "iommufd", why, "name=iommufd-v%u", version);
	return NULL;
}

static int iommufd_retrieve(struct liveupdate_file_op_args *args)
{
	const struct iommufd_ser *ser =
		incoming_ser(args->serialized_data,
			     handler_version(args->handler));
	struct file *file;
	int rc;
	u32 i;

	if (!ser)
		return -EINVAL;

	file = anon_inode_getfile("[iommufd]", &iommufd_fops, NULL, O_RDWR);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto err;
	}
	rc = iommufd_fops_open(NULL, file);
	if (rc)
		goto err_put;
	for (i = 0; i < ser->nr_hwpts; i++) {
		rc = restore_hwpt(file->private_data, &ser->hwpts[i]);
		/* Its devices were stopped; the others' HWPTs come back. */
		if (rc == -ENODEV) {
			pr_err("HWPT with token %#llx is left out: its domain was refused\n",
			       ser->hwpts[i].token);
			continue;
		}
		if (rc) {
			pr_err("HWPT with token %#llx cannot be restored: %pe\n",
			       ser->hwpts[i].token, ERR_PTR(rc));
			unrestore_hwpts(file->private_data);
			goto err_put;
		}
	}
	args->file = file;
	return 0;

err_put:
	fput(file);
err:
	args->retry = liveupdate_transient(rc);
	return rc;
}

static bool iommufd_can_finish(struct liveupdate_file_op_args *args)
{
	const struct iommufd_ser *ser = phys_to_virt(args->serialized_data);
	struct iommufd_hwpt_restored *hwpt;
	struct iommufd_object *obj;
	struct iommufd_ctx *ictx;
	unsigned long index;
	bool ok = true;
	u32 i;

	if (args->retrieve_status <= 0) {
		pr_warn("cannot finish: the iommufd was not retrieved\n");
		return false;
	}
	/* Also if the HWPT is destroyed: the device may be one that nobody got. */
	for (i = 0; i < ser->nr_hwpts; i++) {
		if (!iommu_restored_index_users(ser->hwpts[i].domain))
			continue;
		pr_warn("cannot finish: a device is still attached to the restored HWPT with token %#llx\n",
			ser->hwpts[i].token);
		return false;
	}
	ictx = args->file->private_data;
	/*
	 * Only a device that leaves changes what this reads; so does destroy,
	 * which the session's reference on the file does not exclude.
	 */
	for (index = 0;;) {
		xa_lock(&ictx->objects);
		obj = xa_find(&ictx->objects, &index, ULONG_MAX, XA_PRESENT);
		if (obj && !iommufd_lock_obj(obj)) {
			xa_unlock(&ictx->objects);
			index++;
			continue;
		}
		xa_unlock(&ictx->objects);
		if (!obj)
			return ok;
		if (obj->type == IOMMUFD_OBJ_HWPT_RESTORED) {
			hwpt = container_of(obj, struct iommufd_hwpt_restored,
					    common.obj);
			if (!hwpt->reclaimed) {
				pr_warn("cannot finish: HWPT with token %#llx was not restored\n",
					hwpt->token);
				ok = false;
			} else if (iommu_restored_domain_users(hwpt->common.domain)) {
				pr_warn("cannot finish: a device is still attached to the restored HWPT with token %#llx\n",
					hwpt->token);
				ok = false;
			}
		}
		iommufd_put_object(ictx, obj);
		if (!ok)
			return false;
		index++;
	}
}

static void iommufd_finish(struct liveupdate_file_op_args *args)
{
	kho_restore_free(phys_to_virt(args->serialized_data));
}

/**
 * iommufd_liveupdate_bound() - A device was bound to an iommufd
 * @idev: The device.
 *
 * If it came with a live update it is attached to its restored HWPT, as far as
 * the hardware is concerned; make the objects say so, too.
 *
 * Return: 0, also if the device did not come with a live update; -EPERM if it
 * did but its HWPT is not in this iommufd; -ENOMEM.
 */
int iommufd_liveupdate_bound(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hw_pagetable *hwpt = NULL;
	struct iommu_domain *domain;
	struct iommufd_object *obj;
	unsigned long index;
	int rc;

	if (!iommu_liveupdate_device_restored(idev->dev))
		return 0;
	domain = iommu_liveupdate_restored_domain(idev->dev);

	xa_lock(&ictx->objects);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_RESTORED)
			continue;
		hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
		if (domain && hwpt->domain == domain && iommufd_lock_obj(obj))
			break;
		hwpt = NULL;
	}
	xa_unlock(&ictx->objects);
	if (!hwpt)
		return -EPERM;

	rc = iommufd_hw_pagetable_attach(hwpt, idev, IOMMU_NO_PASID);
	iommufd_put_object(ictx, &hwpt->obj);
	if (rc)
		return rc;
	/* As iommufd_device_attach() does */
	refcount_inc(&idev->obj.users);
	idev->liveupdate_attached = true;
	return 0;
}

/**
 * iommufd_device_liveupdate_attached() - Is a bound device attached already?
 * @idev: A device that was just bound.
 *
 * Return: true if it is attached to the restored HWPT that it came with; the
 * next attach is a replace.
 */
bool iommufd_device_liveupdate_attached(struct iommufd_device *idev)
{
	return idev->liveupdate_attached;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_liveupdate_attached, "IOMMUFD");

#include "liveupdate_show.h"

/*
 * The oldest version that holds all there is to say is written: so a kernel
 * from before a feature can be gone back to as long as nobody uses it.
 */
static bool iommufd_can_preserve(struct liveupdate_file_handler *handler,
				 struct file *file)
{
	if (file->f_op != &iommufd_fops)
		return false;
	return any_kept(file->private_data) ==
	       (handler_version(handler) == IOMMUFD_SER_VERSION);
}

static const struct liveupdate_file_ops iommufd_liveupdate_ops = {
	.can_preserve = iommufd_can_preserve,
	.preserve = iommufd_preserve,
	.unpreserve = iommufd_unpreserve,
	.retrieve = iommufd_retrieve,
	.can_finish = iommufd_can_finish,
	.finish = iommufd_finish,
	.show = iommufd_show,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler iommufd_handlers[] = {
	{
		.ops = &iommufd_liveupdate_ops,
		.compatible = IOMMUFD_LIVEUPDATE_COMPATIBLE_V1,
	},
	{
		.ops = &iommufd_liveupdate_ops,
		.compatible = IOMMUFD_LIVEUPDATE_COMPATIBLE,
	},
};

static int register_handler(struct liveupdate_file_handler *handler)
{
	int rc;

	rc = liveupdate_register_file_handler(handler);
	if (rc)
		return rc;
	rc = iommu_liveupdate_register_flb(handler);
	if (rc)
		liveupdate_unregister_file_handler(handler);
	return rc;
}

/**
 * iommufd_liveupdate_init() - Register with the live update orchestrator
 *
 * Return: 0, also if live update is off; or a negative errno.
 */
int iommufd_liveupdate_init(void)
{
	unsigned int i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(iommufd_handlers); i++) {
		rc = register_handler(&iommufd_handlers[i]);
		if (rc)
			goto err_unregister;
	}
	return 0;

err_unregister:
	while (i--)
		liveupdate_unregister_file_handler(&iommufd_handlers[i]);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

/**
 * iommufd_liveupdate_exit() - Undo iommufd_liveupdate_init()
 */
void iommufd_liveupdate_exit(void)
{
	unsigned int i = ARRAY_SIZE(iommufd_handlers);

	while (i--)
		liveupdate_unregister_file_handler(&iommufd_handlers[i]);
}
