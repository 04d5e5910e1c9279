/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device has to be told so that it finds a place of the memory: an IOVA, or
 * with the option noiommu=1 a physical address. The memory is of huge pages then
 * (hugetlb=21), of which each is a piece.
 */
#ifndef RIG_DEVICES_DMA_ADDRESS_H
#define RIG_DEVICES_DMA_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/dma_memory.h"

bool without_iommu(void);
/*
 * Ask where each piece of what is mapped at IOVA_BASE is; those that are not mapped
 * are 0. 0 or -errno.
 */
int find_pieces(int iommufd, uint32_t ioas, uint64_t phys[DMA_PIECES]);
/* Say so, of whose memory. */
void emit_pieces(const char *whose, const uint64_t phys[DMA_PIECES]);

static inline uint64_t dma_address(const uint64_t *phys, uint64_t at)
{
	return phys ? phys[at / DMA_PIECE] + at % DMA_PIECE : IOVA_BASE + at;
}

#endif
