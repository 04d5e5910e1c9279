// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_check.h>
#include <linux/pci_regs.h>

#define KINDS	(PCI_DEV_SER_BRIDGE | PCI_DEV_SER_VF | PCI_DEV_SER_PF | \
		 PCI_DEV_SER_FOR_VFS)
/* Kinds of a device, and what else is said of it */
#define FLAGS	(KINDS | PCI_DEV_SER_ARI | PCI_DEV_SER_ACS)
#define FLAGS_V1 (PCI_DEV_SER_BRIDGE | PCI_DEV_SER_ARI | PCI_DEV_SER_ACS)

/* PCI Express Base Specification, "VF BARn Registers": at least a page each */
#define BAR_SIZE_LG2_MIN	12
#define BAR_SIZE_LG2_MAX	62
#define BAR_SIZE_LG2_MAX_32	31

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

/* A device is of one kind. */
static bool is_kind(u32 kind)
{
	switch (kind) {
	case 0:
	case PCI_DEV_SER_BRIDGE:
	case PCI_DEV_SER_VF:
	case PCI_DEV_SER_PF:
	case PCI_DEV_SER_PF | PCI_DEV_SER_FOR_VFS:
		return true;
	}
	return false;
}

static const char *check_entry(const struct pci_dev_ser *entry, u32 version)
{
	u32 flags = version == PCI_SER_VERSION_1 ? FLAGS_V1 : FLAGS;
	bool bridge = entry->flags & PCI_DEV_SER_BRIDGE;

	if (entry->reserved || entry->flags & ~flags ||
	    (entry->pf && !(entry->flags & PCI_DEV_SER_VF)))
		return "unknown flags or reserved field of a device";
	if (!is_kind(entry->flags & KINDS))
		return "a device is of two kinds";
	if (version == PCI_SER_VERSION_2 &&
	    (entry->flags & KINDS) == PCI_DEV_SER_PF)
		return "a PF goes on in a version of the list that has none";
	if (entry->segment > 0xffff)
		return "segment of a device is out of range";
	if (entry->hdr_type != (bridge ? PCI_HEADER_TYPE_BRIDGE :
					 PCI_HEADER_TYPE_NORMAL))
		return "header type of a device";
	if (!(entry->flags & PCI_DEV_SER_ACS) && entry->acs_ctrl)
		return "ACS control of a device without ACS";
	if (!bridge) {
		/* Of bridges and PFs they are counted, see below. */
		if (entry->users != 1 && !(entry->flags & PCI_DEV_SER_PF))
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

/*
 * How many VFs there are: where NumVFs may be larger than InitialVFs, the rest has not
 * been migrated in.
 */
static u32 nr_vfs(const struct pci_sriov_ser *sriov)
{
	return sriov->num_vfs < sriov->initial_vfs ? sriov->num_vfs :
						     sriov->initial_vfs;
}

/* Bus, device and function of the VF with this index; it may be beyond the last bus. */
static u32 vf_bdf(const struct pci_sriov_ser *sriov, u32 index)
{
	return sriov->bdf + sriov->offset + index * sriov->stride;
}

static bool has_vf(const struct pci_sriov_ser *sriov, u16 bdf)
{
	u32 distance = bdf - vf_bdf(sriov, 0);
	/* If it is 0, there is one VF. */
	u32 stride = sriov->stride ?: 1;

	return bdf >= vf_bdf(sriov, 0) && !(distance % stride) &&
	       distance / stride < nr_vfs(sriov);
}

static const char *check_bars(const struct pci_sriov_ser *sriov)
{
	unsigned int i, lg2;
	u64 bar, last;
	bool wide;

	for (i = 0; i < PCI_SRIOV_SER_BARS; i += 1 + wide) {
		lg2 = sriov->bar_size_lg2[i];
		bar = sriov->bar[i];
		wide = (bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
		       PCI_BASE_ADDRESS_MEM_TYPE_64;
		last = wide ? ~0ull : ~0u;
		if (!lg2) {
			/* The type of what is no BAR says nothing. */
			if (bar & PCI_BASE_ADDRESS_MEM_MASK)
				return "a VF BAR without a size";
			wide = false;
			continue;
		}
		if (lg2 < BAR_SIZE_LG2_MIN ||
		    lg2 > (wide ? BAR_SIZE_LG2_MAX : BAR_SIZE_LG2_MAX_32))
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
		/* The part of the last VF */
		if (sriov->num_vfs - 1u > (last - bar) >> lg2)
			return "a VF BAR is longer than the address space";
	}
	return NULL;
}

static const char *check_sriov(const struct pci_ser *ser,
			       const struct pci_sriov_ser *sriov)
{
	const struct pci_dev_ser *pf = find_device(ser, sriov->segment, sriov->bdf);

	if (sriov->reserved || (sriov->flags && ser->version < PCI_SER_VERSION))
		return "reserved field of a PF";
	if (sriov->flags & ~PCI_SRIOV_SER_NO_AUTOPROBE)
		return "unknown flags of a PF";
	if (!pf || !(pf->flags & PCI_DEV_SER_PF))
		return "SR-IOV of a device that is no PF";
	if (!(sriov->ctrl & PCI_SRIOV_CTRL_VFE) ||
	    !(sriov->ctrl & PCI_SRIOV_CTRL_MSE))
		return "SR-IOV of a PF is off";
	if (!nr_vfs(sriov) || !sriov->offset ||
	    (sriov->num_vfs > 1 && !sriov->stride))
		return "number, offset or stride of VFs";
	if (vf_bdf(sriov, sriov->num_vfs - 1u) > 0xffff)
		return "a VF is beyond the last bus";
	return check_bars(sriov);
}

/* Does something before it have the same memory? Each is given back once. */
static bool is_taken(const struct pci_ser *ser, u64 pa,
		     const struct pci_sriov_list_ser *list,
		     const struct pci_sriov_ser *sriov)
{
	const struct pci_sriov_ser *it;

	for (it = list->pfs; it < sriov; it++)
		if (it->driver_pa == sriov->driver_pa)
			return true;
	return sriov->driver_pa == pa || sriov->driver_pa == ser->sriov_pa;
}

static const char *check_driver(struct liveupdate_mem *mem,
				const struct pci_ser *ser,
				const struct pci_sriov_ser *sriov)
{
	const struct pci_dev_ser *pf = find_device(ser, sriov->segment, sriov->bdf);
	const struct pci_pf_driver_ser *driver;
	size_t size;
	unsigned int i;

	if (ser->version < PCI_SER_VERSION_4)
		return "a PF's driver in a version of the list that has none";
	if (!(pf->flags & PCI_DEV_SER_FOR_VFS))
		return "a driver of a PF that user space drives";
	driver = liveupdate_check_sized(mem, sriov->driver_pa, &size);
	if (!driver || size < sizeof(*driver))
		return "memory of a PF's driver was not preserved";
	for (i = 0; i < sizeof(driver->compatible) && driver->compatible[i]; i++)
		;
	if (!i || i == sizeof(driver->compatible))
		return "format of a PF's driver has no name";
	for (; i < sizeof(driver->compatible); i++)
		if (driver->compatible[i])
			return "something behind the name of a PF's driver's format";
	if (driver->reserved)
		return "reserved field of a PF's driver";
	if (!driver->size || driver->size > PCI_PF_DRIVER_MAX_SIZE ||
	    driver->size > size - sizeof(*driver))
		return "what a PF's driver hands over is empty or too long";
	return NULL;
}

static const char *check_vf(const struct pci_sriov_list_ser *list,
			    const struct pci_dev_ser *entry)
{
	const struct pci_sriov_ser *sriov;

	sriov = pci_ser_find_sriov(list, entry->segment, entry->pf);
	if (!sriov)
		return "a VF without its PF";
	if (entry->device != sriov->vf_device)
		return "device ID of a VF";
	return has_vf(sriov, entry->bdf) ? NULL :
					   "a VF that its PF does not have";
}

/* All its VFs are good; in the list they are between its first place and its last one. */
static const char *check_pf(const struct pci_ser *ser,
			    const struct pci_sriov_list_ser *list,
			    const struct pci_dev_ser *entry)
{
	const struct pci_sriov_ser *sriov;
	u32 i, first, end, vfs = 0;

	sriov = pci_ser_find_sriov(list, entry->segment, entry->bdf);
	if (!sriov)
		return "SR-IOV of a PF is not known";
	first = pci_ser_lower_bound(ser, pci_ser_key(entry->segment,
						     vf_bdf(sriov, 0)));
	end = pci_ser_lower_bound(ser, 1 + pci_ser_key(entry->segment,
						       vf_bdf(sriov, sriov->num_vfs - 1u)));
	for (i = first; i < end; i++)
		vfs += ser->devices[i].flags & PCI_DEV_SER_VF &&
		       ser->devices[i].pf == entry->bdf;
	vfs += is_endpoint(entry);
	return vfs && entry->users == vfs ? NULL : "count of a PF";
}

/* What only all of them together say */
static const char *check_counts(const struct pci_ser *ser,
				const struct pci_sriov_list_ser *list)
{
	const struct pci_dev_ser *entry;
	const char *why = NULL;
	u32 i;

	for (i = 0; i < ser->nr_devices && !why; i++) {
		entry = &ser->devices[i];
		if (entry->flags & PCI_DEV_SER_VF)
			why = check_vf(list, entry);
	}
	for (i = 0; i < ser->nr_devices && !why; i++) {
		entry = &ser->devices[i];
		if (entry->flags & PCI_DEV_SER_BRIDGE)
			why = check_bridge(ser, entry);
		else if (entry->flags & PCI_DEV_SER_PF)
			why = check_pf(ser, list, entry);
	}
	return why;
}

static const char *check_sriov_list(struct liveupdate_mem *mem, u64 pa,
				    const struct pci_ser *ser,
				    const struct pci_sriov_list_ser **listp)
{
	const struct pci_sriov_list_ser *list;
	const struct pci_sriov_ser *pf;
	const char *why;
	u64 key, last = 0;
	size_t size;
	u32 i;

	list = liveupdate_check_sized(mem, ser->sriov_pa, &size);
	if (!list)
		return "memory of the list of PFs was not preserved";
	if (list->reserved)
		return "reserved field of the list of PFs is not zero";
	if (!list->nr_pfs ||
	    list->nr_pfs > (size - sizeof(*list)) / sizeof(list->pfs[0]))
		return "list of PFs is empty or longer than its memory";
	for (i = 0; i < list->nr_pfs; i++) {
		pf = &list->pfs[i];
		key = pci_ser_key(pf->segment, pf->bdf);
		if (pf->segment > 0xffff || (i && key <= last))
			return "PFs are out of order or twice in the list";
		last = key;
		why = check_sriov(ser, pf);
		if (!why && pf->driver_pa)
			why = is_taken(ser, pa, list, pf) ?
			      "memory of a PF's driver is something else's" :
			      check_driver(mem, ser, pf);
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
 * @sriovp: On success, the PFs that keep their VFs; NULL if there are none.
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
	if (!ser->version || ser->version > PCI_SER_VERSION)
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
		why = check_entry(entry, ser->version);
		if (why)
			return why;
	}
	if (ser->sriov_pa) {
		why = check_sriov_list(mem, pa, ser, &list);
		if (why)
			return why;
	}
	why = check_counts(ser, list);
	if (why)
		return why;
	*serp = ser;
	*sriovp = list;
	return NULL;
}
