/* SPDX-License-Identifier: GPL-2.0-only */
/* VMs that have a memfd in place of devices. */
#ifndef RIG_LIBCONTINUO_STAND_IN_VMS_H
#define RIG_LIBCONTINUO_STAND_IN_VMS_H

#include <sys/types.h>

/* How a VM answers to being asked to preserve. */
enum manner { WELL, FAILS, DIES, LATE };

/* Another process; returns when it is registered. */
pid_t vm_begin(const char *name, uid_t uid, enum manner manner);
void vm_end(pid_t pid);

#endif
