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
#include <linux/device.h>
#include <linux/export.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
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
 * Return: As of vfio_pci_set_irqs_ioctl(); -EBUSY between freeze and jump; or why INTx
 * cannot be routed, which opening the device has not looked up.
 */
int vfio_pci_liveupdate_irq(struct vfio_pci_core_device *vdev, u32 flags,
			    unsigned int index, unsigned int start,
			    unsigned int count, void *data)
{
	int ret;

	lockdep_assert_held(&vdev->igate);
	if (pci_liveupdate_frozen(vdev->pdev))
		return -EBUSY;
	if (index == VFIO_PCI_INTX_IRQ_INDEX &&
	    (flags & VFIO_IRQ_SET_DATA_EVENTFD)) {
		ret = pci_liveupdate_route_intx(vdev->pdev);
		if (ret)
			return ret;
	}
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

/**
 * DOC: A physical function that user space drives
 *
 * Who has a PF can do much to its VFs, so vfio-pci wants those who open a VF to know
 * a token that the PF's user has set, and who opens the PF while a VF is open to know
 * it, too. An update keeps that: the token is in the data of the PF's file and of
 * each VF's, which can be in sessions of different owners. What is said here holds
 * for a PF whose VFs are on.
 *
 * 1. The PF is preserved first, in any session. From then on the token cannot be
 *    changed (-EACCES), nor can SR-IOV. Then its VFs are.
 *
 * 2. In the next kernel no driver gets a VF before vfio-pci has the PF. Whose file is
 *    retrieved first, the PF's or a VF's, binds it; then vfio-pci adopts the PF: it is
 *    what it would be if vfio-pci had switched its VFs on. VFs that were not preserved are
 *    meant for vfio-pci, too.
 *
 * 3. The first file brings the token, and each further one has to bring the same.
 *    Who binds a file to its iommufd gives the token (VFIO_DEVICE_BIND_FLAG_TOKEN), as
 *    who opened the device before. For the PF this holds until all VFs are finished,
 *    whether one is open or not: else whoever has the PF's session could have it with
 *    a token of their own, and without those who use the VFs.
 *
 * Unhappy paths:
 *
 * - *The PF is undone before the jump*, and VFs are still preserved: reboot(2) fails
 *   until the PF is preserved again, or its VFs are undone.
 * - *The owner of the PF never comes*: the PF goes on with its DMA into memory that is
 *   preserved, and its VFs are used as ever.
 * - *The owner of a VF never comes*: the VF goes on. The PF can be used when its session
 *   is finished, but it keeps SR-IOV, and cannot be reset. If it is closed it
 *   cannot be opened again, until the VF's session is finished.
 * - *A token was damaged*: the files that bring another one than the first are refused
 *   (-EINVAL); the devices go on, and their sessions cannot be finished. A damaged token
 *   that came first is one that nobody knows.
 * - *The PF was refused*: no driver has it, and its VFs are opened without a token. Nobody
 *   could disturb them.
 */

/**
 * vfio_pci_liveupdate_adopt() - Take over a PF whose VFs came with it
 * @vdev: A PF that is being registered.
 * @pfs: The PFs whose VFs vfio-pci has switched on.
 * @lock: Protects @pfs.
 *
 * Makes @vdev one of @pfs, as vfio_pci_core_sriov_configure() would have. Does nothing
 * if its VFs are off.
 *
 * Context: In the probe of the device, which no VF has a driver before.
 */
void vfio_pci_liveupdate_adopt(struct vfio_pci_core_device *vdev,
			       struct list_head *pfs, struct mutex *lock)
{
	struct pci_dev *vf = NULL;

	if (!pci_num_vf(vdev->pdev))
		return;
	device_lock_assert(&vdev->pdev->dev);
	pm_runtime_get_noresume(&vdev->pdev->dev);
	vdev->sriov_active = true;
	scoped_guard(mutex, lock)
		list_add_tail(&vdev->sriov_pfs_item, pfs);

	/* As of those that are switched on: see vfio_pci_bus_notifier(). */
	for_each_pci_dev(vf)
		if (vf->is_virtfn && pci_physfn(vf) == vdev->pdev)
			WARN_ON(device_set_driver_override(&vf->dev,
							   vdev->vdev.ops->name));
}

/**
 * vfio_pci_liveupdate_disown() - Undo vfio_pci_liveupdate_adopt()
 * @vdev: A device whose registration has failed, or that is unregistered.
 * @lock: Of the list that it may be in.
 */
void vfio_pci_liveupdate_disown(struct vfio_pci_core_device *vdev,
				struct mutex *lock)
{
	guard(mutex)(lock);
	if (list_empty(&vdev->sriov_pfs_item))
		return;
	list_del_init(&vdev->sriov_pfs_item);
	vdev->sriov_active = false;
	pm_runtime_put(&vdev->pdev->dev);
}

/* The PF that has the token of a device: the device itself, or that of a VF; or NULL. */
static struct vfio_pci_core_device *
token_holder(struct vfio_pci_core_device *vdev)
{
	if (vdev->pdev->is_virtfn)
		return vdev->sriov_pf_core_dev;
	return vdev->sriov_active ? vdev : NULL;
}

/**
 * vfio_pci_core_liveupdate_token() - The token to hand over with a file
 * @vdev: The device of the file.
 * @token: Where it goes to, %VFIO_PCI_SER_TOKEN_SIZE bytes; NULL if it is not wanted.
 *
 * Return: true if there is one.
 */
bool vfio_pci_core_liveupdate_token(struct vfio_pci_core_device *vdev,
				    u8 *token)
{
	struct vfio_pci_core_device *pf = token_holder(vdev);

	if (!pf)
		return false;
	if (token) {
		guard(mutex)(&pf->vf_token->lock);
		export_uuid(token, &pf->vf_token->uuid);
	}
	return true;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_liveupdate_token);

/**
 * vfio_pci_core_liveupdate_came() - The token that was handed over with a file
 * @vdev: The device of the file.
 * @token: The token, %VFIO_PCI_SER_TOKEN_SIZE bytes; NULL if there was none.
 *
 * Return: NULL, or why the file is refused.
 */
const char *vfio_pci_core_liveupdate_came(struct vfio_pci_core_device *vdev,
					  const u8 *token)
{
	struct vfio_pci_core_device *pf = token_holder(vdev);
	uuid_t uuid;

	/* Its PF was refused, or VFs were not found. */
	if (!pf)
		return NULL;
	if (!token)
		return "there is no token of its physical function";

	import_uuid(&uuid, token);
	guard(mutex)(&pf->vf_token->lock);
	if (!pf->vf_token->came) {
		uuid_copy(&pf->vf_token->uuid, &uuid);
		pf->vf_token->came = true;
	}
	return uuid_equal(&uuid, &pf->vf_token->uuid) ? NULL :
	       "its token is not that of its physical function";
}
EXPORT_SYMBOL_GPL(vfio_pci_core_liveupdate_came);
