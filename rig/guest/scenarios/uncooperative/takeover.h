/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that take over, and die on the way. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_TAKEOVER_H
#define RIG_SCENARIOS_UNCOOPERATIVE_TAKEOVER_H

#include "devices/workload.h"

/* Up to the step that @step names. */
void uncoop_kill(struct rig *r, const char *step);
/* To the end, over what dead processes left behind. */
void uncoop_resume(struct rig *r, const char *how);
/* The same in a memory cgroup; what does it have in tables then? */
void uncoop_charged(struct rig *r, const char *arg);

#endif
