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
 * above a preserved device are in the list, too, and so is the physical function
 * (PF) of a virtual one (VF).
 *
 * There are five versions, of one layout. What an older one can hold is the same in
 * all, byte for byte, except for &struct pci_ser.version, and is written as that one:
 *
 * - "pci-v1" has no virtual functions: @sriov_pa, @pf and the flags from
 *   %PCI_DEV_SER_VF on are 0.
 * - "pci-v2" has PFs for their virtual functions alone: %PCI_DEV_SER_PF only with
 *   %PCI_DEV_SER_FOR_VFS.
 * - "pci-v3" has PFs whose own DMA goes on, too.
 * - "pci-v4" has what the driver of a PF hands over: @driver_pa is 0 in those before.
 * - "pci-v5" has flags of a PF: &struct pci_sriov_ser.flags is 0 in the others.
 *
 * This interface is a contract. A change of the layout, or of what a field
 * means, needs another version in %PCI_LIVEUPDATE_FLB_COMPATIBLE and in
 * %PCI_SER_VERSION.
 */

#define PCI_LIVEUPDATE_FLB_COMPATIBLE	"pci-v5"
#define PCI_LIVEUPDATE_FLB_COMPATIBLE_V4 "pci-v4"
#define PCI_LIVEUPDATE_FLB_COMPATIBLE_V3 "pci-v3"
#define PCI_LIVEUPDATE_FLB_COMPATIBLE_V2 "pci-v2"
#define PCI_LIVEUPDATE_FLB_COMPATIBLE_V1 "pci-v1"

#define PCI_SER_VERSION			5
#define PCI_SER_VERSION_4		4
#define PCI_SER_VERSION_3		3
#define PCI_SER_VERSION_2		2
#define PCI_SER_VERSION_1		1

/* VF BARs of a PF */
#define PCI_SRIOV_SER_BARS		6

/**
 * enum pci_dev_ser_flags - Bits of &struct pci_dev_ser.flags.
 * @PCI_DEV_SER_BRIDGE: A bridge above preserved devices; the bus numbers count.
 * @PCI_DEV_SER_ARI: A bridge that forwards to functions above 7 (ARI).
 * @PCI_DEV_SER_ACS: The device has an ACS capability; @acs_ctrl counts.
 * @PCI_DEV_SER_VF: A virtual function; @pf counts.
 * @PCI_DEV_SER_PF: A physical function that has virtual ones, of which at least one is
 *	in the list if its own DMA does not go on; a &struct pci_sriov_ser has the same
 *	segment and bdf.
 * @PCI_DEV_SER_FOR_VFS: With %PCI_DEV_SER_PF: it is in the list for its virtual
 *	functions alone. Its own DMA does not go on.
 */
enum pci_dev_ser_flags {
	PCI_DEV_SER_BRIDGE	= BIT(0),
	PCI_DEV_SER_ARI		= BIT(1),
	PCI_DEV_SER_ACS		= BIT(2),
	PCI_DEV_SER_VF		= BIT(3),
	PCI_DEV_SER_PF		= BIT(4),
	PCI_DEV_SER_FOR_VFS	= BIT(5),
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
 * @users: Bridge: number of preserved endpoints below, VFs included; a PF with
 *	%PCI_DEV_SER_FOR_VFS is none. PF: number of its VFs in the list, and one
 *	more if its own DMA goes on. Other endpoint: 1.
 * @hdr_type: Header type register without the multi-function bit.
 * @primary: Bridge: primary bus number register; else 0.
 * @secondary: Bridge: secondary bus number register; else 0.
 * @subordinate: Bridge: subordinate bus number register; else 0.
 * @pf: VF: @bdf of its PF; else 0.
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
	u16 pf;
	u16 reserved;
} __packed;

/**
 * enum pci_sriov_ser_flags - Bits of &struct pci_sriov_ser.flags.
 * @PCI_SRIOV_SER_NO_AUTOPROBE: VFs get a driver only if user space names it
 *	(sriov_drivers_autoprobe is 0).
 */
enum pci_sriov_ser_flags {
	PCI_SRIOV_SER_NO_AUTOPROBE	= BIT(0),
};

/**
 * struct pci_sriov_ser - The SR-IOV capability of a PF that keeps its VFs.
 * @segment: PCI segment (domain) number of the PF.
 * @bdf: Its bus number in bits 15:8, device and function in bits 7:0.
 * @ctrl: SR-IOV Control register; VF Enable and VF MSE are set.
 * @initial_vfs: InitialVFs register.
 * @num_vfs: NumVFs register, not 0.
 * @offset: First VF Offset register.
 * @stride: VF Stride register.
 * @vf_device: VF Device ID register.
 * @flags: See &enum pci_sriov_ser_flags.
 * @page_size: System Page Size register.
 * @bar: VF BAR registers.
 * @bar_size_lg2: Size in bytes of each VF's part, as exponent, at the index of the
 *	lower register of the BAR; 0 where no BAR begins.
 * @reserved: 0.
 * @driver_pa: Physical address of a &struct pci_pf_driver_ser in one preserved folio, of
 *	any order; 0 if the PF had no driver that has something to hand over.
 */
struct pci_sriov_ser {
	u32 segment;
	u16 bdf;
	u16 ctrl;
	u16 initial_vfs;
	u16 num_vfs;
	u16 offset;
	u16 stride;
	u16 vf_device;
	u16 flags;
	u32 page_size;
	u32 bar[PCI_SRIOV_SER_BARS];
	u8 bar_size_lg2[PCI_SRIOV_SER_BARS];
	u16 reserved;
	u64 driver_pa;
} __packed;

/* With the NUL at its end */
#define PCI_PF_DRIVER_COMPATIBLE_LEN	48

/* Bytes that a driver can hand over */
#define PCI_PF_DRIVER_MAX_SIZE		0x10000

/**
 * struct pci_pf_driver_ser - What the driver of a PF hands over.
 * @compatible: The version string of what is in @data, which is a contract of that
 *	driver's; padded with NULs, of which there is one at least.
 * @size: Length in bytes of @data, 1 to %PCI_PF_DRIVER_MAX_SIZE.
 * @reserved: 0.
 * @data: For the driver.
 */
struct pci_pf_driver_ser {
	char compatible[PCI_PF_DRIVER_COMPATIBLE_LEN];
	u32 size;
	u32 reserved;
	u8 data[];
} __packed;

/**
 * struct pci_sriov_list_ser - The PFs that keep their VFs.
 * @nr_pfs: Number of entries of @pfs that are in use, not 0.
 * @reserved: 0.
 * @pfs: The PFs, in ascending order of (segment, bdf), each once.
 */
struct pci_sriov_list_ser {
	u32 nr_pfs;
	u32 reserved;
	struct pci_sriov_ser pfs[];
} __packed;

/**
 * struct pci_ser - The list of preserved devices.
 * @version: %PCI_SER_VERSION, or one of those before. First in every version of this structure.
 * @nr_devices: Number of entries of @devices that are in use.
 * @sriov_pa: Physical address of a &struct pci_sriov_list_ser in one preserved
 *	folio, of any order; 0 if there is no PF in the list.
 * @devices: The devices.
 */
struct pci_ser {
	u32 version;
	u32 nr_devices;
	u64 sriov_pa;
	struct pci_dev_ser devices[];
} __packed;

#endif /* _LINUX_KHO_ABI_PCI_H */
