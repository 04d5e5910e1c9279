/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * The part of luo_flb.c that is ours; included there, below struct
 * luo_flb_link, which nobody else sees.
 */

/* Is @name a version of the FLB that its retrieve() reads? */
static bool luo_flb_reads(const struct liveupdate_flb *flb, const char *name)
{
	const struct liveupdate_flb_versions *versions = flb->ops->versions;

	return !strcmp(flb->compatible, name) ||
	       (versions && !strcmp(versions->older, name));
}

/**
 * luo_flb_formats_ask() - Does the loaded kernel read what goes with a file?
 * @fh: The file's handler.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: 0, or -ENOEXEC if not.
 */
int luo_flb_formats_ask(struct liveupdate_file_handler *fh)
{
	struct list_head *flb_list = &ACCESS_PRIVATE(fh, flb_list);
	struct luo_flb_link *iter;
	int err;

	guard(rwsem_read)(&luo_register_rwlock);
	list_for_each_entry(iter, flb_list, list) {
		err = luo_format_ask(iter->flb->compatible);
		if (err)
			return err;
	}
	return 0;
}
