/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * With pf=vfio: who drives the physical function of an 82576 by way of vfio-pci, and is
 * somebody else than who has its virtual functions: the memory, the iommufd and the session are
 * its own. The PF gets the frames that the first virtual function gets. With disk_vf=1 it is that of
 * an NVMe controller, see devices/nvme_pf.h, which stays enabled and has nothing to do.
 */
#ifndef RIG_DEVICES_PF_OWNER_H
#define RIG_DEVICES_PF_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/igb.h"
#include "devices/nvme.h"
#include "interfaces/vfio.h"

/* The pool, and its queue, that the PF uses; no virtual function of a case has it. */
#define PF_POOL	7u

struct pf_owner {
	bool present;		/* It has the device now. */
	struct vdev v;
	int memfd, iommufd, session, ioas, hwpt;
	uint8_t *mem;
	union {
		struct igb igb;
		struct nvme nvme;
	};
};

extern struct pf_owner pf_owner;

/* What all who have one of the functions know. */
extern const uint8_t vf_token[VF_TOKEN_SIZE];

bool pf_owner_wanted(void);
/* Is it an NVMe controller? */
bool pf_owner_of_disk(void);
/* Where the PF is. */
void pf_owner_find(void);
/* Take the PF, which find has found: from reset to where SR-IOV can be switched on. */
void pf_owner_start(void);
/* Receive from here on. Again: does nothing. */
void pf_owner_receive(void);
/* The parts of it, for who gets it back. */
void pf_owner_mmap(void);
void pf_owner_build(void);
void pf_owner_poll(void);
/* In a process that was forked off by who has it: that process goes on without it. */
void pf_owner_leave(void);
void pf_owner_report(void);

#endif
