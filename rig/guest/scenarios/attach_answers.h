/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_ATTACH_ANSWERS_H
#define RIG_SCENARIOS_ATTACH_ANSWERS_H

#include <stdbool.h>

struct rig;

/*
 * Attach the devices to what there is and to what there is not, and report the answers. With
 * @detach they are without memory in between; without it they have it at each moment, if the
 * kernel replaces HWPTs without a gap.
 */
void attach_answers(struct rig *r, bool detach);

#endif
