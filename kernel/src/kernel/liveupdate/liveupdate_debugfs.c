// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update, shown in debugfs
 *
 * Files below liveupdate/ in debugfs, for who has to know how an update
 * stands and has no token in hand. *outgoing* says what this kernel would carry
 * over if kexec came now; *incoming* says what came from the previous kernel,
 * in which state each object is, what is still waited for, and what was refused
 * and why; *memory* how much memory is kept for the next kernel, which is a file
 * of its own because it takes time in proportion. Reading them changes nothing. Only root can. The records and their
 * keys are documented in docs/discovery.md of Continuo.
 */

#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kho_radix_tree.h>
#include <linux/liveupdate_show.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/seq_file.h>

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

/* --- memory --- */

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

static int liveupdate_memory_show(struct seq_file *m, void *v)
{
	static const struct kho_radix_walk_cb cb = { .leaf = count_key };
	struct kho_count count = {};
	int ret;

	ret = kho_radix_walk_tree(m->private, &cb, &count);
	if (!ret)
		seq_printf(m, "format=1\nmemory folios=%lu pages=%lu\n",
			   count.folios, count.pages);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(liveupdate_memory);

/**
 * liveupdate_show_kho() - Show how much memory is kept for the next kernel
 * @tree: KHO's tree of pages for the next kernel; it lives for ever.
 */
void __init liveupdate_show_kho(struct kho_radix_tree *tree)
{
	debugfs_create_file("memory", 0400, liveupdate_debugfs_dir(), tree,
			    &liveupdate_memory_fops);
}

/* --- the two files --- */

static int show_side(struct seq_file *m, bool incoming)
{
	struct liveupdate_view v = { .incoming = incoming };
	struct seq_buf text;
	size_t room;
	char *to;
	int ret;

	seq_puts(m, "format=1\n");
	room = seq_get_buf(m, &to);
	if (!room)
		return 0;
	seq_buf_init(&text, to, room);
	v.text = &text;
	ret = liveupdate_show_side(&v);
	/* Without room for all of it this is called again, with more. */
	seq_commit(m, seq_buf_has_overflowed(&text) ? -1 : text.len);
	return ret;
}

static int liveupdate_outgoing_show(struct seq_file *m, void *unused)
{
	return show_side(m, false);
}
DEFINE_SHOW_ATTRIBUTE(liveupdate_outgoing);

static int liveupdate_incoming_show(struct seq_file *m, void *unused)
{
	return show_side(m, true);
}
DEFINE_SHOW_ATTRIBUTE(liveupdate_incoming);

static int __init liveupdate_show_init(void)
{
	struct dentry *dir = liveupdate_debugfs_dir();

	/* Also with liveupdate=off: what came is refused then, which is shown. */
	debugfs_create_file("outgoing", 0400, dir, NULL,
			    &liveupdate_outgoing_fops);
	debugfs_create_file("incoming", 0400, dir, NULL,
			    &liveupdate_incoming_fops);
	return 0;
}
late_initcall(liveupdate_show_init);
