// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: VFIO device files in a live update
 *
 * What the live update code of a VFIO driver needs to know about the files of
 * its devices, and the file of a device that was retrieved from a session. The
 * life of such a device is told in drivers/vfio/pci/vfio_pci_liveupdate.c.
 */

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_liveupdate.h>

#include "vfio.h"

/**
 * vfio_liveupdate_device() - The device of a VFIO device file
 * @file: Any file.
 *
 * Return: the device, which lives as long as @file does; NULL if @file is not
 * that of a VFIO device.
 */
struct vfio_device *vfio_liveupdate_device(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	return file->f_op == &vfio_device_fops ? df->device : NULL;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_device);

/**
 * vfio_liveupdate_check_bound() - Is this the file of a device in use?
 * @file: A VFIO device file.
 *
 * Context: The caller holds the lock of the device's set.
 * Return: 0 if @file was opened through the cdev and is bound to an iommufd,
 * -EOPNOTSUPP if it came from a group, -EINVAL if it is not bound.
 */
int vfio_liveupdate_check_bound(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	lockdep_assert_held(&df->device->dev_set->lock);
	if (df->group)
		return -EOPNOTSUPP;
	return df->access_granted && df->iommufd ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_check_bound);

/**
 * vfio_liveupdate_open() - Make the file of a device that is retrieved
 * @device: The device; registered.
 *
 * The file is as if the cdev had been opened: not bound yet. No other file of
 * the device can be bound as long as it is incoming.
 *
 * Return: the file, or an error pointer: -ENODEV if the device is being
 * unregistered; -EPERM if no IOMMU translates for it and the process is not
 * privileged, as when the cdev is opened; -ENOMEM, -ENFILE.
 */
struct file *vfio_liveupdate_open(struct vfio_device *device)
{
	struct vfio_device_file *df;
	struct file *file;

	if (vfio_device_is_noiommu(device) && !capable(CAP_SYS_RAWIO))
		return ERR_PTR(-EPERM);

	/* Paired with the put in vfio_device_fops_release() */
	if (!vfio_device_try_get_registration(device))
		return ERR_PTR(-ENODEV);

	df = vfio_allocate_device_file(device);
	if (IS_ERR(df)) {
		file = ERR_CAST(df);
		goto err_put_registration;
	}
	df->retrieved = true;

	file = anon_inode_getfile_fmode("[vfio-device]", &vfio_device_fops, df,
					O_RDWR, FMODE_PREAD | FMODE_PWRITE);
	if (IS_ERR(file))
		goto err_free;

	/* As in vfio_device_fops_cdev_open(): one mapping for all mmaps. */
	file->f_mapping = device->inode->i_mapping;
	return file;

err_free:
	kfree(df);
err_put_registration:
	vfio_device_put_registration(device);
	return file;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_open);

/**
 * vfio_liveupdate_rebind() - VFIO_DEVICE_BIND_IOMMUFD of a bound file
 * @df:      The file; it is bound.
 * @iommufd: File descriptor of an iommufd.
 * @devid:   Where the id of the device in that iommufd goes to.
 *
 * A process that has retrieved a file which another process had bound before it
 * died asks for the same once more, and is given what the other one was given.
 *
 * Context: The caller holds the lock of the device's set.
 * Return: 0; -EINVAL if the file was not retrieved or the live update of its
 * device is finished; -EPERM if @iommufd is not the one that it is bound to;
 * -EFAULT; or what iommufd_ctx_from_fd() returns.
 */
int vfio_liveupdate_rebind(struct vfio_device_file *df, int iommufd,
			   u32 __user *devid)
{
	struct device *dev = df->device->dev;
	struct iommufd_ctx *ictx;
	bool same;

	lockdep_assert_held(&df->device->dev_set->lock);
	if (!df->retrieved || !dev_is_pci(dev) ||
	    !pci_liveupdate_running(to_pci_dev(dev)))
		return -EINVAL;

	ictx = iommufd_ctx_from_fd(iommufd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	same = ictx == df->iommufd;
	iommufd_ctx_put(ictx);
	if (!same)
		return -EPERM;
	return put_user(df->devid, devid);
}
