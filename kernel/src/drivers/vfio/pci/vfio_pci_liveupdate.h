/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef VFIO_PCI_LIVEUPDATE_H
#define VFIO_PCI_LIVEUPDATE_H

#include <linux/eventfd.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

struct list_head;
struct vfio_device_ops;

/**
 * struct vfio_pci_vf_token - What who opens a VF has to know, if user space has the PF
 * @lock: Protects all of it.
 * @uuid: The token.
 * @users: So many VFs are open. As long as there is one, who opens the PF has to know
 *	the token, too.
 * @came: @uuid came in a handover, and is that of all files of the PF and its VFs.
 */
struct vfio_pci_vf_token {
	struct mutex lock;	/* Protects all of it */
	uuid_t uuid;
	int users;
	bool came;
};

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

/* pci_enable_device(), and that for a device that is working. */
static inline int
vfio_pci_liveupdate_enable_device(struct vfio_pci_core_device *vdev)
{
	int ret = pci_liveupdate_enable_device(vdev->pdev);

	if (!ret && pci_liveupdate_running(vdev->pdev))
		vfio_pci_liveupdate_enable(vdev);
	return ret;
}

/*
 * The shutdown has disabled INTx, which is no doing of the user's: who reads the
 * command register and writes it back must not mask INTx with that. What the
 * user sees is what the user of any device does that was just opened.
 */
static inline void
vfio_pci_liveupdate_config(struct vfio_pci_core_device *vdev)
{
	if (pci_liveupdate_incoming(vdev->pdev) && vdev->pci_2_3)
		*(__le16 *)&vdev->vconfig[PCI_COMMAND] &=
			cpu_to_le16(~PCI_COMMAND_INTX_DISABLE);
}

/*
 * A device that is incoming is left as it is when it is closed. This can be a PF whose
 * session is finished, and that waits for its VFs: then nobody can open it before that is
 * over, and who does so has it reset.
 */
static inline bool
vfio_pci_liveupdate_keeps_running(struct vfio_pci_core_device *vdev)
{
	if (!pci_liveupdate_incoming(vdev->pdev))
		return false;
	kfree(vdev->pci_saved_state);
	vdev->pci_saved_state = NULL;
	return true;
}

/**
 * vfio_pci_liveupdate_wired() - An eventfd was connected to a vector
 * @vdev: The device.
 * @trigger: The eventfd; the vector of MSI or MSI-X is live.
 *
 * What the device would have signalled by this vector since the freeze did not
 * get through. So the eventfd is signalled once, whether there was anything or
 * not: interrupts of MSI may be spurious, but none may be lost. INTx is asserted
 * until it is answered; see vfio_pci_liveupdate_irq().
 *
 * It is part of vfio-pci-core, which is a module of its own.
 */
static inline void vfio_pci_liveupdate_wired(struct vfio_pci_core_device *vdev,
					     struct eventfd_ctx *trigger)
{
	if (pci_liveupdate_lost_irqs(vdev->pdev))
		eventfd_signal(trigger);
}

#ifdef CONFIG_VFIO_PCI_LIVEUPDATE
int vfio_pci_liveupdate_irq(struct vfio_pci_core_device *vdev, u32 flags,
			    unsigned int index, unsigned int start,
			    unsigned int count, void *data);
bool vfio_pci_liveupdate_unmask_later(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_write_begin(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_write_end(struct vfio_pci_core_device *vdev);
void vfio_pci_core_liveupdate_freeze(struct vfio_pci_core_device *vdev);
void vfio_pci_core_liveupdate_unfreeze(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_adopt(struct vfio_pci_core_device *vdev,
			       struct list_head *pfs, struct mutex *lock);
void vfio_pci_liveupdate_disown(struct vfio_pci_core_device *vdev, struct mutex *lock);
bool vfio_pci_core_liveupdate_token(struct vfio_pci_core_device *vdev,
				    u8 *token);
const char *vfio_pci_core_liveupdate_came(struct vfio_pci_core_device *vdev,
					  const u8 *token);

void vfio_pci_liveupdate_init(struct pci_driver *driver,
			      const struct vfio_device_ops *ops);
void vfio_pci_liveupdate_cleanup(void);
#else
static inline int vfio_pci_liveupdate_irq(struct vfio_pci_core_device *vdev,
					  u32 flags, unsigned int index,
					  unsigned int start,
					  unsigned int count, void *data)
{
	return vfio_pci_set_irqs_ioctl(vdev, flags, index, start, count, data);
}

static inline bool
vfio_pci_liveupdate_unmask_later(struct vfio_pci_core_device *vdev)
{
	return false;
}

static inline int
vfio_pci_liveupdate_write_begin(struct vfio_pci_core_device *vdev)
{
	return 0;
}

static inline void
vfio_pci_liveupdate_write_end(struct vfio_pci_core_device *vdev)
{
}

static inline void vfio_pci_liveupdate_adopt(struct vfio_pci_core_device *vdev,
					     struct list_head *pfs,
					     struct mutex *lock)
{
}

static inline void vfio_pci_liveupdate_disown(struct vfio_pci_core_device *vdev,
					      struct mutex *lock)
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
