/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_CONTAINER_H
#define RIG_SCENARIOS_CONTAINER_H

/*
 * Map memory for a device in a container of VFIO's own (type 1): a file of guestmemfs, and a
 * memfd. Says what came of each.
 */
void container_maps(void);

#endif
