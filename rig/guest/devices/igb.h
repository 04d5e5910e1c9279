/* SPDX-License-Identifier: GPL-2.0-only */
/* A receive-only driver for Intel's 82576 ("igb"). */
#ifndef RIG_DEVICES_IGB_H
#define RIG_DEVICES_IGB_H

#include <stdint.h>

#include "devices/dma_memory.h"
#include "interfaces/vfio.h"

#define ID_INTEL	0x8086
#define ID_IGB		0x10c9
#define ID_IGBVF	0x10ca

struct igb {
	struct vdev *dev;
	struct nic_state *st;
	const char *name;	/* in events */
	uint8_t *mem;		/* of OFF_NIC_RING */
	uint64_t iova;		/* the same place as the device sees it */
	unsigned int vf;	/* number of the virtual function, from 1; 0: it is none */
	unsigned int pool;	/* of a PF with virtual functions: whose queue it uses; 0: it has none */
	const uint64_t *phys;	/* of each piece of the memory; NULL: iova holds for all */
};

/* How many virtual functions there are to be; 0: the PF itself is used. */
unsigned int igb_vfs(void);
/* Of a PF: take it from reset to a link; switch reception on. */
void igb_reset(struct vdev *pf);
void igb_receive(struct vdev *pf);

void igb_start(struct igb *nic);
/* No DMA any more. */
void igb_stop(struct igb *nic);
void igb_mac(struct igb *nic, uint8_t mac[6]);
/* The address whose frames the @nth virtual function gets. */
void igb_vf_mac(unsigned int nth, uint8_t mac[6]);
/* Takes what has arrived, posts the buffers again; how many were taken. */
unsigned int igb_poll(struct igb *nic);
/* Ends the run in progress so that the referee has heard of every frame. */
void igb_flush(struct igb *nic);
unsigned int igb_head(struct igb *nic);
/* The slot that the device fills next; never wraps. */
uint64_t igb_at(struct igb *nic);
/* A buffer that it comes to some seconds later, and the slots whose buffers are on the same page. */
struct igb_place {
	uint64_t offset;		/* in the memory */
	uint64_t begin, end;
};
struct igb_place igb_ahead(struct igb *nic);
/* The members of an event that say of a page that is missing where it is, and where the device is. */
#define IGB_PLACE_TEXT	160
void igb_place_text(struct igb *nic, const struct igb_place *place, char text[static IGB_PLACE_TEXT]);
/* When the latest of the frames that are in the memory was sent, in the sender's ns; 0: there is none. */
uint64_t igb_latest(struct igb *nic);

#endif
