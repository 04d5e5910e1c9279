// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * What page tables need of KHO, in a kernel that is a process (User Mode Linux)
 * and has no kexec: for unit tests and benchmarks of preserve, restore and adopt.
 *
 * Nothing is imitated that could be had: what is preserved is kept in KHO's own
 * radix tree. The build cuts it out of kexec_handover.c (Makefile.liveupdate),
 * the rest of which wants a machine that boots. The jump is what differs: all
 * pages stay where they are, and kho_native_jump() makes them pages that came
 * from a previous kernel, as KHO's early boot does.
 */
#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho_radix_tree.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../../drivers/iommu/iommu-pages.h"
#include <linux/kho_native.h>

#include "kho_native_cut.h"

static struct kho_radix_tree tree;

static unsigned long key_of(struct folio *folio)
{
	return kho_native_encode_radix_key(PFN_PHYS(folio_pfn(folio)),
					   folio_order(folio));
}

int kho_native_preserve_folio(struct folio *folio)
{
	return kho_native_radix_add_key(&tree, key_of(folio));
}

void kho_native_unpreserve_folio(struct folio *folio)
{
	kho_native_radix_del_key(&tree, key_of(folio));
}

void *kho_native_restore(phys_addr_t phys, size_t size)
{
	if (!kho_native_is_preserved(phys, get_order(size)))
		return NULL;
	/* It is a page of iommu-pages.c still: that is where it came from. */
	phys_to_page(phys)->private = 0;
	folio_ioptdesc(page_folio(phys_to_page(phys)))->incoherent = false;
	return phys_to_virt(phys);
}

static int came(unsigned long key, void *arg)
{
	unsigned long *n = arg;
	union kho_page_info info = { .magic = KHO_PAGE_MAGIC };
	phys_addr_t phys = kho_native_decode_radix_key(key, &info.order);

	phys_to_page(phys)->private = info.page_private;
	(*n)++;
	return 0;
}

static int node(phys_addr_t phys, void *arg)
{
	unsigned long *n = arg;

	(*n)++;
	return 0;
}

/**
 * kho_native_jump() - What is preserved is what came from here on
 *
 * Return: number of folios.
 */
unsigned long kho_native_jump(void)
{
	static const struct kho_radix_walk_cb cb = { .leaf = came };
	unsigned long n = 0;

	kho_native_radix_walk_tree(&tree, &cb, &n);
	kho_native_radix_destroy_tree(&tree);
	if (WARN_ON(kho_native_radix_init_tree(&tree, NULL)))
		return 0;
	return n;
}

/**
 * kho_native_nodes() - How much memory does KHO need for what is preserved?
 *
 * Return: number of nodes above the bitmaps, a page each.
 */
unsigned long kho_native_nodes(void)
{
	static const struct kho_radix_walk_cb cb = { .node = node };
	unsigned long n = 0;

	kho_native_radix_walk_tree(&tree, &cb, &n);
	return n;
}

static int __init kho_native_init(void)
{
	return kho_native_radix_init_tree(&tree, NULL);
}
subsys_initcall(kho_native_init);
