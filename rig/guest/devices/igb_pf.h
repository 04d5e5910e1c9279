/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The physical function of an 82576 whose virtual functions are used, in place of the
 * driver that a host has for it. Option vf=N: it has N of them. The first one is the
 * network device of the case, the second one the bystander, if there is one. Option
 * pf=vfio: user space has it, see devices/pf_owner.h; pf=igb: the host's own driver, see
 * devices/igb_port.h.
 */
#ifndef RIG_DEVICES_IGB_PF_H
#define RIG_DEVICES_IGB_PF_H

#include "interfaces/vfio.h"

/* The first time: gives the PF to pci-pf-stub or vfio-pci, which switches SR-IOV on. */
void igb_pf_start(void);
/* Gives each PF that there is to pci-pf-stub, and switches @vfs of each on, which do nothing. How many PFs there are. */
unsigned int igb_pf_start_idle(unsigned int vfs);
/* Has the PF share what comes in. Opening a VF resets it: @vf, which was opened just now, gets no frames before this. */
void igb_pf_share(struct vdev *vf);

#endif
