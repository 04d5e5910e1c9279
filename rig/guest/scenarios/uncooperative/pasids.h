/* SPDX-License-Identifier: GPL-2.0-only */
/* PASIDs of a device that is preserved. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_PASIDS_H
#define RIG_SCENARIOS_UNCOOPERATIVE_PASIDS_H

#include "devices/workload.h"

/* Attach one and move another one while the network device is preserved, and when that is undone. */
void uncoop_pasids(struct rig *r, const char *arg);

#endif
