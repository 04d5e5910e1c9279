/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * What is checked of a back image before it is used; of luo_back.c. It has no state, and reads
 * nothing but the structure and pages that KHO has kept: tests/back compiles it, too.
 */
#ifndef _LUO_BACK_CHECK_H
#define _LUO_BACK_CHECK_H

typedef int (*entry_fn)(kimage_entry_t entry, void *arg);

/*
 * The next page of the list is read only after @fn was content with it, and nothing
 * is read beyond the end of a page. Return: 0, what @fn returned, or -EINVAL.
 */
static int walk_list(kimage_entry_t head, entry_fn fn, void *arg)
{
	kimage_entry_t *ptr = &head, entry;
	int ret;

	while ((entry = *ptr) && !(entry & IND_DONE)) {
		ret = fn(entry, arg);
		if (ret)
			return ret;
		if (entry & IND_INDIRECTION)
			ptr = phys_to_virt(entry & PAGE_MASK);
		else if (ptr == &head || PAGE_ALIGNED(++ptr))
			return -EINVAL;
	}
	return 0;
}

static bool has_page(kimage_entry_t entry)
{
	return entry & (IND_INDIRECTION | IND_SOURCE);
}

struct check {
	u64 left;
	unsigned long dest;
	const struct luo_back_ser *ser;
};

static bool in_segment(const struct luo_back_ser *ser, unsigned long pa)
{
	u32 i;

	for (i = 0; i < ser->nr_segments; i++)
		if (pa >= ser->segments[i].pa &&
		    pa - ser->segments[i].pa < ser->segments[i].size)
			return true;
	return false;
}

static int check_entry(kimage_entry_t entry, void *arg)
{
	struct check *c = arg;

	switch (entry & ~PAGE_MASK) {
	case IND_DESTINATION:
		c->dest = entry & PAGE_MASK;
		return 0;
	case IND_SOURCE:
		if (!in_segment(c->ser, c->dest))
			return -EINVAL;
		c->dest += PAGE_SIZE;
		break;
	case IND_INDIRECTION:
		break;
	default:
		return -EINVAL;
	}
	/* What says so is not a page of the image. */
	if ((entry & PAGE_MASK) == virt_to_phys((void *)c->ser))
		return -EINVAL;
	if (!c->left-- || !kho_is_preserved(entry & PAGE_MASK, 0))
		return -EINVAL;
	return 0;
}

static bool __init in_scratch(u64 pa, u64 size)
{
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		if (pa >= kho_scratch[i].addr && size <= kho_scratch[i].size &&
		    pa - kho_scratch[i].addr <= kho_scratch[i].size - size)
			return true;
	return false;
}

/* NULL if it can be used, else why not. */
static const char *__init check_ser(struct luo_back_ser *ser)
{
	struct check c = { .ser = ser, .left = ser->nr_pages };
	u32 i;

	if (!kho_is_preserved(virt_to_phys(ser), 0))
		return "it was not preserved";
	if (!kho_is_preserved(ser->log_pa, get_order(LUO_BACK_LOG_SIZE)))
		return "its log was not preserved";
	if (!ser->nr_segments || ser->nr_segments > LUO_BACK_SEGMENTS)
		return "it has a wrong number of segments";
	for (i = 0; i < ser->nr_segments; i++)
		if (!PAGE_ALIGNED(ser->segments[i].pa) ||
		    !PAGE_ALIGNED(ser->segments[i].size) ||
		    !in_scratch(ser->segments[i].pa, ser->segments[i].size))
			return "a segment is not where the next kernel can be";
	if (!in_segment(ser, ser->start))
		return "it starts outside of its segments";
	if (walk_list(ser->head, check_entry, &c) || c.left)
		return "its list of pages is wrong";
	return NULL;
}

#endif /* _LUO_BACK_CHECK_H */
