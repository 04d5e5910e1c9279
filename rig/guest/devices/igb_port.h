/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * With pf=igb: the host's own driver has the physical function of the 82576, as it is on most
 * hosts, and what a network manager does with it is done here.
 */
#ifndef RIG_DEVICES_IGB_PORT_H
#define RIG_DEVICES_IGB_PORT_H

#include <stdbool.h>

#include "interfaces/vfio.h"

bool igb_port_wanted(void);
/* Its interface goes up. */
void igb_port_start(void);
/* Each virtual function that it has now gets its address, and other settings. */
void igb_port_set_vfs(void);
/* Tell the driver, by the mailbox of a virtual function that was opened just now, that it begins. */
void igb_port_begin_vf(struct vdev *vf);
/*
 * The command port WHAT:
 *	up, down	the interface
 *	settings	what is set for each virtual function
 *	ask MAC		it gets the frames to that address as well
 *	registers	those that all functions share
 */
void igb_port_command(const char *args);

#endif
