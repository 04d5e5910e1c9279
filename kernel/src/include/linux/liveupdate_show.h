/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_LIVEUPDATE_SHOW_H
#define _LINUX_LIVEUPDATE_SHOW_H

#include <linux/err.h>
#include <linux/errno.h>

struct dentry;

#if defined(CONFIG_LIVEUPDATE) && defined(CONFIG_DEBUG_FS)
struct dentry *liveupdate_debugfs_dir(void);
#else
static inline struct dentry *liveupdate_debugfs_dir(void)
{
	return ERR_PTR(-ENODEV);
}
#endif

#endif /* _LINUX_LIVEUPDATE_SHOW_H */
