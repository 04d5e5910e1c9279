/* SPDX-License-Identifier: GPL-2.0-only */
/* An HD audio device that plays a known pattern for ever, with the kernel's own driver. */
#ifndef RIG_VM_SOUND_H
#define RIG_VM_SOUND_H

#include <stdint.h>

/* Begins, if the kernel's command line has vm.sound=1. */
void sound_play(void);
/* How many interrupts the device has raised, one for each period; 0 without it. */
uint32_t sound_interrupts(void);

#endif
