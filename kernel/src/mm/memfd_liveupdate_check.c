// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kho/abi/memfd.h>
#include <linux/limits.h>
#include <linux/liveupdate_check.h>

/*
 * tests/handover has these layouts written down once more. No record is on two
 * pages.
 */
static_assert(sizeof(struct memfd_luo_folio_ser) == 16);
static_assert(offsetof(struct memfd_luo_folio_ser, index) == 8);
static_assert(PAGE_SIZE % sizeof(struct memfd_luo_folio_ser) == 0);
static_assert(offsetof(struct memfd_luo_ser, size) == 8);
static_assert(offsetof(struct memfd_luo_ser, seals) == 16);
static_assert(offsetof(struct memfd_luo_ser, flags) == 20);
static_assert(offsetof(struct memfd_luo_ser, nr_folios) == 24);
static_assert(offsetof(struct memfd_luo_ser, folios) == 32);
static_assert(offsetof(struct kho_vmalloc, total_pages) == 8);
static_assert(offsetof(struct kho_vmalloc, flags) == 12);
static_assert(offsetof(struct kho_vmalloc, order) == 14);
static_assert(offsetof(struct kho_vmalloc_chunk, phys) == 8);

#define RECORDS	(PAGE_SIZE / sizeof(struct memfd_luo_folio_ser))

/**
 * struct memfd_walk - How far a list of folios is checked
 * @mem:    How to get at memory.
 * @pages:  Pages of the file.
 * @next:   The page of the file that comes next.
 * @folios: Records still to come.
 * @order:  The pages of the list come in blocks of so many, as exponent.
 * @left:   Pages of the list still to come.
 */
struct memfd_walk {
	struct liveupdate_mem *mem;
	u64 pages;
	u64 next;
	u64 folios;
	unsigned int order;
	u64 left;
};

static const char *check_folio(struct memfd_walk *walk,
			       const struct memfd_luo_folio_ser *folio)
{
	u64 pa = (u64)folio->pfn << PAGE_SHIFT;
	size_t size;

	if (folio->flags & ~(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE))
		return "unknown flags of a folio";
	if (!liveupdate_check_sized(walk->mem, pa, &size))
		return "a folio of it was not preserved";
	if (folio->index % (size >> PAGE_SHIFT))
		return "a folio of it is at a place where it cannot be";
	if (folio->index != walk->next)
		return "its folios do not follow each other";
	if (folio->index >= walk->pages)
		return "a folio of it is behind its end";
	if (!walk->mem->claim(walk->mem, pa))
		return "a folio of it is used for something else, too";
	walk->next += size >> PAGE_SHIFT;
	return NULL;
}

/* One page, or one block of them, of the list */
static const char *check_block(struct memfd_walk *walk, u64 pa)
{
	const struct memfd_luo_folio_ser *folios;
	const char *why;
	u64 i;

	if (walk->left < BIT(walk->order))
		return "its list of folios has more pages than it says";
	folios = walk->mem->get(walk->mem, pa, walk->order);
	if (!folios)
		return "a page of its list of folios was not preserved";
	if (!walk->mem->claim(walk->mem, pa))
		return "a page of its list of folios is used for something else, too";
	walk->left -= BIT(walk->order);
	for (i = 0; i < RECORDS << walk->order && walk->folios; i++) {
		why = check_folio(walk, &folios[i]);
		if (why)
			return why;
		walk->folios--;
	}
	return NULL;
}

static const char *check_list(struct memfd_walk *walk, u64 pa)
{
	const struct kho_vmalloc_chunk *chunk;
	const char *why;
	unsigned int i;

	for (; pa; pa = chunk->hdr.next.phys) {
		chunk = walk->mem->get(walk->mem, pa, 0);
		if (!chunk)
			return "a chunk of its list of folios was not preserved";
		/* Also ends a list that goes round. */
		if (!walk->mem->claim(walk->mem, pa))
			return "a page of its list of folios is used for something else, too";
		for (i = 0; i < KHO_VMALLOC_SIZE && chunk->phys[i]; i++) {
			why = check_block(walk, chunk->phys[i]);
			if (why)
				return why;
		}
		/* The last one may be empty: KHO begins it when one is full. */
		if (i < KHO_VMALLOC_SIZE && chunk->hdr.next.phys)
			return "a chunk in the middle of its list of folios is not full";
	}
	if (walk->left)
		return "its list of folios has fewer pages than it says";
	return walk->next < walk->pages ? "folios at its end are missing" : NULL;
}

/**
 * memfd_ser_check() - Check the handover of a memfd
 * @mem: How to get at memory.
 * @pa: Physical address of the handover.
 * @serp: On success, the handover.
 *
 * Preserve fills the holes of a file, so its folios are one after the other from
 * its first page to its last. Its seals are no matter of this check: whoever makes
 * the file asks for those that it knows.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *memfd_ser_check(struct liveupdate_mem *mem, u64 pa,
			    const struct memfd_luo_ser **serp)
{
	const struct memfd_luo_ser *ser = mem->get(mem, pa, 0);
	struct memfd_walk walk = { .mem = mem };
	const char *why;
	u64 blocks;

	if (!ser)
		return "it was not preserved";
	if (ser->flags)
		return "unknown flags";
	if (ser->pos > S64_MAX)
		return "its position is impossible";
	/* Larger ones are not preserved. */
	if (ser->size > (u64)U32_MAX << PAGE_SHIFT)
		return "its size is impossible";
	walk.pages = (ser->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (ser->nr_folios > walk.pages || !ser->nr_folios != !walk.pages)
		return "its number of folios is impossible";
	*serp = ser;
	if (!ser->nr_folios)
		return NULL;

	walk.folios = ser->nr_folios;
	walk.order = ser->folios.order;
	if (walk.order > LIVEUPDATE_CHECK_MAX_ORDER)
		return "its list of folios has impossible pages";
	blocks = (ser->nr_folios + (RECORDS << walk.order) - 1) /
		 (RECORDS << walk.order);
	walk.left = ser->folios.total_pages;
	if (walk.left != blocks << walk.order)
		return "its list of folios has another length than its number of folios";
	why = check_list(&walk, ser->folios.first.phys);
	if (!why && !mem->claim(mem, pa))
		why = "it is used for something else, too";
	return why;
}
