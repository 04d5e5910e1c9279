/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_PEER_BAR_H
#define RIG_SCENARIOS_PEER_BAR_H

#include "devices/workload.h"

/*
 * Have the BAR of the audio device mapped where the network device does DMA, and say what the preserve of that
 * address space is answered. Afterwards the BAR is not mapped any more, but still exported, and nothing is preserved.
 */
void peer_bar(struct rig *r);

#endif
