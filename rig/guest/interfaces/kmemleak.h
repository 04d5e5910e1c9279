/* SPDX-License-Identifier: GPL-2.0-only */
/* The leak detector of a debug kernel. */
#ifndef RIG_INTERFACES_KMEMLEAK_H
#define RIG_INTERFACES_KMEMLEAK_H

void kmemleak_check(void);

#endif
