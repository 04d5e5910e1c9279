/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __IOMMUFD_LIVEUPDATE_SHOW_H
#define __IOMMUFD_LIVEUPDATE_SHOW_H

/*
 * A part of liveupdate.c, and included there: what the view says of an iommufd and
 * its HWPTs. See kernel/liveupdate/liveupdate_view.c.
 */

#include <linux/liveupdate_show.h>

static bool hwpt_find_restored(struct iommufd_ctx *ictx, u64 token,
			       bool *reclaimed)
{
	struct iommufd_hwpt_restored *hwpt;
	struct iommufd_object *obj;
	unsigned long index;
	bool found = false;

	xa_lock(&ictx->objects);
	xa_for_each(&ictx->objects, index, obj) {
		if (obj->type != IOMMUFD_OBJ_HWPT_RESTORED)
			continue;
		hwpt = container_of(obj, struct iommufd_hwpt_restored,
				    common.obj);
		if (hwpt->token != token)
			continue;
		*reclaimed = hwpt->reclaimed;
		found = true;
		break;
	}
	xa_unlock(&ictx->objects);
	return found;
}

static void show_incoming_hwpt(struct liveupdate_view *v,
			       struct iommufd_ctx *ictx,
			       const struct iommufd_hwpt_ser *ser)
{
	unsigned int devices =
		iommu_liveupdate_domain_devices(true, ser->domain);
	bool reclaimed;

	liveupdate_show_num(v, "devices", devices);
	if (!ictx) {
		liveupdate_show_word(v, "state", "not-retrieved");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RETRIEVE);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RESTORE);
	} else if (!hwpt_find_restored(ictx, ser->token, &reclaimed)) {
		liveupdate_show_word(v, "state", "left");
	} else if (!reclaimed) {
		liveupdate_show_word(v, "state", "restored");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RESTORE);
	} else {
		liveupdate_show_word(v, "state", "reclaimed");
	}
	if (devices)
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_REPLACE);
	liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
}

static void iommufd_show(struct liveupdate_view *v,
			 const struct liveupdate_file_op_args *args)
{
	struct iommufd_outgoing *out = args->private_data;
	const struct iommufd_ser *ser;
	u32 i;

	/* One that is refused stays so, and its content means nothing. */
	if (args->retrieve_status < 0)
		return;
	ser = v->incoming ? incoming_ser(args->serialized_data,
					  handler_version(args->handler)) :
			     out->ser;
	if (!ser)
		return;
	liveupdate_show_num(v, "hwpts", ser->nr_hwpts);
	for (i = 0; i < ser->nr_hwpts; i++) {
		const struct iommufd_hwpt_ser *hwpt = &ser->hwpts[i];

		liveupdate_show_record(v, "hwpt");
		liveupdate_show_text(v, "session", v->session);
		liveupdate_show_hex(v, "iommufd", v->token);
		liveupdate_show_hex(v, "token", hwpt->token);
		liveupdate_show_num(v, "domain", hwpt->domain);
		if (v->incoming) {
			show_incoming_hwpt(v, args->file ?
					   args->file->private_data : NULL,
					   hwpt);
			continue;
		}
		liveupdate_show_num(v, "devices",
				    iommu_liveupdate_domain_devices(false, hwpt->domain));
		liveupdate_show_word(v, "state", "preserved");
	}
}

#endif /* __IOMMUFD_LIVEUPDATE_SHOW_H */
