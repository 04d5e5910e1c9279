/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The language for damages of a handover, in the laboratory and in tests/handover
 */
#ifndef _LIVEUPDATE_LAB_DAMAGE_H
#define _LIVEUPDATE_LAB_DAMAGE_H

#include <linux/kho/abi/amd_iommu.h>
#include <linux/kho/abi/guestmemfs.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/kho/abi/hugetlb_memfd.h>
#include <linux/kho/abi/intel_iommu.h>
#include <linux/kho/abi/igb.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/pci.h>
#include <linux/kho/abi/smmuv3.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/types.h>

/* Intel VT-d specification, "9.6 Scalable-Mode PASID Table Entry" */
struct damage_pasid {
	u64 words[8];
};

/* A copy of the layout of guestmemfs; the other one follows. */
struct damage_layout {
	struct guestmemfs_layout layout;
	u8 rest[GUESTMEMFS_PAGE - sizeof(struct guestmemfs_layout)];
};

/**
 * struct damage_victim - Where the things are that a damage can name
 * @iommu:         Root of the IOMMU handover.
 * @hw:            The unit in front of the device.
 * @domain:        The domain of the device.
 * @device:        The device that is meant.
 * @devices:       All devices.
 * @other:         Another preserved device.
 * @other_domain:  The domain of @other.
 * @root:          The root entry of the device's bus; of a half of it in scalable mode.
 * @ctx:           The context entry of the device: two words, in scalable mode four.
 * @stranger:      In legacy mode: the context entry of function 7 beside the device.
 * @dir:           The PASID directory of the device.
 * @pasid:         The first PASID table of the device, by words.
 * @pasid_entry:   The same as @pasid, by entries.
 * @listed:        The list of its PASIDs besides the first one.
 * @dte:           The device table entry of the device: four words.
 * @ste:           The stream table entry of the device: eight words.
 * @cd:            Its context descriptor: eight words.
 * @top:           The topmost table of the device's domain.
 * @pci:           The PCI list.
 * @pci_dev:       The device's entry in that list.
 * @bridge:        The entry of the bridge right above the device.
 * @pf:            The entry of the physical function of the device.
 * @sriov:         What is said of the SR-IOV of @pf.
 * @pfs:           The list that @sriov is in.
 * @driver:        What the driver of @pf hands over.
 * @igb:           The same, if that driver is igb.
 * @iommufd:       An iommufd.
 * @vfio:          The VFIO file of the device.
 * @memfd:         A memfd with more than one folio.
 * @chunk:         Where the pages of @folio are.
 * @folio:         The list of folios of @memfd.
 * @huge:          A memfd of huge pages.
 * @runs:          The first list of its runs.
 * @run:           The first two runs in there: which folio, of their size, in the
 *                 lowest 40 bits, and how many.
 * @pools:         How many huge pages come over.
 * @layout:        The two copies of the layout of guestmemfs.
 * @state:         Its state.
 * @inode:         Its inodes.
 * @extent:        Its extents.
 * @guestmem:      What a session says of a file of guestmemfs.
 * @foreign:       Physical address of memory that is in use, and not preserved.
 *
 * A member is NULL if there is no such thing.
 */
struct damage_victim {
	struct iommu_ser *iommu;
	struct iommu_hw_ser *hw;
	struct iommu_domain_ser *domain;
	struct iommu_device_ser *device;
	struct iommu_device_ser *devices;
	struct iommu_device_ser *other;
	struct iommu_domain_ser *other_domain;
	u64 *root;
	u64 *ctx;
	u64 *stranger;
	u64 *dir;
	u64 *pasid;
	struct damage_pasid *pasid_entry;
	struct intel_pasid_ser *listed;
	u64 *dte;
	u64 *ste;
	u64 *cd;
	u64 *top;
	struct pci_ser *pci;
	struct pci_dev_ser *pci_dev;
	struct pci_dev_ser *bridge;
	struct pci_dev_ser *pf;
	struct pci_sriov_ser *sriov;
	struct pci_sriov_list_ser *pfs;
	struct pci_pf_driver_ser *driver;
	struct igb_pf_ser *igb;
	struct iommufd_ser *iommufd;
	struct vfio_pci_ser *vfio;
	struct memfd_luo_ser *memfd;
	struct kho_vmalloc_chunk *chunk;
	struct memfd_luo_folio_ser *folio;
	struct hugetlb_memfd_ser *huge;
	struct hugetlb_memfd_list *runs;
	u64 *run;
	struct hugetlb_ser *pools;
	struct damage_layout *layout;
	struct guestmemfs_state *state;
	struct guestmemfs_inode *inode;
	struct guestmemfs_extent *extent;
	u64 *guestmem;
	u64 foreign;
};

const char *damage_do(const struct damage_victim *v, const char *text);

#endif /* _LIVEUPDATE_LAB_DAMAGE_H */
