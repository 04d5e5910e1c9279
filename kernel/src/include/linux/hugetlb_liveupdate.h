/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_HUGETLB_LIVEUPDATE_H
#define _LINUX_HUGETLB_LIVEUPDATE_H

#include <linux/types.h>

struct folio;
struct hstate;
struct inode;

#ifdef CONFIG_LIVEUPDATE_HUGETLB
struct folio *hugetlb_liveupdate_take(struct hstate *h);
bool hugetlb_liveupdate_frozen(struct inode *inode);
void hugetlb_liveupdate_expect(struct hstate *h);
bool hugetlb_liveupdate_await(struct hstate *h);
#else
static inline struct folio *hugetlb_liveupdate_take(struct hstate *h)
{
	return NULL;
}

static inline bool hugetlb_liveupdate_frozen(struct inode *inode)
{
	return false;
}

static inline void hugetlb_liveupdate_expect(struct hstate *h)
{
}

static inline bool hugetlb_liveupdate_await(struct hstate *h)
{
	return false;
}
#endif

#endif /* _LINUX_HUGETLB_LIVEUPDATE_H */
