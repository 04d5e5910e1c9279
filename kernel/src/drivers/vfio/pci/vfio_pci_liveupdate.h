/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef VFIO_PCI_LIVEUPDATE_H
#define VFIO_PCI_LIVEUPDATE_H

#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

struct vfio_device_ops;

/*
 * Open a device that is working: it is not reset, and its state is not saved as
 * the one to be restored at close. Interrupts stay off until its user sets
 * them up, pci_enable_device() has just enabled INTx.
 */
static inline void vfio_pci_liveupdate_enable(struct vfio_pci_core_device *vdev)
{
	vdev->reset_works = !!vdev->pdev->reset_methods[0];
	pci_intx(vdev->pdev, 0);
}

struct eventfd_ctx;

#ifdef CONFIG_VFIO_PCI_LIVEUPDATE
void vfio_pci_liveupdate_wired(struct vfio_pci_core_device *vdev,
			       struct eventfd_ctx *trigger);
void vfio_pci_liveupdate_init(struct pci_driver *driver,
			      const struct vfio_device_ops *ops);
void vfio_pci_liveupdate_cleanup(void);
#else
static inline void vfio_pci_liveupdate_wired(struct vfio_pci_core_device *vdev,
					     struct eventfd_ctx *trigger)
{
}

static inline void vfio_pci_liveupdate_init(struct pci_driver *driver,
					    const struct vfio_device_ops *ops)
{
}

static inline void vfio_pci_liveupdate_cleanup(void)
{
}
#endif

#endif /* VFIO_PCI_LIVEUPDATE_H */
