/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __VFIO_LIVEUPDATE_H__
#define __VFIO_LIVEUPDATE_H__

#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct vfio_device_file;

#ifdef CONFIG_VFIO_PCI_LIVEUPDATE
int vfio_liveupdate_rebind(struct vfio_device_file *df, int iommufd,
			   u32 __user *devid);
#else
static inline int vfio_liveupdate_rebind(struct vfio_device_file *df,
					 int iommufd, u32 __user *devid)
{
	return -EINVAL;
}
#endif

/*
 * A device that has been working since before a live update is opened through
 * its session only, that is, with the file that vfio_liveupdate_open() made. One that
 * was refused cannot be opened at all before it was reset; nor can a physical function
 * that was closed after its session, as long as it is not reset for its virtual ones.
 */
static inline int vfio_liveupdate_may_open(struct vfio_device *device,
					   bool retrieved)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(device->dev))
		return 0;
	pdev = to_pci_dev(device->dev);
	if (pci_liveupdate_refused(pdev))
		return -EBUSY;
	return !retrieved && pci_liveupdate_incoming(pdev) ? -EBUSY : 0;
}

/*
 * The same for a user that is about to use the device. The first user begins
 * anew, as if there had been no live update. A process that has only opened the
 * cdev changes nothing.
 */
static inline int vfio_liveupdate_may_use(struct vfio_device *device,
					  bool retrieved)
{
	int ret = vfio_liveupdate_may_open(device, retrieved);

	if (!ret && !retrieved && !device->open_count &&
	    dev_is_pci(device->dev))
		pci_liveupdate_opened(to_pci_dev(device->dev));
	return ret;
}

#endif
