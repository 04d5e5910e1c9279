/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_LIMITED_H
#define RIG_SCENARIOS_UNCOOPERATIVE_LIMITED_H

struct rig;

void uncoop_limited(struct rig *r, const char *arg);

#endif
