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
 *
 * Format
 * ~~~~~~
 *
 * The first line is "format=1". Each further line is one object: its type, then
 * "key=value" pairs, with one space before each. Types and keys are of lower
 * case letters, digits and "-". A value is either a word (letters, digits and
 * ".:,-") or a text in double quotes, in which '"', '\' and all that is not
 * printable ASCII are written as '\' and three octal digits. Numbers are
 * decimal, or hexadecimal with 0x in front. A key that does not apply is left
 * out. Records and keys may be added; the number of the format changes if one
 * goes or changes its meaning.
 *
 * Who says what
 * ~~~~~~~~~~~~~
 *
 * The Live Update Orchestrator knows sessions and files; the handler of a file
 * may add to the line of its file, and lines for what is in it
 * (&struct liveupdate_file_ops.show). The IOMMU core knows domains, IOMMU units
 * and devices, the PCI core devices and bridges.
 *
 * Who holds it
 * ~~~~~~~~~~~~
 *
 * For sessions and files the process is shown that created, preserved or
 * retrieved them, as it was at that moment, and whether it still runs. It may
 * have given the file to another process since. Who has it open now is known
 * to procfs only (a link of /proc/PID/fd says "[luo_session] NAME"); here, "open"
 * counts the references other than the session's own.
 *
 * Locks
 * ~~~~~
 *
 * One look takes the locks of one part after those of another, and is not one
 * moment: a file can be retrieved between two lines. It does not wait for a
 * session that somebody is busy with, as preserve can be for long, but says so.
 */

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kho_radix_tree.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

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

/* --- who holds it --- */

/**
 * liveupdate_note_task() - Note who does something
 * @task: Where to.
 *
 * Context: Of the process that does it.
 */
void liveupdate_note_task(struct liveupdate_task *task)
{
	struct task_struct *leader = current->group_leader;

	task->pid = task_pid_nr(leader);
	task->start = leader->start_boottime;
	get_task_comm(task->comm, leader);
}

static bool still_runs(const struct liveupdate_task *task)
{
	struct task_struct *leader;

	guard(rcu)();
	leader = find_task_by_pid_ns(task->pid, &init_pid_ns);
	return leader && leader->start_boottime == task->start &&
	       !READ_ONCE(leader->exit_state);
}

/**
 * liveupdate_show_task() - Add who did something to a record
 * @v:    The view.
 * @task: What liveupdate_note_task() noted; nothing is shown if it did not.
 */
void liveupdate_show_task(struct liveupdate_view *v,
			  const struct liveupdate_task *task)
{
	if (!task->pid)
		return;
	liveupdate_show_num(v, "pid", task->pid);
	liveupdate_show_text(v, "comm", task->comm);
	liveupdate_show_word(v, "alive", still_runs(task) ? "yes" : "no");
}

/* --- records --- */

static void end_record(struct liveupdate_view *v)
{
	static const char * const waits[] = {
		[LIVEUPDATE_WAIT_RESET] = "reset",
		[LIVEUPDATE_WAIT_PROBE] = "probe",
		[LIVEUPDATE_WAIT_RETRIEVE] = "retrieve",
		[LIVEUPDATE_WAIT_BIND] = "bind",
		[LIVEUPDATE_WAIT_RESTORE] = "restore",
		[LIVEUPDATE_WAIT_REPLACE] = "replace",
		[LIVEUPDATE_WAIT_FINISH] = "finish",
		[LIVEUPDATE_WAIT_CLOSE] = "close",
	};
	const char *before = " waits-for=";
	unsigned int i;

	static_assert(ARRAY_SIZE(waits) == LIVEUPDATE_WAIT_NR);
	if (!v->open)
		return;
	for (i = 0; i < LIVEUPDATE_WAIT_NR; i++) {
		if (!(v->waits & BIT(i)))
			continue;
		seq_printf(v->m, "%s%s", before, waits[i]);
		before = ",";
	}
	seq_putc(v->m, '\n');
	v->open = false;
	v->waits = 0;
}

/**
 * liveupdate_show_record() - Begin the record of an object
 * @v:    The view; the record before ends.
 * @type: Type of the object.
 */
void liveupdate_show_record(struct liveupdate_view *v, const char *type)
{
	end_record(v);
	seq_puts(v->m, type);
	v->open = true;
}
EXPORT_SYMBOL_GPL(liveupdate_show_record);

/**
 * liveupdate_show_word() - Add a word to a record
 * @v:    The view.
 * @key:  Its key.
 * @word: Of letters, digits and ".:,-".
 */
void liveupdate_show_word(struct liveupdate_view *v, const char *key,
			  const char *word)
{
	seq_printf(v->m, " %s=%s", key, word);
}
EXPORT_SYMBOL_GPL(liveupdate_show_word);

/**
 * liveupdate_show_text() - Add a text to a record
 * @v:    The view.
 * @key:  Its key.
 * @text: Any string.
 */
void liveupdate_show_text(struct liveupdate_view *v, const char *key,
			  const char *text)
{
	seq_printf(v->m, " %s=\"", key);
	seq_escape_str(v->m, text, ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND,
		       "\"\\");
	seq_putc(v->m, '"');
}
EXPORT_SYMBOL_GPL(liveupdate_show_text);

/**
 * liveupdate_show_num() - Add a number to a record
 * @v:   The view.
 * @key: Its key.
 * @num: The number.
 */
void liveupdate_show_num(struct liveupdate_view *v, const char *key, u64 num)
{
	seq_printf(v->m, " %s=%llu", key, num);
}
EXPORT_SYMBOL_GPL(liveupdate_show_num);

/**
 * liveupdate_show_hex() - Add a number to a record, in hexadecimal
 * @v:   The view.
 * @key: Its key.
 * @num: The number.
 */
void liveupdate_show_hex(struct liveupdate_view *v, const char *key, u64 num)
{
	seq_printf(v->m, " %s=0x%llx", key, num);
}
EXPORT_SYMBOL_GPL(liveupdate_show_hex);

/**
 * liveupdate_show_bdf() - Add the address of a PCI device to a record
 * @v:       The view.
 * @key:     Its key.
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 */
void liveupdate_show_bdf(struct liveupdate_view *v, const char *key,
			 u32 segment, u16 bdf)
{
	seq_printf(v->m, " %s=%04x:%02x:%02x.%d", key, segment,
		   PCI_BUS_NUM(bdf), PCI_SLOT(bdf), PCI_FUNC(bdf));
}
EXPORT_SYMBOL_GPL(liveupdate_show_bdf);

/**
 * liveupdate_show_wait() - Say what the object of a record is waited for
 * @v:    The view.
 * @wait: What; any number of them can be added, in any order.
 */
void liveupdate_show_wait(struct liveupdate_view *v, enum liveupdate_wait wait)
{
	v->waits |= BIT(wait);
}
EXPORT_SYMBOL_GPL(liveupdate_show_wait);

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

static int show_side(struct seq_file *m, bool incoming)
{
	struct liveupdate_pci_list *pci __free(kvfree) = NULL;
	struct liveupdate_view v = { .m = m, .incoming = incoming };
	int ret;

	seq_puts(m, "format=1\n");
	if (!incoming)
		luo_formats_show(&v);
	ret = luo_session_show(&v);
	if (ret)
		return ret;
	pci = pci_liveupdate_list(incoming);
	if (IS_ERR(pci))
		return PTR_ERR(pci);
	iommu_liveupdate_show(&v, pci);
	show_pci(&v, pci);
	if (incoming)
		liveupdate_show_refused(&v);
	else
		liveupdate_show_refusals(&v);
	end_record(&v);
	return 0;
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
