/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's disk: QEMU, what the VM boots from, the VM's own disk and its console. */
#ifndef RIG_HYPERVISOR_DISK_H
#define RIG_HYPERVISOR_DISK_H

#define HOST	"/host"			/* where it is mounted */

void disk_mount(void);
/* Waits until nobody uses it any more, as a VM does until it has ended. */
void disk_umount(void);

#endif
