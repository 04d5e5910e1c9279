/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdlib.h>
/* The kernel's has nothing against an array of no entries that is nowhere. */
#define sort(base, nr, size, compare, swap)	((nr) ? qsort(base, nr, size, compare) : (void)0)
