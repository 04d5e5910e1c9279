// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_check.h>
#include <linux/pci_regs.h>

#define FLAGS_V1 (PCI_DEV_SER_BRIDGE | PCI_DEV_SER_ARI | PCI_DEV_SER_ACS)
#define FLAGS (FLAGS_V1 | PCI_DEV_SER_VF | PCI_DEV_SER_PF | PCI_DEV_SER_FOR_VFS)

/* PCI Express Base Specification, "VF BARn Registers": at least a page each */
#define BAR_SIZE_LG2_MIN	12
#define BAR_SIZE_LG2_MAX	62

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

static bool is_endpoint(const struct pci_dev_ser *entry)
{
	return !(entry->flags & (PCI_DEV_SER_BRIDGE | PCI_DEV_SER_FOR_VFS));
}

static const char *check_functions(const struct pci_dev_ser *entry)
{
	bool vf = entry->flags & PCI_DEV_SER_VF;
	bool pf = entry->flags & PCI_DEV_SER_PF;

	if (vf + pf + !!(entry->flags & PCI_DEV_SER_BRIDGE) > 1)
		return "a device is more than one of a bridge, a PF and a VF";
	if (entry->flags & PCI_DEV_SER_FOR_VFS && !pf)
		return "a device is there for its VFs and is no PF";
	if (!vf && entry->pf)
		return "PF of a device that is no VF";
	return NULL;
}

static const char *check_entry(const struct pci_dev_ser *entry, u32 flags)
{
	bool bridge = entry->flags & PCI_DEV_SER_BRIDGE;

	if (entry->reserved || entry->flags & ~flags ||
	    (flags == FLAGS_V1 && entry->pf))
		return "unknown flags or reserved field of a device";
	if (entry->segment > 0xffff)
		return "segment of a device is out of range";
	if (entry->hdr_type != (bridge ? PCI_HEADER_TYPE_BRIDGE :
					 PCI_HEADER_TYPE_NORMAL))
		return "header type of a device";
	if (!(entry->flags & PCI_DEV_SER_ACS) && entry->acs_ctrl)
		return "ACS control of a device without ACS";
	if (!bridge) {
		if (entry->users != 1 && !(entry->flags & PCI_DEV_SER_PF))
			return "count of a device";
		if (entry->primary || entry->secondary || entry->subordinate ||
		    entry->flags & PCI_DEV_SER_ARI)
			return "bridge settings of a device that is none";
		return check_functions(entry);
	}
	if (entry->primary != entry->bdf >> 8 ||
	    entry->secondary <= entry->primary ||
	    entry->subordinate < entry->secondary)
		return "bus numbers of a bridge";
	return check_functions(entry);
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
		users += is_endpoint(&ser->devices[i]);
	return users && entry->users == users ? NULL : "count of a bridge";
}

static const struct pci_dev_ser *find_device(const struct pci_ser *ser,
					     u32 segment, u16 bdf)
{
	u64 key = pci_ser_key(segment, bdf);
	u32 i = pci_ser_lower_bound(ser, key);
	const struct pci_dev_ser *entry = &ser->devices[i];

	return i < ser->nr_devices &&
	       pci_ser_key(entry->segment, entry->bdf) == key ? entry : NULL;
}

/**
 * pci_ser_find_sriov() - Find a PF among those of which VFs are preserved
 * @list: The PFs, in ascending order; NULL if there are none.
 * @segment: Segment of the PF.
 * @bdf: Its bus, device and function.
 *
 * Return: what is said of its SR-IOV capability, or NULL if it is not there.
 */
const struct pci_sriov_ser *
pci_ser_find_sriov(const struct pci_sriov_list_ser *list, u32 segment, u16 bdf)
{
	u32 first = 0, end = list ? list->nr_pfs : 0, mid;
	u64 key = pci_ser_key(segment, bdf), its;

	while (first < end) {
		mid = first + (end - first) / 2;
		its = pci_ser_key(list->pfs[mid].segment, list->pfs[mid].bdf);
		if (its == key)
			return &list->pfs[mid];
		if (its < key)
			first = mid + 1;
		else
			end = mid;
	}
	return NULL;
}

static const char *check_bars(const struct pci_sriov_ser *sriov)
{
	unsigned int i, lg2;
	u64 bar;
	bool wide;

	for (i = 0; i < PCI_SRIOV_SER_BARS; i += 1 + wide) {
		lg2 = sriov->bar_size_lg2[i];
		bar = sriov->bar[i];
		wide = (bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
		       PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (!lg2) {
			if (bar)
				return "a VF BAR without a size";
			continue;
		}
		if (lg2 < BAR_SIZE_LG2_MIN || lg2 > BAR_SIZE_LG2_MAX ||
		    (!wide && lg2 > 31))
			return "size of a VF BAR";
		if (bar & PCI_BASE_ADDRESS_SPACE_IO)
			return "type of a VF BAR";
		if (wide) {
			if (i + 1 == PCI_SRIOV_SER_BARS || sriov->bar_size_lg2[i + 1])
				return "upper half of a VF BAR";
			bar |= (u64)sriov->bar[i + 1] << 32;
		}
		bar &= PCI_BASE_ADDRESS_MEM_MASK;
		if (!bar || bar & ((1ull << lg2) - 1))
			return "address of a VF BAR";
		/* The last byte of the last VF */
		if (sriov->num_vfs > (~0ull - bar) >> lg2)
			return "a VF BAR is longer than the address space";
	}
	return NULL;
}

static const char *check_sriov(const struct pci_ser *ser,
			       const struct pci_sriov_ser *sriov)
{
	const struct pci_dev_ser *pf = find_device(ser, sriov->segment, sriov->bdf);
	u32 last;

	if (sriov->reserved || sriov->reserved2 || sriov->reserved3)
		return "reserved field of a PF";
	if (!pf || !(pf->flags & PCI_DEV_SER_PF))
		return "SR-IOV of a device that is no PF";
	if (!(sriov->ctrl & PCI_SRIOV_CTRL_VFE) ||
	    !(sriov->ctrl & PCI_SRIOV_CTRL_MSE))
		return "SR-IOV of a PF is off";
	if (!sriov->num_vfs || !sriov->offset ||
	    (sriov->num_vfs > 1 && !sriov->stride))
		return "number, offset or stride of VFs";
	last = sriov->bdf + sriov->offset + (sriov->num_vfs - 1u) * sriov->stride;
	if (last > 0xffff)
		return "a VF is beyond the last bus";
	return check_bars(sriov);
}

/* Is it one of the functions that the PF's registers make? */
static const char *check_vf(const struct pci_sriov_list_ser *list,
			    const struct pci_dev_ser *entry)
{
	const struct pci_sriov_ser *sriov;
	u32 at;

	sriov = pci_ser_find_sriov(list, entry->segment, entry->pf);
	if (!sriov)
		return "a VF without its PF";
	if (entry->device != sriov->vf_device)
		return "device ID of a VF";
	at = entry->bdf - entry->pf - sriov->offset;
	if (entry->bdf < entry->pf + sriov->offset ||
	    (sriov->stride ? at % sriov->stride || at / sriov->stride >= sriov->num_vfs : at))
		return "a VF that its PF does not have";
	return NULL;
}

/* All VFs of a PF are between its first one and its last one. */
static const char *check_pf(const struct pci_ser *ser,
			    const struct pci_sriov_list_ser *list,
			    const struct pci_dev_ser *entry)
{
	u32 users = !(entry->flags & PCI_DEV_SER_FOR_VFS), vfs = 0, i, first, end;
	const struct pci_sriov_ser *sriov;

	sriov = pci_ser_find_sriov(list, entry->segment, entry->bdf);
	if (!sriov)
		return "a PF whose SR-IOV is not known";
	first = pci_ser_lower_bound(ser, pci_ser_key(entry->segment, entry->bdf) +
					 sriov->offset);
	end = pci_ser_lower_bound(ser, pci_ser_key(entry->segment, entry->bdf) +
				       sriov->offset + 1 +
				       (sriov->num_vfs - 1u) * sriov->stride);
	for (i = first; i < end; i++)
		vfs += ser->devices[i].flags & PCI_DEV_SER_VF &&
		       ser->devices[i].pf == entry->bdf;
	return vfs && entry->users == users + vfs ? NULL : "count of a PF";
}

static const char *check_sriov_list(struct liveupdate_mem *mem, u64 pa,
				    const struct pci_ser *ser,
				    const struct pci_sriov_list_ser **listp)
{
	const struct pci_sriov_list_ser *list;
	const char *why;
	u64 key, last = 0;
	size_t size;
	u32 i;

	list = liveupdate_check_sized(mem, pa, &size);
	if (!list)
		return "memory of the list of PFs was not preserved";
	if (list->reserved)
		return "reserved field of the list of PFs is not zero";
	if (!list->nr_pfs ||
	    list->nr_pfs > (size - sizeof(*list)) / sizeof(list->pfs[0]))
		return "list of PFs is empty or longer than its memory";
	for (i = 0; i < list->nr_pfs; i++) {
		key = pci_ser_key(list->pfs[i].segment, list->pfs[i].bdf);
		if (list->pfs[i].segment > 0xffff || (i && key <= last))
			return "PFs are out of order or twice in the list";
		last = key;
		why = check_sriov(ser, &list->pfs[i]);
		if (why)
			return why;
	}
	*listp = list;
	return NULL;
}

/**
 * pci_ser_check() - Check the list of preserved PCI devices
 * @mem: How to get at memory.
 * @pa: Physical address of the list.
 * @max: Most devices that it may have.
 * @serp: On success, the list.
 * @sriovp: On success, the PFs of which VFs are in the list; NULL if there are none.
 *
 * Return: NULL, or the rule that the list breaks.
 */
const char *pci_ser_check(struct liveupdate_mem *mem, u64 pa, u32 max,
			  const struct pci_ser **serp,
			  const struct pci_sriov_list_ser **sriovp)
{
	const struct pci_sriov_list_ser *list = NULL;
	const struct pci_dev_ser *entry;
	const struct pci_ser *ser;
	const char *why;
	u64 key, last = 0;
	size_t size;
	u32 i;

	ser = liveupdate_check_sized(mem, pa, &size);
	if (!ser)
		return "memory of the list was not preserved";
	if (ser->version != PCI_SER_VERSION && ser->version != PCI_SER_VERSION_1)
		return "version of the list is not known";
	if (ser->version == PCI_SER_VERSION_1 && ser->sriov_pa)
		return "reserved field of the list is not zero";
	if (ser->nr_devices > max ||
	    ser->nr_devices > (size - sizeof(*ser)) / sizeof(ser->devices[0]))
		return "list is longer than its memory";

	for (i = 0; i < ser->nr_devices; i++) {
		entry = &ser->devices[i];
		key = pci_ser_key(entry->segment, entry->bdf);
		if (i && key <= last)
			return "devices are out of order or twice in the list";
		last = key;
		why = check_entry(entry, ser->version == PCI_SER_VERSION_1 ?
					 FLAGS_V1 : FLAGS);
		if (why)
			return why;
	}
	if (ser->sriov_pa) {
		why = check_sriov_list(mem, ser->sriov_pa, ser, &list);
		if (why)
			return why;
	}
	for (i = 0; i < ser->nr_devices; i++) {
		entry = &ser->devices[i];
		why = NULL;
		if (entry->flags & PCI_DEV_SER_BRIDGE)
			why = check_bridge(ser, entry);
		else if (entry->flags & PCI_DEV_SER_PF)
			why = check_pf(ser, list, entry);
		else if (entry->flags & PCI_DEV_SER_VF)
			why = check_vf(list, entry);
		if (why)
			return why;
	}
	*serp = ser;
	*sriovp = list;
	return NULL;
}
