/* SPDX-License-Identifier: GPL-2.0-only */
/* Plays a known pattern for ever on an Intel High Definition Audio controller. */
#ifndef RIG_DEVICES_HDA_H
#define RIG_DEVICES_HDA_H

#include <stdbool.h>
#include <stdint.h>

#include "interfaces/vfio.h"

struct hda {
	struct vdev *dev;
	uint8_t *mem;		/* of OFF_HDA_BDL */
	uint64_t iova;		/* the same place as the device sees it */
	const uint64_t *phys;	/* of each piece of the memory; NULL: iova holds for all */
};

void hda_start(struct hda *hda);
void hda_stop(struct hda *hda);
/* Does the device ask for an interrupt? Have it ask no more. */
bool hda_pending(struct hda *hda);
void hda_ack(struct hda *hda);
/* Where in the pattern the device is: as it says, and as it wrote to memory. */
unsigned int hda_position(struct hda *hda);
unsigned int hda_position_written(struct hda *hda);

#endif
