// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_check.h>
#include <linux/pci_regs.h>

#define FLAGS (PCI_DEV_SER_BRIDGE | PCI_DEV_SER_ARI | PCI_DEV_SER_ACS)

/**
 * pci_ser_lower_bound() - Find a place in the list of devices
 * @ser: The list, in ascending order.
 * @key: pci_ser_key() of a device.
 *
 * Return: index of the first entry that is not before @key.
 */
u32 pci_ser_lower_bound(const struct pci_ser *ser, u64 key)
{
	u32 first = 0, end = ser->nr_devices;

	while (first < end) {
		u32 mid = first + (end - first) / 2;

		if (pci_ser_key(ser->devices[mid].segment,
				ser->devices[mid].bdf) < key)
			first = mid + 1;
		else
			end = mid;
	}
	return first;
}

static const char *check_entry(const struct pci_dev_ser *entry)
{
	bool bridge = entry->flags & PCI_DEV_SER_BRIDGE;

	if (entry->reserved || entry->flags & ~FLAGS)
		return "unknown flags or reserved field of a device";
	if (entry->segment > 0xffff)
		return "segment of a device is out of range";
	if (entry->hdr_type != (bridge ? PCI_HEADER_TYPE_BRIDGE :
					 PCI_HEADER_TYPE_NORMAL))
		return "header type of a device";
	if (!(entry->flags & PCI_DEV_SER_ACS) && entry->acs_ctrl)
		return "ACS control of a device without ACS";
	if (!bridge) {
		if (entry->users != 1)
			return "count of a device";
		if (entry->primary || entry->secondary || entry->subordinate ||
		    entry->flags & PCI_DEV_SER_ARI)
			return "bridge settings of a device that is none";
		return NULL;
	}
	if (entry->primary != entry->bdf >> 8 ||
	    entry->secondary <= entry->primary ||
	    entry->subordinate < entry->secondary)
		return "bus numbers of a bridge";
	return NULL;
}

/* The list is in order, so what is below a bridge is found by bus numbers. */
static const char *check_bridge(const struct pci_ser *ser,
				const struct pci_dev_ser *entry)
{
	u32 i, first, end, users = 0;

	first = pci_ser_lower_bound(ser, pci_ser_key(entry->segment,
						     entry->secondary << 8));
	end = pci_ser_lower_bound(ser, pci_ser_key(entry->segment, 0) +
				       ((entry->subordinate + 1) << 8));
	for (i = first; i < end; i++)
		users += !(ser->devices[i].flags & PCI_DEV_SER_BRIDGE);
	return users && entry->users == users ? NULL : "count of a bridge";
}

/**
 * pci_ser_check() - Check the list of preserved PCI devices
 * @mem: How to get at memory.
 * @pa: Physical address of the list.
 * @max: Most devices that it may have.
 * @serp: On success, the list.
 *
 * Return: NULL, or the rule that the list breaks.
 */
const char *pci_ser_check(struct liveupdate_mem *mem, u64 pa, u32 max,
			  const struct pci_ser **serp)
{
	const struct pci_ser *ser;
	const char *why;
	u64 key, last = 0;
	size_t size;
	u32 i;

	ser = liveupdate_check_sized(mem, pa, &size);
	if (!ser)
		return "memory of the list was not preserved";
	if (ser->version != PCI_SER_VERSION)
		return "version of the list is not known";
	if (ser->reserved)
		return "reserved field of the list is not zero";
	if (ser->nr_devices > max ||
	    ser->nr_devices > (size - sizeof(*ser)) / sizeof(ser->devices[0]))
		return "list is longer than its memory";

	for (i = 0; i < ser->nr_devices; i++) {
		key = pci_ser_key(ser->devices[i].segment, ser->devices[i].bdf);
		if (i && key <= last)
			return "devices are out of order or twice in the list";
		last = key;
		why = check_entry(&ser->devices[i]);
		if (why)
			return why;
	}
	for (i = 0; i < ser->nr_devices; i++) {
		if (!(ser->devices[i].flags & PCI_DEV_SER_BRIDGE))
			continue;
		why = check_bridge(ser, &ser->devices[i]);
		if (why)
			return why;
	}
	*serp = ser;
	return NULL;
}
