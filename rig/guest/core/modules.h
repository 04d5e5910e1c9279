/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_CORE_MODULES_H
#define RIG_CORE_MODULES_H

/* Load what is in /modules, in the order of /modules/order. Fails the run if one does not load. */
void modules_load(void);

#endif
