/* SPDX-License-Identifier: GPL-2.0-only */
/* The update by way of libcontinuo, with the same devices and the same memory. */
#ifndef RIG_LIBCONTINUO_VM_H
#define RIG_LIBCONTINUO_VM_H

#include <stdbool.h>

#include "continuo.h"
#include "devices/workload.h"

/* library=replace, adopt or sizes: is it to be used? */
bool library_wanted(void);
/* What rig_preserve() and rig_resume() do, in few calls. */
void library_preserve(struct rig *r);
void library_resume(struct rig *r);
/* The part of it that a VM does, in a session of that name; 0 or a negative errno. */
void library_as(struct continuo *ctx, const char *name);
int library_preserve_vm(struct rig *r);
/*
 * Undo it, when its session is closed: says by the event "marks", of @who, whether the mark of its
 * HWPT was there (an errno, or 0), and whether it is when all is undone.
 */
void library_unpreserve_vm(struct rig *r, const char *who);

#endif
