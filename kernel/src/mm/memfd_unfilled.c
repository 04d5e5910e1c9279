// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* Memfds that came over and are not filled yet: those of small pages and those of huge ones */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_show.h>
#include <linux/slab.h>

#include "memfd_liveupdate.h"

static void note_refused(struct memfd_kind *kind, const char *why)
{
	pr_err("handover of a %s refused: %s\n", kind->name, why);
	liveupdate_refused("list", "memfd", why, "name=%s", kind->compatible);
}

/* Can what came of a file be used? Nothing of it was used so far. */
int memfd_check(struct memfd_kind *kind, u64 data, gfp_t gfp)
{
	struct liveupdate_kho_mem kho;
	const char *why;

	liveupdate_kho_mem_init(&kho);
	kho.gfp = gfp;
	why = kind->check(&kho.mem, data);
	liveupdate_kho_mem_destroy(&kho);
	if (!why)
		return 0;
	if (kho.starved)
		return -ENOMEM;
	note_refused(kind, why);
	return -EINVAL;
}

/*
 * What is kept of a file, for one call, and for no other file of the same data. If
 * that is nothing it is made, with zeros behind its beginning; with no @gfp it is
 * not, and this returns NULL.
 */
void *memfd_unfilled_begin(struct memfd_kind *kind, u64 data, gfp_t gfp)
{
	struct memfd_unfilled *file;

	guard(mutex)(&kind->lock);
	list_for_each_entry(file, &kind->unfilled, list) {
		if (file->data != data)
			continue;
		if (!file->busy) {
			file->busy = true;
			return file;
		}
		if (gfp)
			note_refused(kind, "it is another file's, too");
		return ERR_PTR(-EINVAL);
	}
	if (!gfp)
		return NULL;
	file = kzalloc(kind->size, gfp);
	if (!file)
		return ERR_PTR(-ENOMEM);
	file->data = data;
	file->busy = true;
	list_add(&file->list, &kind->unfilled);
	return file;
}

/* The file is filled, or will never be; else it is another call's turn. */
void memfd_unfilled_end(struct memfd_kind *kind, struct memfd_unfilled *file, bool done)
{
	guard(mutex)(&kind->lock);
	file->busy = false;
	if (done)
		list_del_init(&file->list);
}
