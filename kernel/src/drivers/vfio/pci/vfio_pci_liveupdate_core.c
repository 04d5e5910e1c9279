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
 * - *Resets, low power states and virtual functions* give -EBUSY, under the lock of
 *   the device; who unbinds or removes it waits; see drivers/pci/liveupdate.c.
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

/*
 * A line that was asserted before its entry in the I/O APIC became level-triggered
 * is an interrupt all the same. Not so with QEMU's I/O APIC, which many hosts that
 * are machines themselves have: it notes down only a line that rises. So it rises
 * once more, now that there is an entry. Hardware does not mind.
 */
static void assert_intx_again(struct vfio_pci_core_device *vdev)
{
	u16 cmd;

	if (!vdev->pci_2_3)
		return;
	guard(spinlock_irqsave)(&vdev->irqlock);
	pci_read_config_word(vdev->pdev, PCI_COMMAND, &cmd);
	if (cmd & PCI_COMMAND_INTX_DISABLE)
		return;
	pci_intx(vdev->pdev, 0);
	pci_intx(vdev->pdev, 1);
}

/**
 * vfio_pci_liveupdate_irq() - VFIO_DEVICE_SET_IRQS, for any device
 * @vdev: The device.
 * @flags: As of &struct vfio_irq_set, which has been checked; so have the others.
 * @index: Of the kind of interrupt.
 * @start: First vector.
 * @count: Vectors.
 * @data: What the flags say that there is, copied from user space.
 *
 * When INTx of a device that came running is connected, what is pending is signalled.
 *
 * Context: The caller holds igate, which vfio_pci_core_liveupdate_freeze() takes
 * once. So what was begun before is over when the freeze is.
 * Return: As of vfio_pci_set_irqs_ioctl(); -EBUSY between freeze and jump.
 */
int vfio_pci_liveupdate_irq(struct vfio_pci_core_device *vdev, u32 flags,
			    unsigned int index, unsigned int start,
			    unsigned int count, void *data)
{
	int ret;

	lockdep_assert_held(&vdev->igate);
	if (pci_liveupdate_frozen(vdev->pdev))
		return -EBUSY;
	ret = vfio_pci_set_irqs_ioctl(vdev, flags, index, start, count, data);
	if (!ret && index == VFIO_PCI_INTX_IRQ_INDEX &&
	    flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER) &&
	    pci_liveupdate_lost_irqs(vdev->pdev))
		assert_intx_again(vdev);
	return ret;
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
