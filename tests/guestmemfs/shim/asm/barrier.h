/* SPDX-License-Identifier: GPL-2.0-only */
/* One thread has no one to order its stores for. */
#define smp_wmb()	do { } while (0)
