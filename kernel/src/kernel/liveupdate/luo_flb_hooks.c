// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* The part of luo_flb.c that is ours: an FLB has versions, and may not have come. */

#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/kho/abi/luo.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include "luo_internal.h"

/**
 * luo_flb_reads() - Is this a version of an FLB that its retrieve() reads?
 * @flb:  The FLB.
 * @name: The version string.
 *
 * Return: true if it is.
 */
bool luo_flb_reads(const struct liveupdate_flb *flb, const char *name)
{
	const struct liveupdate_flb_versions *versions = flb->ops->versions;
	const char *const *older = versions ? versions->older : NULL;

	if (!strcmp(flb->compatible, name))
		return true;
	while (older && *older)
		if (!strcmp(*older++, name))
			return true;
	return false;
}

/**
 * luo_flb_finish_file() - A file that may have kept an FLB is finished
 * @flb: An FLB of the file's handler.
 *
 * The count of files comes with the FLB when that is retrieved, by now at the latest. An
 * FLB that the previous kernel did not know, although it knew the handler, has none to be
 * counted down.
 */
void luo_flb_finish_file(struct liveupdate_flb *flb)
{
	void *obj;

	if (liveupdate_flb_get_incoming(flb, &obj))
		return;
	liveupdate_flb_put_incoming(flb);
	liveupdate_flb_put_incoming(flb);
}

/* The version that an FLB is written in, with its data; see its written(). */
static const char *luo_flb_written(struct liveupdate_flb *flb, u64 *data)
{
	struct luo_flb_private *private = &ACCESS_PRIVATE(flb, private);
	struct liveupdate_flb_op_args args = {
		.flb = flb,
		.data = private->outgoing.data,
		.obj = private->outgoing.obj,
	};
	const char *written = flb->compatible;

	if (flb->ops->versions)
		written = flb->ops->versions->written(&args);
	*data = args.data;
	return written;
}

/**
 * luo_flb_serialize_version() - Write an FLB in the version that was chosen
 * @flb: The FLB, which was asked, and so does not fail any more.
 * @ser: Where to.
 */
void luo_flb_serialize_version(struct liveupdate_flb *flb,
			       struct luo_flb_ser *ser)
{
	const char *written;
	u64 data;

	written = luo_flb_written(flb, &data);
	if (WARN_ON(IS_ERR(written)))
		return;
	strscpy(ser->name, written, sizeof(ser->name));
	ser->data = data;
}

/**
 * luo_flb_formats_ask() - Does the loaded kernel read what goes with a file?
 * @fh: The file's handler.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: 0; -ENOEXEC if not; -ENOMEM.
 */
int luo_flb_formats_ask(struct liveupdate_file_handler *fh)
{
	struct list_head *flb_list = &ACCESS_PRIVATE(fh, flb_list);
	struct luo_flb_link_seen *iter;
	const char *written;
	u64 data;
	int err;

	guard(rwsem_read)(&luo_register_rwlock);
	list_for_each_entry(iter, flb_list, list) {
		written = luo_flb_written(iter->flb, &data);
		if (IS_ERR(written))
			return PTR_ERR(written);
		/* Chosen among some, it is one that is read. */
		err = iter->flb->ops->versions ? 0 : luo_format_ask(written);
		if (err)
			return err;
	}
	return 0;
}
