// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * The memory of guestmemfs, before there is an allocator. The first kernel takes it
 * out of what firmware has left; each one after it takes out the same, which the
 * image of the file system says (include/linux/kho/abi/guestmemfs.h).
 */

#define pr_fmt(fmt) "guestmemfs: " fmt

#include <linux/cache.h>
#include <linux/crash_core.h>
#include <linux/crash_dump.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/panic.h>
#include <linux/range.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/string.h>

#include <asm/e820/api.h>
#include <asm/memtype.h>

#include "guestmemfs.h"

/* guestmem=SIZE[@NODE], which may come more than once */
static struct {
	u64 size;
	int nid;
} wanted[16] __initdata;

static unsigned int nr_wanted __initdata;

/* What was set apart. */
static struct guestmemfs_range ranges[GUESTMEMFS_RANGES] __initdata;
static unsigned int nr_ranges __initdata;

static phys_addr_t image_phys __initdata;
static u64 image_bytes __initdata;

static int __init parse_guestmem(char *arg)
{
	char *at = arg;
	u64 size;
	int nid = NUMA_NO_NODE;

	size = arg ? memparse(arg, &at) : 0;
	if (!size || !IS_ALIGNED(size, UNIT_SIZE)) {
		pr_err("guestmem=%s ignored: the size has to be a multiple of 2M\n", arg ?: "");
		return -EINVAL;
	}
	if (*at && (*at != '@' || kstrtoint(at + 1, 0, &nid) || nid < 0)) {
		pr_err("guestmem=%s ignored: expected SIZE or SIZE@NODE\n", arg);
		return -EINVAL;
	}
	if (nr_wanted == ARRAY_SIZE(wanted)) {
		pr_err("guestmem=%s ignored: more than %zu of them\n", arg, ARRAY_SIZE(wanted));
		return -EINVAL;
	}
	wanted[nr_wanted].size = size;
	wanted[nr_wanted++].nid = nid;
	return 0;
}
early_param("guestmem", parse_guestmem);

/* For /proc/iomem and /dev/mem, and so that nobody adds it as memory. */
static struct resource resources[GUESTMEMFS_RANGES + 1];
static unsigned int nr_resources;

/* No allocator gets it, and nothing counts it as RAM but KVM, which asks firmware's table. */
static void __init take_out(phys_addr_t start, u64 size)
{
	struct resource *res = &resources[nr_resources++];

	memblock_remove(start, size);
	e820__range_update(start, size, E820_TYPE_RAM, E820_TYPE_RESERVED);
	res->name = "Guest memory";
	res->start = start;
	res->end = start + size - 1;
	res->flags = IORESOURCE_MEM | IORESOURCE_BUSY | IORESOURCE_EXCLUSIVE;
	if (insert_resource(&iomem_resource, res))
		pr_err("%pR is somebody else's, too\n", res);
}

/* To memblock, which counts it as allocated. */
static void __init give_back_all(void)
{
	unsigned int i;

	for (i = 0; i < nr_ranges; i++)
		memblock_phys_free(ranges[i].start << GUESTMEMFS_UNIT_SHIFT,
				   ranges[i].units << GUESTMEMFS_UNIT_SHIFT);
}

/* Into the list, which is by address; one that touches another of its node becomes part of it. */
static bool __init note_range(u64 start, u64 units, u32 nid)
{
	struct guestmemfs_range *r;
	unsigned int i;

	for (i = 0; i < nr_ranges && ranges[i].start < start; i++)
		;
	r = &ranges[i];
	if (i < nr_ranges && r->nid == nid && start + units == r->start) {
		r->start = start;
		r->units += units;
	} else if (i && r[-1].nid == nid && r[-1].start + r[-1].units == start) {
		r[-1].units += units;
		r--;
	} else {
		if (nr_ranges == ARRAY_SIZE(ranges))
			return false;
		memmove(r + 1, r, (nr_ranges++ - i) * sizeof(*r));
		*r = (struct guestmemfs_range){ .start = start, .units = units, .nid = nid };
		return true;
	}
	if (r + 1 < ranges + nr_ranges && r[1].nid == nid &&
	    r->start + r->units == r[1].start) {
		r->units += r[1].units;
		nr_ranges--;
		memmove(r + 1, r + 2, (ranges + nr_ranges - (r + 1)) * sizeof(*r));
	}
	return true;
}

/* The largest pieces first; the number of bytes that were to be had. */
static u64 __init allocate(u64 size, int nid)
{
	u64 left = size, piece = size, align;
	phys_addr_t phys;

	while (left) {
		piece = min(piece, left);
		align = min_t(u64, SZ_1G, rounddown_pow_of_two(piece));
		phys = memblock_alloc_range_nid(piece, align, SZ_1M,
						MEMBLOCK_ALLOC_ACCESSIBLE, nid, true);
		if (!phys) {
			/* Pieces of a GiB, as long as there is one. */
			if (piece > SZ_1G)
				piece = round_up(piece / 2, SZ_1G);
			else
				piece = round_down(piece / 2, UNIT_SIZE);
			if (!piece)
				break;
			continue;
		}
		if (!note_range(phys >> GUESTMEMFS_UNIT_SHIFT,
				piece >> GUESTMEMFS_UNIT_SHIFT, nid)) {
			memblock_phys_free(phys, piece);
			break;
		}
		left -= piece;
	}
	return size - left;
}

/* Without a node: as much from each; what one does not have the others give. */
static u64 __init allocate_anywhere(u64 size)
{
	u64 left = size, share, unit;
	int nid, nodes = num_online_nodes();

	unit = size >= (u64)nodes * SZ_1G ? SZ_1G : UNIT_SIZE;
	for_each_online_node(nid) {
		share = nodes > 1 ? round_up(left / nodes, unit) : left;
		left -= allocate(min(share, left), nid);
		nodes--;
	}
	for_each_online_node(nid) {
		if (left)
			left -= allocate(left, nid);
	}
	return size - left;
}

static bool __init allocate_all(void)
{
	u64 size, got;
	unsigned int i;
	int nid;

	for (i = 0; i < nr_wanted; i++) {
		size = wanted[i].size;
		nid = wanted[i].nid;
		if (nid != NUMA_NO_NODE && (nid >= MAX_NUMNODES || !node_online(nid))) {
			pr_err("no memory set apart: guestmem=%lluM@%d, and there is no node %d\n",
			       size >> 20, nid, nid);
			return false;
		}
		got = nid == NUMA_NO_NODE ? allocate_anywhere(size) : allocate(size, nid);
		if (got != size) {
			pr_err("no memory set apart: guestmem= of %lluM, and only %lluM are free%s; ask for less\n",
			       size >> 20, got >> 20,
			       nid == NUMA_NO_NODE ? "" : " on that node");
			return false;
		}
	}
	return true;
}

static u64 __init sum_units(void)
{
	unsigned int i;
	u64 units = 0;

	for (i = 0; i < nr_ranges; i++)
		units += ranges[i].units;
	return units;
}

static void __init take_out_all(const struct guestmemfs_range *range, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pr_info("%llu MiB at %#llx on node %u\n", range[i].units << 1,
			range[i].start << GUESTMEMFS_UNIT_SHIFT, range[i].nid);
		take_out(range[i].start << GUESTMEMFS_UNIT_SHIFT,
			 range[i].units << GUESTMEMFS_UNIT_SHIFT);
	}
	take_out(image_phys, image_bytes);
}

static void __init carve_anew(void)
{
	struct guestmemfs_image image;

	if (!allocate_all()) {
		give_back_all();
		return;
	}
	image_bytes = guestmemfs_image_bytes(sum_units());
	image_phys = memblock_phys_alloc(image_bytes, PAGE_SIZE);
	if (!image_phys) {
		pr_err("no memory set apart: no %llu KiB for the image\n", image_bytes >> 10);
		image_bytes = 0;
		give_back_all();
		return;
	}
	guestmemfs_image_make(&image, phys_to_virt(image_phys), image_phys, ranges,
			      nr_ranges, 0);
	memblock_phys_free(image_phys, image_bytes);
	give_back_all();
	take_out_all(ranges, nr_ranges);
}

/* Nothing of this kernel is in it yet. It may be of more than one node, or kind of memory. */
static bool __init is_free(phys_addr_t start, u64 size)
{
	unsigned long first, last, pages = 0;
	int i;

	for_each_mem_pfn_range(i, MAX_NUMNODES, &first, &last, NULL) {
		first = max(first, PHYS_PFN(start));
		last = min(last, PHYS_PFN(start + size));
		pages += first < last ? last - first : 0;
	}
	return pages == PHYS_PFN(size) && !memblock_is_region_reserved(start, size);
}

static const char * __init carve_again(void)
{
	const struct guestmemfs_layout *layout = NULL, *it;
	const char *why, *first_why = NULL;
	unsigned int i, copy;

	if (!PAGE_ALIGNED(image_phys) || image_bytes < 3 * GUESTMEMFS_PAGE ||
	    image_phys + image_bytes < image_phys || !is_free(image_phys, image_bytes))
		return "the image is not in free memory";
	/* Also the one that is not used: it is the last that there is when the other one goes. */
	for (copy = 0; copy < 2; copy++) {
		it = phys_to_virt(image_phys + copy * GUESTMEMFS_PAGE);
		why = guestmemfs_layout_check(it, image_phys, image_bytes);
		if (why)
			pr_err("copy %u of the layout refused: %s\n", copy + 1, why);
		else if (!layout)
			layout = it;
		first_why = first_why ?: why;
	}
	if (!layout)
		return first_why;
	for (i = 0; i < layout->nr_ranges; i++) {
		if (!is_free(layout->range[i].start << GUESTMEMFS_UNIT_SHIFT,
			     layout->range[i].units << GUESTMEMFS_UNIT_SHIFT))
			return "a range is not free memory";
	}
	take_out_all(layout->range, layout->nr_ranges);
	return NULL;
}

/**
 * guestmemfs_carve() - Set the memory apart
 *
 * If the previous kernel has handed an image over it is the memory that this says,
 * and guestmem= does not matter. Devices may be writing to that memory: if nobody
 * can tell any more which it is, there is nothing that could be used safely, and the
 * kernel stops.
 *
 * Context: once, when the nodes of the memory are known, before it is known to
 * anything but memblock.
 */
void __init guestmemfs_carve(void)
{
	phys_addr_t phys;
	size_t size;
	const char *why;
	int err;

	/* The little memory that a crash kernel has is its own. */
	if (is_kdump_kernel())
		return;
	err = kho_retrieve_subtree(GUESTMEMFS_SUBTREE, &phys, &size);
	if (err == -ENOENT) {
		/* There is KHO's scratch alone now, which the next kernel is put into. */
		if (nr_wanted && is_kho_boot())
			pr_err("no memory set apart: the previous kernel had none; guestmem= takes effect when the machine is started anew\n");
		else if (nr_wanted)
			carve_anew();
		return;
	}
	why = "KHO does not say where it is";
	if (!err) {
		image_phys = phys;
		image_bytes = size;
		why = carve_again();
	}
	if (why)
		panic("guestmemfs: it is not known which memory guests and their devices use: %s\n",
		      why);
	if (nr_wanted)
		pr_info("guestmem= ignored: the memory is what it was before the update\n");
}

/* The tables of processes have it cached, as RAM is. */
static int __init cached(phys_addr_t start, u64 size)
{
	return memtype_reserve(start, start + size, _PAGE_CACHE_MODE_WB, NULL);
}

/**
 * guestmemfs_found() - Where is the image?
 * @phys:  Set to its physical address.
 * @bytes: Set to its length.
 *
 * Says so to KHO, too, for the next kernel.
 *
 * Context: once, at the boot, when all that allocates works.
 * Return: the image, not checked but for its layout; NULL: there is none; -ENOMEM,
 * -EBUSY or -EINVAL: it cannot be had cached.
 */
void * __init guestmemfs_found(phys_addr_t *phys, u64 *bytes)
{
	const struct guestmemfs_layout *layout;
	unsigned int i;
	void *mem;
	int err;

	if (!image_bytes)
		return NULL;
	mem = phys_to_virt(image_phys);
	*phys = image_phys;
	*bytes = image_bytes;
	layout = mem;
	if (guestmemfs_layout_check(layout, image_phys, image_bytes))
		layout = mem + GUESTMEMFS_PAGE;
	/* Whatever becomes of it here, the next kernel has to leave it alone, too. */
	if (kho_is_enabled()) {
		err = kho_add_subtree(GUESTMEMFS_SUBTREE, mem, image_bytes);
		guestmemfs.handed = !err;
		if (err)
			pr_err("KHO was not told: %pe\n", ERR_PTR(err));
	}
	err = cached(image_phys, image_bytes);
	for (i = 0; !err && i < layout->nr_ranges; i++)
		err = cached(layout->range[i].start << GUESTMEMFS_UNIT_SHIFT,
			     layout->range[i].units << GUESTMEMFS_UNIT_SHIFT);
	if (!err)
		return mem;
	pr_err("the memory is kept, but cannot be used: %pe\n", ERR_PTR(err));
	return ERR_PTR(err);
}

#ifdef CONFIG_CRASH_DUMP

/* A crash kernel is told when it is loaded, so that it is no use to change it later. */
static bool in_dump;
module_param_named(dump, in_dump, bool, 0444);
MODULE_PARM_DESC(dump, "a crash dump has the memory of the files, too");

static int by_start(const void *a, const void *b)
{
	return cmp_int(((const struct range *)a)->start, ((const struct range *)b)->start);
}

/**
 * guestmemfs_dump() - What a crash dump is to have of the memory set apart
 * @dump: What a dump has, with room for these; stays in the order of the addresses, without
 *        which nothing can be excluded from it. NULL: how many are there?
 *
 * Return: the number of pieces; 0 unless guestmemfs.dump=1. With @dump: 0.
 */
unsigned int guestmemfs_dump(struct crash_mem *dump)
{
	unsigned int i;

	if (!in_dump)
		return 0;
	if (!dump)
		return nr_resources;
	for (i = 0; i < nr_resources; i++)
		dump->ranges[dump->nr_ranges++] =
			(struct range){ resources[i].start, resources[i].end };
	sort(dump->ranges, dump->nr_ranges, sizeof(*dump->ranges), by_start, NULL);
	return 0;
}
#endif
