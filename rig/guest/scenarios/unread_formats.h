/* SPDX-License-Identifier: GPL-2.0-only */
/* The loaded kernel does not read what this one writes. */
#ifndef RIG_SCENARIOS_UNREAD_FORMATS_H
#define RIG_SCENARIOS_UNREAD_FORMATS_H

#include "devices/workload.h"

/* Tries to jump into each image in /skew; says "skew" of each, then "skew_over". */
void jump_to_unread_formats(struct rig *r);
/* The same with a kept mark and the next kernel; then the mark is an ordinary one. */
void jump_with_kept_mark(struct rig *r);

/* The next kernel with a back image, where devices know no way back; says "skew" of it, then "skew_over". */
void jump_with_back_image(struct rig *r);

#endif
