/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_KEEPER_H
#define RIG_KEEPER_H

/*
 * Does for the agent what systemd's store of descriptors does, and kills the agent: says
 * "kept" of each thing that is tried. rig/cases/systemd.py has systemd itself.
 */
void keeper_try(void);

#endif
