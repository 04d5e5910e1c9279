// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */
/*
 * What the boot does with preserved memory, for ranges in place of pages.
 *
 * KHO walks through all that was preserved twice, before there is an allocator and with
 * one CPU. For each page it looked up the page's block in a tree, and had memblock find
 * the place of the page among all its regions, twice. The walk comes in the order of the
 * addresses, for each order of pages: so neighbours come one after the other, a block is
 * looked up once, and memblock hears of neighbours once.
 */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/kho_radix_tree.h>
#include <linux/memblock.h>

#include "kho_ranges.h"

static struct {
	phys_addr_t begin, end;
} range __initdata;

/**
 * kho_range_busy - note a block that has preserved memory in it
 * @tree: of the blocks, and of no others from the first call to the last one
 * @key: of the block
 *
 * Return: 0, or what kho_radix_add_key() says.
 */
int __init kho_range_busy(struct kho_radix_tree *tree, unsigned long key)
{
	static unsigned long last __initdata = ULONG_MAX;
	int err;

	if (key == last)
		return 0;
	err = kho_radix_add_key(tree, key);
	if (!err)
		last = key;
	return err;
}

/**
 * kho_range_flush - reserve what has not been reserved yet
 *
 * To be called after the last kho_range_reserve().
 */
void __init kho_range_flush(void)
{
	if (range.begin == range.end)
		return;
	memblock_reserve(range.begin, range.end - range.begin);
	memblock_reserved_mark_noinit(range.begin, range.end - range.begin);
	range.begin = range.end;
}

/**
 * kho_range_reserve - keep preserved memory from the allocator
 * @begin: physical address
 * @size: bytes
 *
 * Reserved at once or by kho_range_flush(). What memblock needs in between for itself
 * comes from KHO's scratch areas, where nothing is preserved.
 */
void __init kho_range_reserve(phys_addr_t begin, phys_addr_t size)
{
	if (begin != range.end) {
		kho_range_flush();
		range.begin = begin;
	}
	range.end = begin + size;
}
