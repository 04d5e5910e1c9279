/* SPDX-License-Identifier: GPL-2.0-only */
/* Up to the jump. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_BEFORE_JUMP_H
#define RIG_SCENARIOS_UNCOOPERATIVE_BEFORE_JUMP_H

#include "devices/workload.h"

void uncoop_preserve(struct rig *r, const char *arg);
/* What can be asked between preserve and jump. */
void uncoop_preserved(struct rig *r, const char *arg);
/* The same for what stops the device; undone again. */
void uncoop_stopped(struct rig *r, const char *arg);
void uncoop_start(struct rig *r, const char *arg);
void uncoop_undo(struct rig *r, const char *arg);
void uncoop_reboot(struct rig *r, const char *arg);
void uncoop_leave(struct rig *r, const char *arg);

#endif
