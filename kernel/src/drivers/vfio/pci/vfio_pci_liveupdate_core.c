// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What user space may not do to a frozen device
 *
 * While reboot(2) is under way all processes run, until the last moment: devices
 * are shut down one after the other, and only then the other processors stop. What
 * a process did to a preserved device after its shutdown would be found by the next
 * kernel: interrupts that are on and have no handler, or a device that was reset.
 *
 * So the freeze ends what user space can change a device by. Each way tests the bit
 * %PCI_LIVEUPDATE_FROZEN under a lock; the freeze sets the bit, and then takes each
 * of these locks once, to wait for what has not seen the bit:
 *
 * - *VFIO_DEVICE_SET_IRQS*, under igate, gives -EBUSY.
 * - *Writing to configuration space* gives -EBUSY, under a lock of its own: a write
 *   can take as long as a reset does, if it is one (FLR).
 * - *An eventfd that unmasks INTx*, under irqlock: there is nobody to give an error
 *   to, so that it is noted down and done when the freeze is undone.
 * - *Resets and low power states* give -EBUSY, under the lock of the device; see
 *   drivers/pci/liveupdate.c.
 *
 * The BARs can still be accessed: the device is the user's, and goes on.
 *
 * Nothing of it is left when the freeze is undone. It is part of vfio-pci-core, so
 * that it also holds for the locks that belong to that module.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_liveupdate.h"
#include "vfio_pci_priv.h"

/**
 * vfio_pci_liveupdate_write_begin() - Configuration space is about to be written
 * @vdev: The device.
 *
 * On success vfio_pci_liveupdate_write_end() has to follow.
 *
 * Return: 0, or -EBUSY if the device is frozen.
 */
int vfio_pci_liveupdate_write_begin(struct vfio_pci_core_device *vdev)
{
	down_read(&vdev->liveupdate_writes);
	if (!pci_liveupdate_frozen(vdev->pdev))
		return 0;
	up_read(&vdev->liveupdate_writes);
	return -EBUSY;
}

/**
 * vfio_pci_liveupdate_write_end() - Configuration space was written
 * @vdev: The device.
 */
void vfio_pci_liveupdate_write_end(struct vfio_pci_core_device *vdev)
{
	up_read(&vdev->liveupdate_writes);
}

/**
 * vfio_pci_liveupdate_unmask_later() - Must INTx stay masked now?
 * @vdev: The device.
 *
 * An eventfd asks for it to be unmasked, and nobody hears if that is refused: it
 * is done when the freeze is undone. After the jump there is no mask.
 *
 * Return: true if the device is frozen.
 */
bool vfio_pci_liveupdate_unmask_later(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held(&vdev->irqlock);
	if (!pci_liveupdate_frozen(vdev->pdev))
		return false;
	set_bit(PCI_LIVEUPDATE_UNMASK, &vdev->pdev->liveupdate);
	return true;
}

/**
 * vfio_pci_core_liveupdate_freeze() - Wait for what user space is doing
 * @vdev: The device; frozen by pci_liveupdate_freeze().
 *
 * On return nothing is under way any more that would change the device.
 */
void vfio_pci_core_liveupdate_freeze(struct vfio_pci_core_device *vdev)
{
	scoped_guard(rwsem_write, &vdev->liveupdate_writes) {}
	scoped_guard(mutex, &vdev->igate) {}
	scoped_guard(spinlock_irq, &vdev->irqlock) {}
}
EXPORT_SYMBOL_GPL(vfio_pci_core_liveupdate_freeze);

/**
 * vfio_pci_core_liveupdate_unfreeze() - Do what could not be done meanwhile
 * @vdev: The device; not frozen any more.
 */
void vfio_pci_core_liveupdate_unfreeze(struct vfio_pci_core_device *vdev)
{
	/* What was noted down before the bit was cleared is there. */
	scoped_guard(spinlock_irq, &vdev->irqlock) {}
	if (test_and_clear_bit(PCI_LIVEUPDATE_UNMASK, &vdev->pdev->liveupdate))
		vfio_pci_intx_unmask(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_liveupdate_unfreeze);
