/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_VFIO_PCI_H
#define _LINUX_KHO_ABI_VFIO_PCI_H

#include <linux/types.h>

/**
 * DOC: VFIO PCI Live Update ABI
 *
 * What is handed over for the file of a VFIO cdev whose device is driven by
 * vfio-pci. The data of the file in its Live Update session is the physical
 * address of a &struct vfio_pci_ser in a preserved page.
 *
 * There is little in it on purpose: the device itself, its place in the
 * hierarchy and its bridges are in include/linux/kho/abi/pci.h, its DMA
 * translation in include/linux/kho/abi/iommu.h, and all else is in the
 * registers of the device, which are not touched.
 *
 * The version before has no token: of the structure it has what is before
 * @vf_token, and it is written for what needs none.
 *
 * This interface is a contract. A change of the layout, or of what a field
 * means, needs another version in %VFIO_PCI_LIVEUPDATE_COMPATIBLE and in
 * %VFIO_PCI_SER_VERSION.
 */

#define VFIO_PCI_LIVEUPDATE_COMPATIBLE	"vfio-pci-v2"
#define VFIO_PCI_LIVEUPDATE_COMPATIBLE_V1 "vfio-pci-v1"

#define VFIO_PCI_SER_VERSION		2
#define VFIO_PCI_SER_VERSION_1		1

/* Bytes of a token, which is a UUID */
#define VFIO_PCI_SER_TOKEN_SIZE		16

/**
 * struct vfio_pci_ser - The cdev file of a vfio-pci device.
 * @version: %VFIO_PCI_SER_VERSION, or %VFIO_PCI_SER_VERSION_1. First in every version
 *	of this structure.
 * @segment: PCI segment (domain) number of the device.
 * @bdf: Bus number in bits 15:8, device and function in bits 7:0.
 * @reserved: 0.
 * @vf_token: From %VFIO_PCI_SER_VERSION on: of a physical function whose virtual ones
 *	are on, or of a virtual one of it, the token that who opens them has to know.
 *	It is the same in all of these files.
 */
struct vfio_pci_ser {
	u32 version;
	u32 segment;
	u16 bdf;
	u16 reserved[3];
	u8 vf_token[VFIO_PCI_SER_TOKEN_SIZE];
} __packed;

#endif /* _LINUX_KHO_ABI_VFIO_PCI_H */
