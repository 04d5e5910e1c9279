/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_RANGES_H
#define _LINUX_KHO_RANGES_H

#include <linux/types.h>

struct kho_radix_tree;

int kho_range_busy(struct kho_radix_tree *tree, unsigned long key);
void kho_range_reserve(phys_addr_t begin, phys_addr_t size);
void kho_range_flush(void);

#endif
