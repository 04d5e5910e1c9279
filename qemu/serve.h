/* SPDX-License-Identifier: GPL-2.0-only */
/* As long as QEMU runs: what the agent orders, what QEMU says, and signals. */
#ifndef SERVE_H
#define SERVE_H

#include "vm.h"

/* Connects to the agent; 0, or -1 with why(). */
int serve_connect(struct vm *vm);

/* Ends with QEMU, or when it is told to: the exit status of the program. */
int serve(struct vm *vm);

#endif
