/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says of its memory. */
#ifndef RIG_INTERFACES_MEMORY_H
#define RIG_INTERFACES_MEMORY_H

#include <stddef.h>

/* How many pages KHO is told to preserve at the moment. */
long kho_pages(void);
/* /proc/vmstat, with nothing left in the counters of single CPUs. */
void read_vmstat(char *text, size_t len);
/* The number after @name in a text of "name number" lines; -1 if it is not there. */
long number_of(const char *text, const char *name);
/* Says how much memory is used for what. */
void emit_memory(void);

#endif
