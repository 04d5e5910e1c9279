/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _MM_HUGETLB_LIVEUPDATE_INTERNAL_H
#define _MM_HUGETLB_LIVEUPDATE_INTERNAL_H

#include <linux/types.h>

struct folio;
struct hstate;
struct liveupdate_file_handler;

int hugetlb_liveupdate_register(struct liveupdate_file_handler *fh);
int hugetlb_liveupdate_count(struct folio *folio, bool preserved);
void hugetlb_liveupdate_arrived(struct hstate *h, int nid);

#endif
