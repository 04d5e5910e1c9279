/* SPDX-License-Identifier: GPL-2.0-only */
/* vm=1: a host that has a VM in an unmodified QEMU, and nothing else to do. */
#ifndef RIG_HYPERVISOR_QEMU_H
#define RIG_HYPERVISOR_QEMU_H

#include <stdbool.h>

bool hypervisor_wanted(void);
/* Makes this a host: its disk, guestmemfs with guestmem=1, and with agent=1 the agent; also the VM's devices, in stage 1 and with
 * preserve=0. */
void hypervisor_begin(void);
/* What the agent starts for a VM that has come over. */
void hypervisor_take(const char *name, const char *uid) __attribute__((noreturn));
/* Starts the VM as the lines of the file /host/vm/@name say, one argument each. */
void hypervisor_start(const char *name);
/* Says "vm_said" of what the VM writes on its console, and "vm_ended" of what was started. */
void hypervisor_poll(void);
/* Waits until no VM is there any more, and jumps into the next kernel, which is loaded already. */
void hypervisor_jump(void) __attribute__((noreturn));
/* Waits until no VM is there any more, and powers off. */
void hypervisor_stop(void);

#endif
