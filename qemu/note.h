/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has been done to a VM, in a file: for a broker that comes after one that died. If it
 * is lost, so is only what it says; the VM runs.
 */
#ifndef NOTE_H
#define NOTE_H

#include "vm.h"

void note_write(struct vm *vm);
void note_remove(struct vm *vm);
/* Reads what concerns just this process of QEMU into @vm; false if there is nothing. */
bool note_read(struct vm *vm);

#endif
