/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_FROZEN_FILE_H
#define RIG_SCENARIOS_UNCOOPERATIVE_FROZEN_FILE_H

#include "devices/workload.h"

/* What can be done to a memfd of huge pages while it is preserved, and when that is undone. */
void uncoop_frozen(struct rig *r, const char *arg);

#endif
