// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: How a view of a live update is written
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
 * Who holds it
 * ~~~~~~~~~~~~
 *
 * For sessions and files the process is shown that created, preserved or
 * retrieved them, as it was at that moment, and whether it still runs. It may
 * have given the file to another process since. Who has it open now is known
 * to procfs only (a link of /proc/PID/fd says "[luo_session] NAME"); in debugfs,
 * "open" counts the references other than the session's own.
 */

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/liveupdate_show.h>
#include <linux/pci.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_buf.h>
#include <linux/string_helpers.h>

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

/**
 * liveupdate_show_end() - End the record that is open, if there is one
 * @v: The view.
 */
void liveupdate_show_end(struct liveupdate_view *v)
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
		seq_buf_printf(v->text, "%s%s", before, waits[i]);
		before = ",";
	}
	seq_buf_putc(v->text, '\n');
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
	liveupdate_show_end(v);
	seq_buf_puts(v->text, type);
	if (v->both)
		liveupdate_show_word(v, "kernel",
				     v->incoming ? "incoming" : "outgoing");
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
	seq_buf_printf(v->text, " %s=%s", key, word);
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
	size_t room;
	char *to;
	int len;

	seq_buf_printf(v->text, " %s=\"", key);
	room = seq_buf_get_buf(v->text, &to);
	len = string_escape_str(text, to, room,
				ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND,
				"\"\\");
	seq_buf_commit(v->text, len < room ? len : -1);
	seq_buf_putc(v->text, '"');
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
	seq_buf_printf(v->text, " %s=%llu", key, num);
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
	seq_buf_printf(v->text, " %s=0x%llx", key, num);
}
EXPORT_SYMBOL_GPL(liveupdate_show_hex);

/**
 * liveupdate_show_pa() - Add a physical address to a record
 * @v:   The view.
 * @key: Its key.
 * @pa:  The address; a reader who may not know it does not see the key.
 */
void liveupdate_show_pa(struct liveupdate_view *v, const char *key, u64 pa)
{
	if (v->physical)
		liveupdate_show_hex(v, key, pa);
}

/**
 * liveupdate_show_refs() - Add a number of references to a record
 * @v:   The view.
 * @key: Its key.
 * @num: The number; only debugfs shows it, since it changes all the time and
 *	 says more about the kernel than about the update.
 */
void liveupdate_show_refs(struct liveupdate_view *v, const char *key, u64 num)
{
	if (v->debug)
		liveupdate_show_num(v, key, num);
}

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
	seq_buf_printf(v->text, " %s=%04x:%02x:%02x.%d", key, segment,
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
