/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layouts of 7.3 that a memfd is handed over in. The check itself asserts that
 * they are so, here and in the kernel.
 */
#ifndef SHIM_KHO_ABI_MEMFD_H
#define SHIM_KHO_ABI_MEMFD_H

#include <linux/bits.h>
#include <linux/types.h>

#define KHO_VMALLOC_SIZE	(PAGE_SIZE / sizeof(u64) - 1)

struct kho_vmalloc_chunk {
	struct {
		struct {
			u64 phys;
		} next;
	} hdr;
	u64 phys[KHO_VMALLOC_SIZE];
};

struct kho_vmalloc {
	struct {
		u64 phys;
	} first;
	u32 total_pages;
	u16 flags;
	u16 order;
};

#define MEMFD_LUO_FOLIO_DIRTY		BIT(0)
#define MEMFD_LUO_FOLIO_UPTODATE	BIT(1)

struct memfd_luo_folio_ser {
	u64 pfn : 52;
	u64 flags : 12;
	u64 index;
} __packed;

struct memfd_luo_ser {
	u64 pos;
	u64 size;
	u32 seals;
	u32 flags;
	u64 nr_folios;
	struct kho_vmalloc folios;
} __packed;

#endif
