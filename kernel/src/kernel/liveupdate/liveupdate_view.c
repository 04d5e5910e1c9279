// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: The operator's view
 *
 * /dev/liveupdate-view says how a live update stands, to somebody who has no
 * session in hand: what this kernel would carry over if kexec came now, what came
 * from the previous kernel, in which state each object is, what is still waited
 * for, and what was refused and why. It is an interface of its own. /dev/liveupdate
 * is one process's at a time, and the first open of it changes what there is to
 * see; debugfs is no interface, and is closed where the kernel is locked down.
 *
 * The device can be read, and nothing else. It is there with every kernel that has
 * CONFIG_LIVEUPDATE, also with liveupdate=off: what came is refused then, which is
 * shown. The text is of lines, one for each object, and its first line is the
 * number of the format; see liveupdate_show.c. The records and their keys are
 * described in Documentation/ABI/testing/dev-liveupdate-view.
 *
 * One moment
 * ~~~~~~~~~~
 *
 * A look takes the locks of one part of the kernel after those of another. Nothing
 * holds all of them, and nothing should: sessions would wait for whoever looks.
 * So a read looks twice, and if both looks say the same, all of it was so at the
 * moment between them. If not, it looks again. The record "view" says how that
 * ended: "whole", or "changing" if no two looks in a row were the same. (Between
 * the looks something can change and change back; that is not noticed, and what
 * is shown was the case all the same.)
 *
 * For that to end, the text has nothing that changes by itself: no reference
 * counts, no times. A session that somebody is busy with is not waited for, as
 * preserve can be for long: it has the state "busy".
 *
 * A read from the beginning of the file looks. Others go on in the text that it
 * got, so that a text that takes more than one read is of one moment, too; and who
 * was given a descriptor can look again without another open. It is not done in
 * open(2), which for misc devices is one process's at a time: /dev/kvm would wait
 * for the locks of live update.
 *
 * Who may know what
 * ~~~~~~~~~~~~~~~~~
 *
 * The node is root's (mode 0440), who can give it to a group. The names of sessions
 * and the processes that hold them are in it. Physical addresses are only shown
 * if whoever opened it has CAP_SYS_RAWIO. Kernel addresses never are.
 *
 * Who says what
 * ~~~~~~~~~~~~~
 *
 * The Live Update Orchestrator knows sessions and files; the handler of a file
 * may add to the line of its file, and lines for what is in it
 * (&struct liveupdate_file_ops.show). The IOMMU core knows domains, IOMMU units
 * and devices, the PCI core devices and bridges.
 *
 * What can go wrong
 * ~~~~~~~~~~~~~~~~~
 *
 * A read fails with ENOMEM if there is no memory for the text, which counts as the
 * reader's (memcg); with EINTR if a signal came while it waited for a lock, for
 * example of the list of sessions. Then the next read from the beginning looks
 * anew. A reader that dies leaves nothing behind.
 */

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/miscdevice.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_buf.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

/* After so many looks no two of which were the same it is given up. */
#define LOOKS	16

/* Bridges, and endpoints that the IOMMU core has nothing on. */
static void show_pci(struct liveupdate_view *v,
		     struct liveupdate_pci_list *pci)
{
	u32 i;

	for (i = 0; pci && i < pci->nr; i++) {
		const struct liveupdate_pci_state *d = &pci->dev[i];

		if (d->shown || (v->incoming &&
				 liveupdate_was_refused_pci(d->segment, d->bdf)))
			continue;
		liveupdate_show_record(v, d->bridge ? "bridge" : "device");
		liveupdate_show_bdf(v, "bdf", d->segment, d->bdf);
		liveupdate_show_word(v, "state", !v->incoming ?
				     d->frozen ? "frozen" : "preserved" :
				     d->pending ? "pending" :
				     d->present ? "running" : "finished");
		if (d->bridge) {
			liveupdate_show_num(v, "devices", d->users);
			liveupdate_show_num(v, "secondary", d->secondary);
			liveupdate_show_num(v, "subordinate", d->subordinate);
		}
		if (d->present)
			liveupdate_show_word(v, "bus-master",
					     d->master ? "on" : "off");
		if (v->incoming && d->pending)
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_PROBE);
		if (v->incoming && (d->pending || d->present))
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
	}
}

/**
 * liveupdate_show_side() - Write what there is on one side
 * @v: The view; it says where to, and which side.
 *
 * Return: 0, -ENOMEM, or -EINTR if a signal came.
 */
int liveupdate_show_side(struct liveupdate_view *v)
{
	struct liveupdate_pci_list *pci __free(kvfree) = NULL;
	int ret;

	if (!v->incoming)
		luo_formats_show(v);
	ret = luo_session_show(v);
	if (ret)
		return ret;
	pci = pci_liveupdate_list(v->incoming);
	if (IS_ERR(pci))
		return PTR_ERR(pci);
	iommu_liveupdate_show(v, pci);
	show_pci(v, pci);
	if (v->incoming)
		liveupdate_show_refused(v);
	else
		liveupdate_show_refusals(v);
	liveupdate_show_end(v);
	return 0;
}

/* --- one moment --- */

/* Both sides; if there was no room for all of it, @text has overflowed. */
static int look_once(struct seq_buf *text, bool physical, const char *state)
{
	struct liveupdate_view v = {
		.text = text,
		.both = true,
		.physical = physical,
	};
	int ret;

	seq_buf_clear(text);
	seq_buf_printf(text, "format=%d\n", LIVEUPDATE_VIEW_FORMAT);
	seq_buf_printf(text, "view state=%s\n", state);
	ret = liveupdate_show_side(&v);
	if (ret)
		return ret;
	v.incoming = true;
	return liveupdate_show_side(&v);
}

static int grow(struct seq_buf *text)
{
	size_t size = text->size ? 2 * text->size : SZ_16K;
	char *buf = kvmalloc(size, GFP_KERNEL_ACCOUNT);

	if (!buf)
		return -ENOMEM;
	kvfree(text->buffer);
	seq_buf_init(text, buf, size);
	return 0;
}

static int look(struct seq_buf *text, bool physical, const char *state)
{
	int ret = 0;

	do {
		if (!text->size || seq_buf_has_overflowed(text))
			ret = grow(text);
		if (!ret)
			ret = look_once(text, physical, state);
	} while (!ret && seq_buf_has_overflowed(text));
	return ret;
}

static bool same(const struct seq_buf *a, const struct seq_buf *b)
{
	return a->len == b->len && !memcmp(a->buffer, b->buffer, a->len);
}

/* Look until two looks in a row say the same; @text has the last one. */
static int look_twice(struct seq_buf *text, bool physical)
{
	struct seq_buf before = {};
	unsigned int i;
	int ret;

	ret = look(text, physical, "whole");
	for (i = 1; !ret && i < LOOKS; i++) {
		cond_resched();
		swap(*text, before);
		ret = look(text, physical, "whole");
		if (!ret && same(text, &before))
			goto out;
	}
	if (!ret)
		ret = look(text, physical, "changing");
out:
	kvfree(before.buffer);
	return ret;
}

/* --- the device --- */

/**
 * struct view_file - A descriptor of the view
 * @lock: Held by a reader, as long as it looks and copies.
 * @text: What was seen when it was read from its beginning.
 * @seen: There is such a text.
 */
struct view_file {
	struct mutex lock;	/* readers of one descriptor, one after the other */
	struct seq_buf text;
	bool seen;
};

static int view_open(struct inode *inode, struct file *file)
{
	struct view_file *f;

	/* Under the lock of all misc devices */
	f = kzalloc_obj(*f, GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	file->private_data = f;
	return 0;
}

static ssize_t view_read(struct file *file, char __user *to, size_t n,
			 loff_t *at)
{
	struct view_file *f = file->private_data;
	int ret;

	ACQUIRE(mutex_intr, lock)(&f->lock);
	ret = ACQUIRE_ERR(mutex_intr, &lock);
	if (ret)
		return ret;
	if (!*at || !f->seen) {
		/* Who has opened it counts, not who reads. */
		ret = look_twice(&f->text, file_ns_capable(file, &init_user_ns,
							   CAP_SYS_RAWIO));
		f->seen = !ret;
		if (ret)
			return ret;
	}
	return simple_read_from_buffer(to, n, at, f->text.buffer, f->text.len);
}

static int view_release(struct inode *inode, struct file *file)
{
	struct view_file *f = file->private_data;

	kvfree(f->text.buffer);
	mutex_destroy(&f->lock);
	kfree(f);
	return 0;
}

static const struct file_operations view_fops = {
	.owner		= THIS_MODULE,
	.open		= view_open,
	.read		= view_read,
	/* There is no end before there was a look. */
	.llseek		= no_seek_end_llseek,
	.release	= view_release,
};

static ssize_t format_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n", LIVEUPDATE_VIEW_FORMAT);
}
static DEVICE_ATTR_RO(format);

static struct attribute *view_attrs[] = {
	&dev_attr_format.attr,
	NULL
};
ATTRIBUTE_GROUPS(view);

static struct miscdevice view_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "liveupdate-view",
	.fops	= &view_fops,
	.mode	= 0440,
	.groups	= view_groups,
};

static int __init liveupdate_view_init(void)
{
	return misc_register(&view_device);
}
late_initcall(liveupdate_view_init);
