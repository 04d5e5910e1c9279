/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __PCI_LIVEUPDATE_SHOW_H
#define __PCI_LIVEUPDATE_SHOW_H

/*
 * A part of liveupdate.c, and included there: what the view says of PCI devices.
 * See kernel/liveupdate/liveupdate_view.c.
 */

static void pci_liveupdate_look(const struct pci_dev_ser *entry, bool incoming,
				struct liveupdate_pci_state *state)
{
	struct pci_dev *dev;
	u16 cmd = 0;

	*state = (struct liveupdate_pci_state){
		.segment = entry->segment,
		.bdf = entry->bdf,
		.bridge = entry->flags & PCI_DEV_SER_BRIDGE,
		.pending = incoming && !(entry->flags & PCI_DEV_SER_TAKEN),
		.users = entry->users,
		.secondary = entry->secondary,
		.subordinate = entry->subordinate,
	};
	dev = pci_get_domain_bus_and_slot(entry->segment,
					  PCI_BUS_NUM(entry->bdf),
					  entry->bdf & 0xff);
	if (!dev)
		return;
	state->present = incoming ? pci_liveupdate_incoming(dev) :
				    pci_liveupdate_outgoing(dev);
	state->frozen = test_bit(PCI_LIVEUPDATE_FROZEN, &dev->liveupdate);
	if (state->present)
		pci_read_config_word(dev, PCI_COMMAND, &cmd);
	state->master = cmd & PCI_COMMAND_MASTER;
	pci_dev_put(dev);
}

/**
 * pci_liveupdate_list() - Look at the list of one side
 * @incoming: The incoming one, else the outgoing one.
 *
 * Return: the list, to be freed with kvfree(); NULL if there is none; or
 * ERR_PTR(-ENOMEM).
 */
struct liveupdate_pci_list *pci_liveupdate_list(bool incoming)
{
	struct liveupdate_pci_list *list;
	struct pci_ser *ser;
	u32 i;

	guard(mutex)(&pci_liveupdate.lock);
	ser = incoming ? pci_liveupdate.in : pci_liveupdate.out;
	if (!ser)
		return NULL;
	list = kvzalloc_flex(*list, dev, ser->nr_devices);
	if (!list)
		return ERR_PTR(-ENOMEM);
	list->nr = ser->nr_devices;
	for (i = 0; i < list->nr; i++)
		pci_liveupdate_look(&ser->devices[i], incoming, &list->dev[i]);
	return list;
}

#endif /* __PCI_LIVEUPDATE_SHOW_H */
