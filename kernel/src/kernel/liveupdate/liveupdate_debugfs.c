// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update, shown in debugfs
 *
 * What debugfs has beyond /dev/liveupdate-view, for debugging and for programs of
 * before that. *outgoing* and *incoming* below liveupdate/ are the two sides of the
 * view, each by itself, as it was printed: one look, which is not one moment (a
 * file can be retrieved between two lines), with the reference counts. *memory* is
 * how much memory is kept for the next kernel, a file of its own because it takes
 * time in proportion. Reading them changes nothing. Only root can.
 */

#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kho_radix_tree.h>
#include <linux/liveupdate_show.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/seq_file.h>

/* Whoever comes first makes it; it is never removed. */
static struct dentry *debugfs_dir(void)
{
	static DEFINE_MUTEX(lock);
	static struct dentry *dir;

	guard(mutex)(&lock);
	if (!dir)
		dir = debugfs_create_dir("liveupdate", NULL);
	return dir;
}

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
		seq_printf(m, "format=%d\nmemory folios=%lu pages=%lu\n",
			   LIVEUPDATE_VIEW_FORMAT, count.folios, count.pages);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(liveupdate_memory);

/**
 * liveupdate_show_kho() - Show how much memory is kept for the next kernel
 * @tree: KHO's tree of pages for the next kernel; it lives for ever.
 */
void __init liveupdate_show_kho(struct kho_radix_tree *tree)
{
	debugfs_create_file("memory", 0400, debugfs_dir(), tree,
			    &liveupdate_memory_fops);
}

/* --- the two files --- */

static int show_side(struct seq_file *m, bool incoming)
{
	struct liveupdate_view v = {
		.incoming = incoming,
		.physical = file_ns_capable(m->file, &init_user_ns,
					    CAP_SYS_RAWIO),
		.debug = true,
	};
	struct seq_buf text;
	size_t room;
	char *to;
	int ret;

	seq_printf(m, "format=%d\n", LIVEUPDATE_VIEW_FORMAT);
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
	struct dentry *dir = debugfs_dir();

	/* Also with liveupdate=off: what came is refused then, which is shown. */
	debugfs_create_file("outgoing", 0400, dir, NULL,
			    &liveupdate_outgoing_fops);
	debugfs_create_file("incoming", 0400, dir, NULL,
			    &liveupdate_incoming_fops);
	return 0;
}
late_initcall(liveupdate_show_init);
