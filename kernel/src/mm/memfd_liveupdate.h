/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _MM_MEMFD_LIVEUPDATE_H
#define _MM_MEMFD_LIVEUPDATE_H

#include <linux/fs.h>
#include <linux/types.h>

struct folio;
struct liveupdate_file_op_args;
struct memfd_luo_folio_ser;
struct memfd_luo_ser;

/* How many of the folios of a file that cannot be retrieved may be freed? */
static inline long memfd_liveupdate_unused(u64 nr)
{
	return 0;
}

/* Was a file made just now, or is it one that a retrieve did not get to fill? */
static inline bool memfd_liveupdate_new(struct file *file)
{
	return !file->private_data;
}

struct memfd_luo_ser *memfd_liveupdate_ser(struct liveupdate_file_op_args *args);
struct file *memfd_liveupdate_resume(struct liveupdate_file_op_args *args);
struct memfd_luo_folio_ser *
memfd_liveupdate_folios(struct liveupdate_file_op_args *args, struct file *file);
u64 memfd_liveupdate_next(struct file *file);
struct folio *memfd_liveupdate_folio(struct file *file, u64 i,
				     phys_addr_t phys);
void memfd_liveupdate_hold(struct file *file, int err);
bool memfd_liveupdate_failed(struct liveupdate_file_op_args *args, int err);
bool memfd_liveupdate_finish(struct liveupdate_file_op_args *args);

#endif
