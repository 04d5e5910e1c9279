// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What was refused
 *
 * Code that refuses an object notes it here, because the object is often gone
 * when somebody asks. The first reason counts: if the PCI core refuses a device
 * because the IOMMU code has refused it, that is not another reason. A note
 * stays until the next kernel.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/liveupdate_show.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/string.h>

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

/* @type: NULL for any. */
static struct refused *find_refused(const char *type, const char *id)
{
	struct refused *r;

	list_for_each_entry(r, &refused_list, list)
		if (!strcmp(r->id, id) && (!type || !strcmp(r->type, type)))
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
	if (find_refused(type, name))
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
	return find_refused(NULL, name);
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

/**
 * liveupdate_show_refused() - Show what came and was refused
 * @v: The view of the incoming side.
 */
void liveupdate_show_refused(struct liveupdate_view *v)
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
		/* An IOMMU unit that was not found has its address as its name. */
		if (v->physical || !strstarts(r->id, "registers="))
			seq_buf_printf(v->text, " %s", r->id);
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
