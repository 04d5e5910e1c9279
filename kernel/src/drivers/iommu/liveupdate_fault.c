// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What a test of live updates needs to see and to cause
 *
 * Below /sys/kernel/debug/liveupdate_test:
 *
 * kho_pages
 *   "FOLIOS PAGES": how much KHO is told to preserve for the next kernel at
 *   this moment. What was undone must not be in there any more.
 *
 * fail_liveupdate
 *   The knobs of the fault injection point liveupdate_fault(), see
 *   Documentation/fault-injection/. Only with CONFIG_FAULT_INJECTION.
 */

#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/kho_radix_tree.h>
#include <linux/liveupdate_fault.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#ifdef CONFIG_FAULT_INJECTION
static DECLARE_FAULT_ATTR(fail_liveupdate);

/**
 * liveupdate_should_fail() - Is the next step of a live update to fail?
 *
 * Return: true if fault injection wants it to.
 */
bool liveupdate_should_fail(void)
{
	return should_fail(&fail_liveupdate, 1);
}
EXPORT_SYMBOL_GPL(liveupdate_should_fail);

static void fault_debugfs(struct dentry *dir)
{
	fault_create_debugfs_attr("fail_liveupdate", dir, &fail_liveupdate);
}
#else
static void fault_debugfs(struct dentry *dir)
{
}
#endif

struct kho_count {
	unsigned long folios;
	unsigned long pages;
};

static int count_key(unsigned long key, void *data)
{
	struct kho_count *count = data;

	/* A key is a frame number at its order, with one bit set above it. */
	count->folios++;
	count->pages += 1UL << (64 - PAGE_SHIFT - (fls64(key) - 1));
	return 0;
}

static int kho_pages_show(struct seq_file *m, void *v)
{
	static const struct kho_radix_walk_cb cb = { .leaf = count_key };
	struct kho_count count = {};
	int ret;

	ret = kho_radix_walk_tree(m->private, &cb, &count);
	if (!ret)
		seq_printf(m, "%lu %lu\n", count.folios, count.pages);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(kho_pages);

/**
 * liveupdate_watch_kho() - Tell how many pages are preserved
 * @tree: KHO's tree of pages for the next kernel; it lives for ever.
 */
void __init liveupdate_watch_kho(struct kho_radix_tree *tree)
{
	struct dentry *dir = debugfs_create_dir("liveupdate_test", NULL);

	debugfs_create_file("kho_pages", 0400, dir, tree, &kho_pages_fops);
	fault_debugfs(dir);
}
