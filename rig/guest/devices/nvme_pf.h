/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * With disk_vf=1: the disk is a virtual function of an NVMe controller whose physical function
 * user space has, see devices/pf_owner.h.
 */
#ifndef RIG_DEVICES_NVME_PF_H
#define RIG_DEVICES_NVME_PF_H

/* Queues and vectors that a virtual function has; rig/cases/disk.py gives the device as many. */
#define NVME_VF_QUEUES	2u
#define NVME_VF_VECTORS	2u

/* Takes the physical function, switches SR-IOV on, and lets the virtual one be used. */
void nvme_pf_start(void);

#endif
