/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that goes on while the kernel is replaced; see scenarios/freeze_race.c. */
#ifndef RIG_SCENARIOS_FREEZE_RACE_H
#define RIG_SCENARIOS_FREEZE_RACE_H

#include "interfaces/vfio.h"

/* @what: see freeze_race.c. Replaces the process that there is. */
void freeze_race_begin(struct vdev *v, const char *what);
void freeze_race_end(void);

#endif
