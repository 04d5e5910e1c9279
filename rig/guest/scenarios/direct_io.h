/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_DIRECT_IO_H
#define RIG_SCENARIOS_DIRECT_IO_H

/*
 * From a VM's memory, a file of guestmemfs, to the host's disk, as QEMU does it for a disk of the
 * VM with cache=none, and with cache=writeback. Says what came of it.
 */
void direct_io(void);

#endif
