// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/vfio_pci.h>
#include <linux/liveupdate_check.h>

/**
 * vfio_pci_ser_check() - Check the handover of a VFIO cdev
 * @mem: How to get at memory.
 * @pa: Physical address of the handover.
 * @version: %VFIO_PCI_SER_VERSION, or %VFIO_PCI_SER_VERSION_1: which one it came as.
 * @serp: On success, the handover.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *vfio_pci_ser_check(struct liveupdate_mem *mem, u64 pa, u32 version,
			       const struct vfio_pci_ser **serp)
{
	const struct vfio_pci_ser *ser = mem->get(mem, pa, 0);

	if (!ser)
		return "it was not preserved";
	if (ser->version != version)
		return "unknown version";
	if (ser->reserved[0] || ser->reserved[1] || ser->reserved[2])
		return "reserved field is not zero";
	if (ser->segment > 0xffff)
		return "segment is out of range";
	*serp = ser;
	return NULL;
}
