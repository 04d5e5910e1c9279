/* SPDX-License-Identifier: GPL-2.0-only */
/* What the VM's kernel command line says to process 1. */
#ifndef RIG_VM_OPTIONS_H
#define RIG_VM_OPTIONS_H

#include <stdbool.h>

/* Is it there, as in "vm.sound=1"? */
bool option_given(const char *option);

#endif
