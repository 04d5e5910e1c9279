/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _MM_MEMFD_LIVEUPDATE_H
#define _MM_MEMFD_LIVEUPDATE_H

#include <linux/types.h>

struct file;
struct memfd_luo_folio_ser;

/* How many of the folios of a file that cannot be retrieved may be freed? */
static inline long memfd_liveupdate_unused(u64 nr)
{
	return 0;
}

int memfd_liveupdate_hold(struct file *file,
			  struct memfd_luo_folio_ser *folios, u64 nr, int err);
void memfd_liveupdate_release(struct file *file);

#endif
