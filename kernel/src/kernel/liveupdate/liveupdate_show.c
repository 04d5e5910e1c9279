// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update, shown in debugfs
 *
 * The directory liveupdate/ in debugfs is where an operator sees what a live
 * update carries over.
 */

#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/liveupdate_show.h>
#include <linux/mutex.h>

/**
 * liveupdate_debugfs_dir() - The directory liveupdate/ in debugfs
 *
 * Whoever comes first makes it; it is never removed.
 *
 * Context: May sleep; from core_initcall() on.
 * Return: the directory, or an error pointer, which debugfs_create_file() and
 * its like take and do nothing.
 */
struct dentry *liveupdate_debugfs_dir(void)
{
	static DEFINE_MUTEX(lock);
	static struct dentry *dir;

	guard(mutex)(&lock);
	if (!dir)
		dir = debugfs_create_dir("liveupdate", NULL);
	return dir;
}
EXPORT_SYMBOL_GPL(liveupdate_debugfs_dir);
