/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal on the VM's disk: numbered records, one after the other, each of which is
 * written and flushed before the next one. rig/referee/journal.py reads it.
 */
#ifndef RIG_VM_JOURNAL_H
#define RIG_VM_JOURNAL_H

#include <stdint.h>

/* Opens the disk, and starts the thread that writes. */
void journal_start(void);
/* How many records the disk has said that it has. */
uint64_t journal_acknowledged(void);
/* No record is begun any more, and the one that was begun is on the disk. */
void journal_stop(void);

#endif
