/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_VFIO_LIVEUPDATE_H
#define _LINUX_VFIO_LIVEUPDATE_H

struct file;
struct vfio_device;

struct vfio_device *vfio_liveupdate_device(struct file *file);
int vfio_liveupdate_check_bound(struct file *file);
struct file *vfio_liveupdate_open(struct vfio_device *device);

#endif /* _LINUX_VFIO_LIVEUPDATE_H */
