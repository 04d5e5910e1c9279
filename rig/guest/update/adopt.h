/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of restored HWPTs become those of rebuilt ones. */
#ifndef RIG_UPDATE_ADOPT_H
#define RIG_UPDATE_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/workload.h"

/* Does this run adopt, in place of building new tables? */
bool adopt_wanted(void);
/* Are tables adopted, and not the sizes of their leaves alone? */
bool adopt_shares_tables(void);
/*
 * Builds the IOAS without the page at offset @hole, if that is not 0, and HWPTs
 * of it with the tables of the restored ones. Says "adopted" of each try.
 */
void adopt_tables(struct rig *r, uint64_t hole, int old_nic, int old_audio,
		  int *nic, int *audio);

#endif
