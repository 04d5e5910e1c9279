/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a guest has its memory, from what QEMU's "info mtree -f" prints. QEMU maps each
 * range of the address space "memory" that is RAM or ROM for VFIO devices, in one piece.
 */
#ifndef MAP_H
#define MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_PIECES	4096
#define MAP_NAME	128

/* @first and @last: guest physical addresses, both inclusive. */
struct map_piece {
	uint64_t first, last;
	uint64_t offset;		/* in the memory */
	bool readonly;
	char name[MAP_NAME];		/* of the memory */
};

/*
 * The ranges of the address space "memory" that are RAM or ROM, in ascending order: their
 * number, or -1 and @why. Ranges that are not whole pages are left out, as QEMU does.
 */
int map_read(const char *text, struct map_piece piece[MAP_PIECES], char *why, size_t size);

#endif
