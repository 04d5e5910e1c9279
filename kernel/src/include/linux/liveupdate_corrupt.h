/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Damage one thing of the handover on purpose: liveupdate.corrupt=NAME[:BDF]
 *
 * The next kernel must notice whatever is wrong in what it is given. These are
 * the calls by which the outgoing kernel lets a test damage it, in the last
 * moment before the jump; see drivers/iommu/liveupdate_corrupt.c for the names.
 */
#ifndef _LINUX_LIVEUPDATE_CORRUPT_H
#define _LINUX_LIVEUPDATE_CORRUPT_H

/**
 * enum liveupdate_corrupt_kind - What of a handover can be damaged
 * @LIVEUPDATE_CORRUPT_IOMMU: &struct iommu_ser, and what it refers to
 * @LIVEUPDATE_CORRUPT_PCI: &struct pci_ser
 * @LIVEUPDATE_CORRUPT_IOMMUFD: &struct iommufd_ser
 * @LIVEUPDATE_CORRUPT_VFIO_PCI: &struct vfio_pci_ser
 */
enum liveupdate_corrupt_kind {
	LIVEUPDATE_CORRUPT_IOMMU,
	LIVEUPDATE_CORRUPT_PCI,
	LIVEUPDATE_CORRUPT_IOMMUFD,
	LIVEUPDATE_CORRUPT_VFIO_PCI,
};

#ifdef CONFIG_LIVEUPDATE_BREAK_LAWS
void liveupdate_corrupt_note(enum liveupdate_corrupt_kind kind, void *ser);
void liveupdate_corrupt_forget(void *ser);
void liveupdate_corrupt(void);
#else
static inline void liveupdate_corrupt_note(enum liveupdate_corrupt_kind kind,
					   void *ser)
{
}

static inline void liveupdate_corrupt_forget(void *ser)
{
}

static inline void liveupdate_corrupt(void)
{
}
#endif

#endif /* _LINUX_LIVEUPDATE_CORRUPT_H */
