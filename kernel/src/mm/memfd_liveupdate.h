/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _MM_MEMFD_LIVEUPDATE_H
#define _MM_MEMFD_LIVEUPDATE_H

#include <linux/types.h>

struct file;
struct memfd_luo_folio_ser;

int memfd_liveupdate_hold(struct file *file,
			  struct memfd_luo_folio_ser *folios, u64 nr, int err);
void memfd_liveupdate_put(const struct memfd_luo_folio_ser *folios, u64 nr);
void memfd_liveupdate_release(struct file *file);

#endif
