/* SPDX-License-Identifier: GPL-2.0-only */
/* The way back; option back=1. */
#ifndef UPDATE_BACK_H
#define UPDATE_BACK_H

#include <stdbool.h>

/**
 * back_is_armed() - Can this kernel go back?
 *
 * Return: true if it can; without the option back=1, too.
 */
bool back_is_armed(void);

/**
 * back_begin() - Say how the kernel came here; event back
 *
 * With the option stray=1 a kernel that can go back has a device that was not handed
 * over do DMA. With again=1 the kernel that came back panics, too.
 */
void back_begin(void);

/**
 * back_reached() - A step is done: is it the one to fail after?
 * @step: Its name; begin is the start of the program.
 *
 * In a kernel that can go back the option fail=STEP:exit makes it panic, because its
 * process 1 ends, on the CPU cpu=N, and fail=STEP:silent does nothing for ever.
 */
void back_reached(const char *step);

/**
 * back_confirm() - All is there: devices may leave what they came with
 */
void back_confirm(void);

#endif
