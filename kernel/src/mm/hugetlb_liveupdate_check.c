// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/build_bug.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/kho/abi/hugetlb_memfd.h>
#include <linux/limits.h>
#include <linux/liveupdate_check.h>
#include <linux/mm.h>

/* tests/handover has these layouts written down once more. */
static_assert(sizeof(struct hugetlb_memfd_run) == 8);
static_assert(offsetof(struct hugetlb_memfd_list, nr) == 8);
static_assert(offsetof(struct hugetlb_memfd_list, run) == 16);
static_assert(sizeof(struct hugetlb_memfd_list) == 4096);
static_assert(sizeof(struct hugetlb_memfd_list) <= PAGE_SIZE);
static_assert(offsetof(struct hugetlb_memfd_ser, size) == 8);
static_assert(offsetof(struct hugetlb_memfd_ser, seals) == 16);
static_assert(offsetof(struct hugetlb_memfd_ser, order) == 20);
static_assert(offsetof(struct hugetlb_memfd_ser, list) == 24);
static_assert(sizeof(struct hugetlb_memfd_ser) == 32);
static_assert(sizeof(struct hugetlb_pool_ser) == 16);
static_assert(offsetof(struct hugetlb_ser, pool) == 8);
static_assert(sizeof(struct hugetlb_ser) <= 4096);

/* Gigantic pages are of 16 GiB at most, wherever there are any. */
#define MAX_ORDER_OF_FOLIO	22

static const char *check_run(struct liveupdate_mem *mem, unsigned int order,
			     const struct hugetlb_memfd_run *run, u64 *left)
{
	u64 pa = (u64)run->first << (PAGE_SHIFT + order);
	u32 i;

	if (!run->nr)
		return "a run of its folios is empty";
	if (run->nr > *left)
		return "it has more folios than it is large";
	for (i = 0; i < run->nr; i++, pa += PAGE_SIZE << order) {
		if (!mem->get(mem, pa, order))
			return "a folio of it was not preserved";
		if (!mem->claim(mem, pa))
			return "a folio of it is used for something else, too";
	}
	*left -= run->nr;
	return NULL;
}

static const char *check_list(struct liveupdate_mem *mem, unsigned int order,
			      u64 pa, u64 left)
{
	const struct hugetlb_memfd_list *list;
	const char *why;
	u64 i;

	for (; pa; pa = list->next) {
		list = mem->get(mem, pa, 0);
		if (!list)
			return "a page of its runs was not preserved";
		/* Also ends a list that goes round. */
		if (!mem->claim(mem, pa))
			return "a page of it is used for something else, too";
		if (!list->nr || list->nr > HUGETLB_MEMFD_RUNS)
			return "a page of its runs has an impossible number of them";
		if (list->next && list->nr < HUGETLB_MEMFD_RUNS)
			return "a page in the middle of its runs is not full";
		for (i = 0; i < list->nr; i++) {
			why = check_run(mem, order, &list->run[i], &left);
			if (why)
				return why;
		}
	}
	return left ? "it has fewer folios than it is large" : NULL;
}

/**
 * hugetlb_memfd_ser_check() - Check the handover of a memfd of huge pages
 * @mem: How to get at memory.
 * @pa: Physical address of the handover.
 * @serp: On success, the handover.
 *
 * Its seals are no matter of this check, and whether this kernel has pages of
 * that order is not, either: whoever makes the file asks for both.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *hugetlb_memfd_ser_check(struct liveupdate_mem *mem, u64 pa,
				    const struct hugetlb_memfd_ser **serp)
{
	const struct hugetlb_memfd_ser *ser = mem->get(mem, pa, 0);
	const char *why;

	if (!ser)
		return "it was not preserved";
	if (!ser->order || ser->order > MAX_ORDER_OF_FOLIO)
		return "its order is impossible";
	if (ser->pos > S64_MAX)
		return "its position is impossible";
	if (ser->size > S64_MAX || ser->size & ((PAGE_SIZE << ser->order) - 1))
		return "its size is impossible";
	if (!mem->claim(mem, pa))
		return "a page of it is used for something else, too";
	why = check_list(mem, ser->order, ser->list,
			 ser->size >> (PAGE_SHIFT + ser->order));
	if (!why)
		*serp = ser;
	return why;
}

/* Do the pools of one node fit into @left pages; those of all nodes if @nid is negative? */
static bool pools_fit(const struct hugetlb_ser *ser, int nid, u64 left)
{
	const struct hugetlb_pool_ser *pool;
	u32 i;

	for (i = 0; i < ser->nr_pools; i++) {
		pool = &ser->pool[i];
		if (nid >= 0 && pool->nid != (u32)nid)
			continue;
		/* What is left is made smaller, so that there is no sum that overflows. */
		if (pool->nr > left >> pool->order)
			return false;
		left -= pool->nr << pool->order;
	}
	return true;
}

/**
 * hugetlb_ser_check() - Check the handover of the pools of huge pages
 * @mem: How to get at memory.
 * @pa: Physical address of the handover.
 * @limits: What there is of nodes and memory.
 * @serp: On success, the handover.
 *
 * A number that is wrong and still fits does no lasting harm: what is counted and
 * does not come back is counted no more in the end.
 *
 * The previous kernel may have had nodes that this one does not have (numa=off).
 * Their pools are on some other node here, so only the sum of all is checked. If
 * it was the previous kernel that had fewer nodes, its counts may be too large for
 * the node that they name, and are refused.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *hugetlb_ser_check(struct liveupdate_mem *mem, u64 pa,
			      const struct hugetlb_ser_limits *limits,
			      const struct hugetlb_ser **serp)
{
	const struct hugetlb_ser *ser = mem->get(mem, pa, 0);
	const struct hugetlb_pool_ser *pool;
	u32 i, j;
	u64 pages;

	if (!ser)
		return "it was not preserved";
	if (ser->reserved)
		return "a reserved field is set";
	if (ser->nr_pools > HUGETLB_SER_POOLS)
		return "there are more pools than there can be";
	for (i = 0; i < ser->nr_pools; i++) {
		pool = &ser->pool[i];
		if (!pool->order || pool->order > MAX_ORDER_OF_FOLIO)
			return "the order of a pool is impossible";
		if (pool->nid >= limits->nodes)
			return "a pool is on a node that cannot be";
		if (pool->nr > U32_MAX)
			return "a pool is impossibly large";
		for (j = 0; j < i; j++)
			if (ser->pool[j].order == pool->order && ser->pool[j].nid == pool->nid)
				return "two pools are the same";
	}
	if (!pools_fit(ser, -1, limits->pages))
		return "the pools have more pages than the machine";
	for (i = 0; i < ser->nr_pools; i++) {
		pages = limits->node_pages(ser->pool[i].nid);
		if (pages && !pools_fit(ser, ser->pool[i].nid, pages))
			return "the pools of a node have more pages than the node";
	}
	*serp = ser;
	return NULL;
}
