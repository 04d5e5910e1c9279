/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __IOMMU_LIVEUPDATE_SHOW_H
#define __IOMMU_LIVEUPDATE_SHOW_H

/*
 * A part of liveupdate.c, and included there: what the view says of IOMMU
 * units, domains and devices. See kernel/liveupdate/liveupdate_view.c.
 */

static unsigned int domain_devices(bool in, u32 index)
{
	const struct iommu_handover *ho = in ? &incoming->ho : outgoing;
	unsigned int n = 0;
	u32 i;

	for (i = 0; i < MAX_DEVICES; i++)
		n += (in ? incoming->state[i] != DEV_NONE :
			   ho->devices[i].flags & IOMMU_SER_USED) &&
		     ho->devices[i].domain == index;
	return n;
}

/**
 * iommu_liveupdate_domain_devices() - How many devices use a domain?
 * @in:    The index is one of the incoming handover, else of the outgoing one.
 * @index: Of the domain.
 *
 * Return: number of devices that will be, or are, attached to it.
 */
unsigned int iommu_liveupdate_domain_devices(bool in, u32 index)
{
	guard(mutex)(&iommu_liveupdate_lock);
	if (in ? !incoming || incoming->bad : !outgoing)
		return 0;
	return domain_devices(in, index);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_domain_devices, "IOMMUFD_INTERNAL");

static void show_iommu(struct liveupdate_view *v,
		       const struct iommu_hw_ser *hw, u32 i)
{
	const struct iommu_liveupdate_ops *ops = find_driver(hw->type);

	liveupdate_show_record(v, "iommu");
	liveupdate_show_num(v, "index", i);
	liveupdate_show_pa(v, "registers", hw->id);
	if (ops && ops->show_iommu)
		ops->show_iommu(v, hw);
	if (!v->incoming) {
		liveupdate_show_word(v, "state", "preserved");
	} else if (test_bit(i, incoming->adopted)) {
		liveupdate_show_word(v, "state", "adopted");
	} else {
		liveupdate_show_word(v, "state", "pending");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_PROBE);
	}
}

static void show_domain_state(struct liveupdate_view *v, u32 i)
{
	const struct iommu_restored *r = incoming->restored[i];

	if (incoming->domain_state[i] == DOM_LISTED) {
		/* Without a device that was not refused, nobody will ask. */
		if (!domain_devices(true, i)) {
			liveupdate_show_word(v, "state", "unused");
			return;
		}
		liveupdate_show_word(v, "state", "pending");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_PROBE);
		return;
	}
	if (!r) {
		liveupdate_show_word(v, "state", "freed");
		return;
	}
	liveupdate_show_word(v, "state", "restored");
	liveupdate_show_refs(v, "refs", r->refs);
	/* Who it is says the HWPT with this domain. */
	liveupdate_show_word(v, "owned", r->owner ? "yes" : "no");
	if (!r->owner)
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RETRIEVE);
	if (r->devices)
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_REPLACE);
}

static void show_domain(struct liveupdate_view *v,
			const struct iommu_domain_ser *d, u32 i)
{
	const struct iommu_liveupdate_ops *ops = find_driver(d->type);

	liveupdate_show_record(v, "domain");
	liveupdate_show_num(v, "index", i);
	if (ops && ops->show_domain)
		ops->show_domain(v, d);
	liveupdate_show_pa(v, "top", d->top_pa);
	liveupdate_show_num(v, "levels", d->top_level + 1);
	liveupdate_show_num(v, "iova-bits", d->vasz_lg2);
	liveupdate_show_num(v, "devices", domain_devices(v->incoming, i));
	if (v->incoming)
		show_domain_state(v, i);
	else
		liveupdate_show_word(v, "state", "preserved");
}

static struct liveupdate_pci_state *find_pci(struct liveupdate_pci_list *pci,
					     const struct iommu_device_ser *d)
{
	u32 i;

	for (i = 0; pci && i < pci->nr; i++)
		if (pci->dev[i].segment == d->segment &&
		    pci->dev[i].bdf == d->bdf)
			return &pci->dev[i];
	return NULL;
}

static const char *show_device_state(struct liveupdate_view *v, u32 i,
				     const struct liveupdate_pci_state *pci)
{
	if (!v->incoming)
		return pci && pci->frozen ? "frozen" : "preserved";
	switch (incoming->state[i]) {
	case DEV_PENDING:
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_PROBE);
		fallthrough;
	case DEV_ATTACHED:
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_REPLACE);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
		return incoming->state[i] == DEV_PENDING ? "pending" :
							   "attached";
	default:
		if (!pci || !pci->present)
			return "finished";
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
		return "left";
	}
}

static void show_device(struct liveupdate_view *v,
			const struct iommu_handover *ho, u32 i,
			struct liveupdate_pci_state *pci)
{
	const struct iommu_device_ser *d = &ho->devices[i];
	const struct iommu_liveupdate_ops *ops = find_driver(d->type);

	liveupdate_show_record(v, "device");
	liveupdate_show_bdf(v, "bdf", d->segment, d->bdf);
	liveupdate_show_word(v, "state", show_device_state(v, i, pci));
	liveupdate_show_num(v, "domain", d->domain);
	liveupdate_show_num(v, "iommu-index", d->iommu);
	/* Of a device that was refused it can be anything. */
	if (d->iommu < MAX_IOMMUS)
		liveupdate_show_pa(v, "iommu", ho->iommus[d->iommu].id);
	if (ops && ops->show_device)
		ops->show_device(v, d);
	if (!pci)
		return;
	if (pci->present)
		liveupdate_show_word(v, "bus-master",
				     pci->master ? "on" : "off");
	pci->shown = true;
}

/**
 * iommu_liveupdate_show() - Show IOMMU units, domains and devices of one side
 * @v:   The view.
 * @pci: The devices that the PCI core has listed; those shown are marked.
 */
void iommu_liveupdate_show(struct liveupdate_view *v,
			   struct liveupdate_pci_list *pci)
{
	const struct iommu_handover *ho;
	u32 i;

	guard(mutex)(&iommu_liveupdate_lock);
	if (v->incoming ? !incoming || incoming->bad : !outgoing)
		return;
	ho = v->incoming ? &incoming->ho : outgoing;

	for (i = 0; i < MAX_IOMMUS; i++)
		if ((ho->iommus[i].flags & IOMMU_SER_USED) &&
		    !(v->incoming &&
		      liveupdate_was_refused("registers=%#llx",
					     ho->iommus[i].id)))
			show_iommu(v, &ho->iommus[i], i);
	for (i = 0; i < MAX_DOMAINS; i++)
		if (v->incoming ? incoming->domain_state[i] != DOM_NONE :
				  ho->domains[i].flags & IOMMU_SER_USED)
			show_domain(v, &ho->domains[i], i);
	for (i = 0; i < MAX_DEVICES; i++) {
		const struct iommu_device_ser *d = &ho->devices[i];

		/* What it says may be wrong if it was refused. */
		if ((d->flags & IOMMU_SER_USED) &&
		    !(v->incoming &&
		      liveupdate_was_refused_pci(d->segment, d->bdf)))
			show_device(v, ho, i, find_pci(pci, d));
	}
}

#endif /* __IOMMU_LIVEUPDATE_SHOW_H */
