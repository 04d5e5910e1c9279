/* SPDX-License-Identifier: GPL-2.0-only */
/* What the VM's operator says to QEMU, over a QMP socket that is not continuo-qemu's. */
#ifndef RIG_HYPERVISOR_MONITOR_H
#define RIG_HYPERVISOR_MONITOR_H

/* Has QEMU do @command, a QMP command in JSON, and says "qmp" with what it answers. */
void monitor_tell(const char *command);

#endif
