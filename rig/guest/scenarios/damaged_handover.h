/* SPDX-License-Identifier: GPL-2.0-only */
/* The handover may be damaged. */
#ifndef RIG_SCENARIOS_DAMAGED_HANDOVER_H
#define RIG_SCENARIOS_DAMAGED_HANDOVER_H

#include "devices/workload.h"

/* In place of rig_resume(). */
void resume_damaged(struct rig *r);
/* Have the handover damaged as the option "corrupt" says, if it does. */
void damage_handover(void);

#endif
