/* SPDX-License-Identifier: GPL-2.0-only */
/* The update by way of libcontinuo, with the same devices and the same memory. */
#ifndef RIG_LIBRARY_H
#define RIG_LIBRARY_H

#include "update.h"

/* library=replace, adopt or sizes: is it to be used? */
bool library_wanted(void);
/* What rig_preserve() and rig_resume() do, in few calls. */
void library_preserve(struct rig *r);
void library_resume(struct rig *r);

#endif
