/* SPDX-License-Identifier: GPL-2.0-only */
/* Replaces with no update. */
#ifndef RIG_SCENARIOS_REPLACE_H
#define RIG_SCENARIOS_REPLACE_H

#include <stdbool.h>

#include "devices/workload.h"

/* @n times from one HWPT to another that says the same, under load. */
void replace_hwpts(struct rig *r, unsigned long n);
/*
 * Replace all HWPTs by ones that lack a page, and keep the old ones. @in_use: one that the
 * audio device has used just now, else one that the network device will.
 */
void replace_without_page(struct rig *r, bool in_use);

#endif
