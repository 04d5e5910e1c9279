// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Pools of huge pages over a live update
 *
 * hugepages= on the next kernel's command line means all huge pages of the pool,
 * with those that come over; also where it names a node. How many come is handed
 * over for each size and node, in a place of its own next to LUO's state: gigantic
 * pages are taken for the pool before anything but KHO can be asked. What comes is
 * taken off what the pools are filled with, and counted as pages that are in use.
 * If more come than the command line says, they are surplus, and are freed to the
 * host when their files go.
 *
 * A page that comes back is one of those that were counted. When the last file is
 * finished, what was counted and has not come (its file was refused, or cannot be
 * used) is counted no more: nobody knows where it is until the next reboot.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/err.h>
#include <linux/hugetlb.h>
#include <linux/hugetlb_liveupdate.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_show.h>
#include <linux/lockdep.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>

#include "hugetlb_liveupdate_internal.h"

/* Pages that are to come, and that the pools are therefore not filled with. */
static unsigned int expected[HUGE_MAX_HSTATE][MAX_NUMNODES] __initdata;

/* Pages that were counted, and have not come back; protected by hugetlb_lock. */
static unsigned int awaited[HUGE_MAX_HSTATE][MAX_NUMNODES];

/* What is handed over; protected by the lock. */
static struct hugetlb_ser *outgoing;
static DEFINE_MUTEX(outgoing_lock);

static struct hugetlb_pool_ser *find_pool(u32 order, u32 nid)
{
	struct hugetlb_pool_ser *pool;
	unsigned int i;

	lockdep_assert_held(&outgoing_lock);
	for (i = 0; i < outgoing->nr_pools; i++) {
		pool = &outgoing->pool[i];
		if (pool->order == order && pool->nid == nid)
			return pool;
	}
	if (outgoing->nr_pools == HUGETLB_SER_POOLS)
		return NULL;
	pool = &outgoing->pool[outgoing->nr_pools++];
	pool->order = order;
	pool->nid = nid;
	return pool;
}

/**
 * hugetlb_liveupdate_count() - A huge page is preserved, or is so no more
 * @folio: The page.
 * @preserved: Which of the two.
 *
 * Return: 0; -ENOSPC if there are more sizes and nodes than can be handed over,
 * which can be so only with @preserved.
 */
int hugetlb_liveupdate_count(struct folio *folio, bool preserved)
{
	struct hugetlb_pool_ser *pool;

	guard(mutex)(&outgoing_lock);
	pool = find_pool(folio_order(folio), folio_nid(folio));
	if (!pool)
		return -ENOSPC;
	pool->nr += preserved ? 1 : -1;
	return 0;
}

static int pools_preserve(struct liveupdate_flb_op_args *args)
{
	struct hugetlb_ser *ser = kho_alloc_preserve(sizeof(*ser));
	int err;

	if (IS_ERR(ser))
		return PTR_ERR(ser);
	err = kho_add_subtree(HUGETLB_LIVEUPDATE_COMPATIBLE, ser, sizeof(*ser));
	if (err) {
		kho_unpreserve_free(ser);
		return err;
	}
	guard(mutex)(&outgoing_lock);
	outgoing = ser;
	args->data = virt_to_phys(ser);
	args->obj = ser;
	return 0;
}

static void pools_unpreserve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&outgoing_lock);
	outgoing = NULL;
	kho_remove_subtree(args->obj);
	kho_unpreserve_free(args->obj);
}

/* Known from free_area_init() on, and so when gigantic pages are taken. */
static u64 node_pages(u32 nid)
{
	return node_online(nid) ? node_present_pages(nid) : 0;
}

static const char *check_pools(struct liveupdate_mem *mem, u64 pa,
			       const struct hugetlb_ser **serp)
{
	struct hugetlb_ser_limits limits = {
		.nodes = MAX_NUMNODES,
		.node_pages = node_pages,
	};
	int nid;

	for_each_online_node(nid)
		limits.pages += node_pages(nid);
	return hugetlb_ser_check(mem, pa, &limits, serp);
}

/* What cannot be used is NULL, and not an error: LUO asks again at the end, and warns of one. */
static int pools_retrieve(struct liveupdate_flb_op_args *args)
{
	const struct hugetlb_ser *ser = NULL;
	struct liveupdate_kho_mem kho;
	const char *why;

	liveupdate_kho_mem_init(&kho);
	why = check_pools(&kho.mem, args->data, &ser);
	liveupdate_kho_mem_destroy(&kho);
	if (why) {
		pr_err("handover of the pools of huge pages refused: %s\n", why);
		liveupdate_refused("list", "hugetlb", why, "name=%s",
				   HUGETLB_LIVEUPDATE_COMPATIBLE);
	}
	args->obj = (void *)ser;
	return 0;
}

static void pools_finish(struct liveupdate_flb_op_args *args)
{
	struct hstate *h;
	int nid;

	spin_lock_irq(&hugetlb_lock);
	for_each_hstate(h) {
		for_each_node(nid) {
			unsigned int nr = awaited[hstate_index(h)][nid];
			unsigned int surplus = min(nr, h->surplus_huge_pages_node[nid]);

			awaited[hstate_index(h)][nid] = 0;
			h->nr_huge_pages -= nr;
			h->nr_huge_pages_node[nid] -= nr;
			h->surplus_huge_pages -= surplus;
			h->surplus_huge_pages_node[nid] -= surplus;
		}
	}
	spin_unlock_irq(&hugetlb_lock);
	if (args->obj)
		kho_restore_free(args->obj);
}

static const struct liveupdate_flb_ops pools_ops = {
	.preserve = pools_preserve,
	.unpreserve = pools_unpreserve,
	.retrieve = pools_retrieve,
	.finish = pools_finish,
	.owner = THIS_MODULE,
};

static struct liveupdate_flb pools_flb = {
	.ops = &pools_ops,
	.compatible = HUGETLB_LIVEUPDATE_COMPATIBLE,
};

/**
 * hugetlb_liveupdate_register() - Hand the pools over with the files of a handler
 * @fh: The handler.
 *
 * Return: 0, or the error of liveupdate_register_flb().
 */
int hugetlb_liveupdate_register(struct liveupdate_file_handler *fh)
{
	return liveupdate_register_flb(fh, &pools_flb);
}

/* So early there is nothing to ask but whether there is memory at all. */
static const void __init *early_get(struct liveupdate_mem *mem, u64 pa, unsigned int order)
{
	u64 size = PAGE_SIZE << order;

	if (!IS_ALIGNED(pa, size) || !memblock_is_region_memory(pa, size))
		return NULL;
	return phys_to_virt(pa);
}

/* A pool is not filled with what comes; where nodes were named, each by itself. */
static void __init expect(struct hstate *h, const struct hugetlb_ser *ser)
{
	unsigned int *by_node = h->max_huge_pages_node;
	bool nodes = false;
	unsigned int i;
	int nid;

	for_each_node(nid)
		nodes |= by_node[nid] > 0;
	for (i = 0; i < ser->nr_pools; i++) {
		const struct hugetlb_pool_ser *pool = &ser->pool[i];
		unsigned long nr;

		if (pool->order != huge_page_order(h))
			continue;
		nr = min_t(unsigned long, pool->nr, h->max_huge_pages);
		if (nodes) {
			nr = min_t(unsigned long, nr, by_node[pool->nid]);
			by_node[pool->nid] -= nr;
		}
		h->max_huge_pages -= nr;
		expected[hstate_index(h)][pool->nid] = nr;
	}
}

/**
 * hugetlb_liveupdate_expect() - Take what comes over off what a pool is filled with
 * @h: The pool. Only if its pages are gigantic, which are taken before there is a
 *     page allocator, this is done here.
 *
 * If nothing can be read so early the pool gets that much more: what comes is
 * counted in any case.
 */
void __init hugetlb_liveupdate_expect(struct hstate *h)
{
	struct liveupdate_mem mem = { .get = early_get };
	const struct hugetlb_ser *ser;
	phys_addr_t pa;
	size_t size;

	if (hstate_is_gigantic(h) &&
	    !kho_retrieve_subtree(HUGETLB_LIVEUPDATE_COMPATIBLE, &pa, &size) &&
	    size >= sizeof(*ser) &&
	    !check_pools(&mem, pa, &ser))
		expect(h, ser);
}

/* Of one node. */
static void __init await(struct hstate *h, u32 nid, unsigned int nr)
{
	unsigned int surplus = nr - min(nr, expected[hstate_index(h)][nid]);

	spin_lock_irq(&hugetlb_lock);
	awaited[hstate_index(h)][nid] += nr;
	h->nr_huge_pages += nr;
	h->nr_huge_pages_node[nid] += nr;
	h->max_huge_pages += nr - surplus;
	h->surplus_huge_pages += surplus;
	h->surplus_huge_pages_node[nid] += surplus;
	spin_unlock_irq(&hugetlb_lock);
}

/**
 * hugetlb_liveupdate_await() - Count what comes over as part of a pool
 * @h: The pool; if its pages are gigantic they were taken already, else it is not
 *     filled yet.
 *
 * Return: true if the pool has got all that it is to have.
 */
bool __init hugetlb_liveupdate_await(struct hstate *h)
{
	const struct hugetlb_ser *ser;
	unsigned int i;
	void *obj;

	if (!is_kho_boot() || liveupdate_flb_get_incoming(&pools_flb, &obj))
		return false;
	ser = obj;
	/* Refused: the pool is filled as if nothing came. */
	if (!ser) {
		liveupdate_flb_put_incoming(&pools_flb);
		return false;
	}
	if (!hstate_is_gigantic(h))
		expect(h, ser);
	for (i = 0; i < ser->nr_pools; i++)
		if (ser->pool[i].order == huge_page_order(h))
			await(h, ser->pool[i].nid, ser->pool[i].nr);
	liveupdate_flb_put_incoming(&pools_flb);
	return h->nr_huge_pages - h->surplus_huge_pages >= h->max_huge_pages;
}

/**
 * hugetlb_liveupdate_arrived() - A huge page that came over is one of the pool's
 * @h: The pool.
 * @nid: The node that the page is on.
 *
 * Context: hugetlb_lock is held.
 */
void hugetlb_liveupdate_arrived(struct hstate *h, int nid)
{
	lockdep_assert_held(&hugetlb_lock);
	if (awaited[hstate_index(h)][nid]) {
		awaited[hstate_index(h)][nid]--;
		return;
	}
	h->nr_huge_pages++;
	h->nr_huge_pages_node[nid]++;
}
