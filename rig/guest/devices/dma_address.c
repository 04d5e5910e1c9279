// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "core/control.h"
#include "core/options.h"
#include "devices/dma_address.h"
#include "interfaces/iommufd.h"

bool without_iommu(void)
{
	return opt_num("noiommu", 0);
}

int find_pieces(int iommufd, uint32_t ioas, uint64_t phys[DMA_PIECES])
{
	for (unsigned int i = 0; i < DMA_PIECES; i++) {
		/* The first of them is not mapped from its beginning. */
		uint64_t at = i ? i * DMA_PIECE : OFF_NIC_RING, pa, bytes;
		int ret;

		phys[i] = 0;
		bytes = DMA_PIECE - at % DMA_PIECE;
		ret = iommufd_get_pa(iommufd, ioas, IOVA_BASE + at, &bytes, &pa);
		if (ret == -ENOENT)
			continue;
		if (ret)
			return ret;
		phys[i] = pa - at % DMA_PIECE;
	}
	return 0;
}

void emit_pieces(const char *whose, const uint64_t phys[DMA_PIECES])
{
	for (unsigned int i = 0; i < DMA_PIECES; i++)
		if (phys[i])
			emit("piece", ",\"whose\":\"%s\",\"phys\":%llu,\"bytes\":%lu",
			     whose, (unsigned long long)phys[i], DMA_PIECE);
}
