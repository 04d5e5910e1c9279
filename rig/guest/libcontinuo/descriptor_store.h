/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_LIBCONTINUO_DESCRIPTOR_STORE_H
#define RIG_LIBCONTINUO_DESCRIPTOR_STORE_H

/*
 * Does for the agent what systemd's store of descriptors does, and kills the agent: says
 * "kept" of each thing that is tried. rig/cases/systemd.py has systemd itself.
 */
void test_descriptor_store(void);

#endif
