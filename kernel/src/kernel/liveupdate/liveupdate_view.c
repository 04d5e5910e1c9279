// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What a view of a live update says
 *
 * Who says what
 * ~~~~~~~~~~~~~
 *
 * The Live Update Orchestrator knows sessions and files; the handler of a file
 * may add to the line of its file, and lines for what is in it
 * (&struct liveupdate_file_ops.show). The IOMMU core knows domains, IOMMU units
 * and devices, the PCI core devices and bridges.
 *
 * Locks
 * ~~~~~
 *
 * One look takes the locks of one part after those of another, and is not one
 * moment: a file can be retrieved between two lines. It does not wait for a
 * session that somebody is busy with, as preserve can be for long, but says so.
 */

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/slab.h>

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
