/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tenants: VMs of users other than root, each a process with a device of its own, that
 * are asked by the agent. "continuo update" carries them over, not this program.
 */
#ifndef RIG_LIBCONTINUO_TENANTS_H
#define RIG_LIBCONTINUO_TENANTS_H

#include <stdbool.h>

/* tenants=1 */
bool tenants_wanted(void);
/* The processes of the first kernel: each begins with its device, and registers. */
void tenants_start(void);
/* What the agent starts in the next kernel: the VM @name of the user @uid. */
void tenant_take_over(const char *name, const char *uid) __attribute__((noreturn));
/* Each says what it has received so far; stops what it does, and ends. */
void tenants_report(void);
void tenants_stop(void);

#endif
