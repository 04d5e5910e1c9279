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
 * What was refused
 * ~~~~~~~~~~~~~~~~
 *
 * Who refuses an object notes it here, because what knew the object is often
 * gone when somebody asks. The first reason counts: what follows from it (the
 * PCI core refuses what the IOMMU code has refused) is not another one. A note
 * stays until the next kernel.
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
#include <linux/list.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
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

/* --- what was refused --- */

enum refused_reset {
	RESET_NONE,	/* not a device that is reset */
	RESET_PENDING,
	RESET_DONE,
	RESET_FAILED,
};

/**
 * struct refused - A note that something was refused
 * @list:    In refused_list, in the order of time.
 * @type:    Type of the record.
 * @by:      Which part of the kernel refused it.
 * @why:     The rule that it broke.
 * @pci:     @segment and @bdf are set.
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 * @reset:   What became of its reset.
 * @err:     Why its reset failed.
 * @id:      "key=value" that names it, like in the records of its type.
 */
struct refused {
	struct list_head list;
	const char *type;
	const char *by;
	const char *why;
	bool pci;
	u32 segment;
	u16 bdf;
	enum refused_reset reset;
	int err;
	char id[48];
};

/* Taken last; nothing but an allocation and config reads happen under it. */
static DEFINE_MUTEX(refused_lock);
static LIST_HEAD(refused_list);

static struct refused *find_refused(const char *id)
{
	struct refused *r;

	list_for_each_entry(r, &refused_list, list)
		if (!strcmp(r->id, id))
			return r;
	return NULL;
}

static struct refused *find_refused_pci(u32 segment, u16 bdf)
{
	struct refused *r;

	list_for_each_entry(r, &refused_list, list)
		if (r->pci && r->segment == segment && r->bdf == bdf)
			return r;
	return NULL;
}

static struct refused *add_refused(const char *type, const char *by,
				   const char *why)
{
	struct refused *r = kzalloc_obj(*r);

	/* The log has it. */
	if (!r)
		return NULL;
	r->type = type;
	r->by = by;
	r->why = why;
	list_add_tail(&r->list, &refused_list);
	return r;
}

/**
 * liveupdate_refused() - Note that something that came was refused
 * @type: Type of its record: "list", "iommu", "domain"; a constant string.
 * @by:   Which part of the kernel says so; a constant string.
 * @why:  The rule that it breaks; a constant string.
 * @id:   Format of the "key=value" that names it, which must not have spaces.
 *
 * Does nothing if it is noted already.
 *
 * Context: May sleep. Under any lock of Live Update, IOMMU or PCI.
 */
void liveupdate_refused(const char *type, const char *by, const char *why,
			const char *id, ...)
{
	char name[sizeof_field(struct refused, id)];
	struct refused *r;
	va_list args;

	va_start(args, id);
	vsnprintf(name, sizeof(name), id, args);
	va_end(args);

	guard(mutex)(&refused_lock);
	if (find_refused(name))
		return;
	r = add_refused(type, by, why);
	if (r)
		strscpy(r->id, name);
}
EXPORT_SYMBOL_GPL(liveupdate_refused);

/**
 * liveupdate_refused_pci() - Note that a PCI device that came was refused
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 * @type:    "device" or "bridge".
 * @by:      Which part of the kernel says so; a constant string.
 * @why:     The rule that it breaks; a constant string.
 *
 * Does nothing if it is noted already.
 *
 * Context: As liveupdate_refused().
 */
void liveupdate_refused_pci(u32 segment, u16 bdf, const char *type,
			    const char *by, const char *why)
{
	struct refused *r;

	guard(mutex)(&refused_lock);
	if (find_refused_pci(segment, bdf))
		return;
	r = add_refused(type, by, why);
	if (!r)
		return;
	r->pci = true;
	r->segment = segment;
	r->bdf = bdf;
	snprintf(r->id, sizeof(r->id), "bdf=%04x:%02x:%02x.%d", segment,
		 PCI_BUS_NUM(bdf), PCI_SLOT(bdf), PCI_FUNC(bdf));
}

/**
 * liveupdate_refused_reset() - Note what became of a refused device's reset
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 * @done:    It was tried; else it is to come.
 * @err:     0, or why it failed.
 */
void liveupdate_refused_reset(u32 segment, u16 bdf, bool done, int err)
{
	struct refused *r;

	guard(mutex)(&refused_lock);
	r = find_refused_pci(segment, bdf);
	if (!r)
		return;
	r->reset = !done ? RESET_PENDING : err ? RESET_FAILED : RESET_DONE;
	r->err = err;
}

/**
 * liveupdate_was_refused() - Is it noted that this was refused?
 * @id: Format of the "key=value" that names it.
 *
 * Return: true if it is.
 */
bool liveupdate_was_refused(const char *id, ...)
{
	char name[sizeof_field(struct refused, id)];
	va_list args;

	va_start(args, id);
	vsnprintf(name, sizeof(name), id, args);
	va_end(args);

	guard(mutex)(&refused_lock);
	return find_refused(name);
}

/**
 * liveupdate_was_refused_pci() - Is it noted that this device was refused?
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 *
 * Return: true if it is.
 */
bool liveupdate_was_refused_pci(u32 segment, u16 bdf)
{
	guard(mutex)(&refused_lock);
	return find_refused_pci(segment, bdf);
}

static const char *bus_master(const struct refused *r)
{
	struct pci_dev *pdev;
	u16 cmd = 0;

	pdev = pci_get_domain_bus_and_slot(r->segment, PCI_BUS_NUM(r->bdf),
					   r->bdf & 0xff);
	if (!pdev)
		return NULL;
	pci_read_config_word(pdev, PCI_COMMAND, &cmd);
	pci_dev_put(pdev);
	if (PCI_POSSIBLE_ERROR(cmd))
		return NULL;
	return cmd & PCI_COMMAND_MASTER ? "on" : "off";
}

static void show_refused(struct liveupdate_view *v)
{
	static const char * const resets[] = {
		[RESET_PENDING] = "pending",
		[RESET_DONE] = "done",
		[RESET_FAILED] = "failed",
	};
	struct refused *r;

	guard(mutex)(&refused_lock);
	list_for_each_entry(r, &refused_list, list) {
		const char *master = r->pci ? bus_master(r) : NULL;

		liveupdate_show_record(v, r->type);
		seq_printf(v->m, " %s", r->id);
		liveupdate_show_word(v, "state", "refused");
		liveupdate_show_word(v, "by", r->by);
		liveupdate_show_text(v, "why", r->why);
		if (master)
			liveupdate_show_word(v, "bus-master", master);
		if (r->reset)
			liveupdate_show_word(v, "reset", resets[r->reset]);
		if (r->err)
			liveupdate_show_num(v, "errno", -r->err);
		if (r->reset == RESET_PENDING)
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_RESET);
	}
}

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
		show_refused(&v);
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
