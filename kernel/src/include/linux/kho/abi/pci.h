/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_PCI_H
#define _LINUX_KHO_ABI_PCI_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: PCI Live Update ABI
 *
 * The list of the PCI devices that go on working while the kernel is replaced.
 * It is the data of the file-lifecycle-bound object
 * %PCI_LIVEUPDATE_FLB_COMPATIBLE of the Live Update Orchestrator: the handle of
 * that object is the physical address of a &struct pci_ser in one preserved
 * folio, of any order.
 *
 * The devices are in ascending order of (segment, bdf), each once. The bridges
 * above a preserved device are in the list, too.
 *
 * This interface is a contract. A change of the layout, or of what a field
 * means, needs another version in %PCI_LIVEUPDATE_FLB_COMPATIBLE and in
 * %PCI_SER_VERSION.
 */

#define PCI_LIVEUPDATE_FLB_COMPATIBLE	"pci-v1"

#define PCI_SER_VERSION			1

/**
 * enum pci_dev_ser_flags - Bits of &struct pci_dev_ser.flags.
 * @PCI_DEV_SER_BRIDGE: A bridge above preserved devices; the bus numbers count.
 * @PCI_DEV_SER_ARI: A bridge that forwards to functions above 7 (ARI).
 * @PCI_DEV_SER_ACS: The device has an ACS capability; @acs_ctrl counts.
 */
enum pci_dev_ser_flags {
	PCI_DEV_SER_BRIDGE	= BIT(0),
	PCI_DEV_SER_ARI		= BIT(1),
	PCI_DEV_SER_ACS		= BIT(2),
};

/**
 * struct pci_dev_ser - One device that is preserved.
 * @segment: PCI segment (domain) number.
 * @bdf: Bus number in bits 15:8, device and function in bits 7:0.
 * @vendor: Vendor ID register.
 * @device: Device ID register.
 * @acs_ctrl: ACS control register, if %PCI_DEV_SER_ACS.
 * @class_rev: Class code and revision register.
 * @flags: See &enum pci_dev_ser_flags.
 * @users: Bridge: number of preserved endpoints below. Endpoint: 1.
 * @hdr_type: Header type register without the multi-function bit.
 * @primary: Bridge: primary bus number register; else 0.
 * @secondary: Bridge: secondary bus number register; else 0.
 * @subordinate: Bridge: subordinate bus number register; else 0.
 * @reserved: 0.
 */
struct pci_dev_ser {
	u32 segment;
	u16 bdf;
	u16 vendor;
	u16 device;
	u16 acs_ctrl;
	u32 class_rev;
	u32 flags;
	u32 users;
	u8 hdr_type;
	u8 primary;
	u8 secondary;
	u8 subordinate;
	u32 reserved;
} __packed;

/**
 * struct pci_ser - The list of preserved devices.
 * @version: %PCI_SER_VERSION. First in every version of this structure.
 * @nr_devices: Number of entries of @devices that are in use.
 * @reserved: 0.
 * @devices: The devices.
 */
struct pci_ser {
	u32 version;
	u32 nr_devices;
	u64 reserved;
	struct pci_dev_ser devices[];
} __packed;

#endif /* _LINUX_KHO_ABI_PCI_H */
