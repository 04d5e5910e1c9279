/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * "Templated C code": compare two page tables of the same format.
 *
 * Two tables are equal if each IOVA has the same output address and the same
 * permissions in both, or none in both. How the tables are built does not
 * matter: a 2 MiB leaf equals 512 leaves of 4 KiB that follow each other, an
 * empty table equals no table, three levels equal four. That leaf sizes differ
 * is told apart, for hardware that must not see a translation change its size.
 *
 * Both tables are walked together, level by level. Where both have a table the
 * items are first compared as they are, but for the bits that hardware and
 * software use for themselves; this is what most of the time goes into, and it
 * runs at the speed of the memory. Only what differs is decoded. The walk needs
 * one stack frame for each level and allocates nothing.
 *
 * Neither table is written to, and hardware may use both meanwhile. The caller
 * keeps software from changing them. A table that came from the previous kernel
 * is not trusted: a page of it is read only if KHO has kept that page.
 */
#ifndef __GENERIC_PT_IOMMU_PT_VERIFY_H
#define __GENERIC_PT_IOMMU_PT_VERIFY_H

#ifdef CONFIG_IOMMU_PT_VERIFY

#include <linux/bitops.h>
#include <linux/generic_pt/verify.h>
#include <linux/kexec_handover.h>
#include <linux/sched.h>
#include <linux/kho_native.h>

#ifdef CONFIG_IOMMU_PT_LIVEUPDATE
static const struct pt_iommu_ops NS(restored_ops);

/* Does the table come from the previous kernel? */
static bool NS(verify_untrusted)(struct pt_iommu *iommu_table)
{
	return iommu_table->ops == &NS(restored_ops);
}

static bool NS(verify_page_kept)(phys_addr_t phys)
{
	return kho_is_preserved(phys, 0);
}
#else
static bool NS(verify_untrusted)(struct pt_iommu *iommu_table)
{
	return false;
}

static bool NS(verify_page_kept)(phys_addr_t phys)
{
	return true;
}
#endif

/*
 * The bits of an item that say what it translates to. Not among them are those
 * that hardware sets (accessed, dirty) and those that it ignores.
 */
#define PT_VERIFY_BITS_vtdss_                                           \
	((u64)(VTDSS_FMT_R | VTDSS_FMT_W | VTDSS_FMT_SNP) | VTDSS_FMT_PS | \
	 VTDSS_FMT_OA)
#define PT_VERIFY_BITS_x86_64_                                          \
	((u64)(X86_64_FMT_P | X86_64_FMT_RW | X86_64_FMT_U) |           \
	 X86_64_FMT_PS | X86_64_FMT_OA | X86_64_FMT_XD)
#define PT_VERIFY_BITS_amdv1_                                           \
	((u64)AMDV1PT_FMT_PR | AMDV1PT_FMT_NEXT_LEVEL | AMDV1PT_FMT_OA | \
	 AMDV1PT_FMT_FC | AMDV1PT_FMT_IR | AMDV1PT_FMT_IW)
#define PT_VERIFY_BITS_amdv1_mock_ PT_VERIFY_BITS_amdv1_
#define PT_VERIFY_BITS_armv8_                                           \
	((u64)(ARMV8PT_FMT_VALID | ARMV8PT_FMT_PAGE) | ARMV8PT_FMT_OA | \
	 ARMV8PT_FMT_ATTRS)
#define PT_VERIFY_BITS_riscv_64_                                        \
	((u64)(RISCVPT_V | RISCVPT_R | RISCVPT_W | RISCVPT_X |          \
	       RISCVPT_U | RISCVPT_G) |                                 \
	 RISCVPT_PPN | RISCVPT_PBMT | RISCVPT_N)
#define PT_VERIFY_BITS CONCATENATE(PT_VERIFY_BITS_, PTPFX)

/* A format without reserved encodings. */
#ifndef PT_ITEM_PRESENT
#define PT_ITEM_PRESENT 0
#endif

/* Returned by the functions below, beside 0 and a negative errno. */
enum { PT_VERIFY_DIFFERS = 1 };

/**
 * struct pt_verify - A comparison that is under way
 * @range: What pt_state needs to know of each table: [0] and [1].
 * @untrusted: Pages of this table have to be asked for before they are read.
 * @window: Where the first table may translate what the second one does not.
 * @diff: Where the result goes.
 */
struct pt_verify {
	struct pt_range range[2];
	bool untrusted[2];
	struct pt_iommu_window window;
	struct pt_iommu_difference *diff;
};

/* What all of a stretch of IOVA is to translate to; @oa is that of its start. */
struct pt_verify_leaf {
	enum pt_entry_type type;
	pt_oaddr_t oa;
	u64 bits;
};

/* The bits of a leaf that do not depend on its address and size. */
static __always_inline u64 NS(verify_leaf_bits)(const struct pt_state *pts)
{
	struct pt_write_attrs attrs = {};

	pt_attr_from_entry(pts, &attrs);
	return attrs.descriptor_bits & PT_VERIFY_BITS;
}

static __always_inline unsigned int
NS(verify_contig_lg2)(const struct pt_state *pts)
{
	return pts->type == PT_ENTRY_OA ? pt_entry_num_contig_lg2(pts) : 0;
}

/* Output address of the item, which can be one of several of its entry. */
static __always_inline pt_oaddr_t NS(verify_oa)(const struct pt_state *pts)
{
	return pt_entry_oa(pts) +
	       log2_mul(log2_mod(pts->index, NS(verify_contig_lg2)(pts)),
			pt_table_item_lg2sz(pts));
}

/* Is the item, which is no table, as @want says? */
static __always_inline bool NS(verify_is)(const struct pt_state *pts,
					  const struct pt_verify_leaf *want)
{
	if (pts->type != want->type)
		return false;
	return pts->type != PT_ENTRY_OA || (NS(verify_oa)(pts) == want->oa &&
					    NS(verify_leaf_bits)(pts) == want->bits);
}

/* Is the item of an encoding that hardware does not know, and could come to know? */
static __always_inline bool NS(verify_reserved)(enum pt_entry_type type,
						u64 entry)
{
	return type == PT_ENTRY_EMPTY && entry & PT_ITEM_PRESENT;
}

static int NS(verify_load)(const struct pt_verify *v, unsigned int side,
			   struct pt_state *pts)
{
	pts->type = pt_load_entry_raw(pts);
	if (NS(verify_reserved)(pts->type, pts->entry))
		return -EUCLEAN;
	if (pts->type != PT_ENTRY_TABLE)
		return 0;
	/* No table below the lowest level: the item says nonsense. */
	if (!pt_can_have_table(pts))
		return -EUCLEAN;
	if (v->untrusted[side] && !NS(verify_page_kept)(pt_table_pa(pts)))
		return -EUCLEAN;
	pts->table_lower = pt_table_ptr(pts);
	return 0;
}

static void NS(verify_describe)(const struct pt_state *pts,
				struct pt_iommu_translation *out)
{
	out->present = pts->type == PT_ENTRY_OA;
	if (!out->present)
		return;
	out->oa = NS(verify_oa)(pts);
	out->entry = pts->entry;
	out->lg2sz = pt_entry_oa_lg2sz(pts);
}

/* @side of @pts differs from a leaf, or nothing, of the other table; 0 if it may. */
static int NS(verify_differs)(struct pt_verify *v, unsigned int side,
			      const struct pt_state *pts, pt_vaddr_t va,
			      const struct pt_iommu_translation *other)
{
	NS(verify_describe)(pts, &v->diff->side[side]);
	v->diff->side[!side] = *other;
	if (v->diff->side[0].present && !v->diff->side[1].present &&
	    va >= v->window.first && va <= v->window.last &&
	    v->window.last - va >= log2_to_max_int(v->diff->side[0].lg2sz)) {
		memset(v->diff->side, 0, sizeof(v->diff->side));
		return 0;
	}
	v->diff->iova = va;
	return PT_VERIFY_DIFFERS;
}

static void NS(verify_size_differs)(struct pt_verify *v, pt_vaddr_t va)
{
	if (v->diff->sizes_differ)
		return;
	v->diff->sizes_differ = true;
	v->diff->size_iova = va;
}

/* The first item from @i on that is not as @want + (i - @i) * @step, or @n. */
static __always_inline unsigned int
NS(verify_run)(const u64 *item, unsigned int i, unsigned int n, u64 want,
	       u64 step)
{
	for (; i < n; i++, want += step)
		if ((READ_ONCE(item[i]) ^ want) & PT_VERIFY_BITS)
			break;
	return i;
}

/*
 * Does all that @table translates, from @va on, translate to @want? @other is
 * what the other table has there, for the report.
 */
static int NS(verify_uniform)(struct pt_verify *v, unsigned int side,
			      unsigned int level, struct pt_table_p *table,
			      unsigned int n, pt_vaddr_t va,
			      const struct pt_verify_leaf *want,
			      const struct pt_iommu_translation *other)
{
	struct pt_state pts = pt_init(&v->range[side], level, table);
	unsigned int isz_lg2 = pt_table_item_lg2sz(&pts);
	const u64 *item = pt_cur_table(&pts, u64);
	u64 before = 0;
	unsigned int i;
	int ret;

	cond_resched();
	for (i = 0; i < n; i++) {
		pt_vaddr_t off = log2_mul((pt_vaddr_t)i, isz_lg2);
		struct pt_iommu_translation here = *other;
		struct pt_verify_leaf part = *want;

		if (part.type == PT_ENTRY_OA)
			part.oa += off;
		if (here.present)
			here.oa = part.oa;
		pts.index = i;
		ret = NS(verify_load)(v, side, &pts);
		if (ret)
			return ret;
		if (pts.type == PT_ENTRY_TABLE) {
			ret = NS(verify_uniform)(v, side, level - 1,
						 pts.table_lower,
						 1U << pt_num_items_lg2(&pts),
						 va + off, &part, &here);
			if (ret)
				return ret;
			before = 0;
			continue;
		}
		if (!NS(verify_is)(&pts, &part)) {
			ret = NS(verify_differs)(v, side, &pts, va + off,
						 &here);
			if (ret)
				return ret;
			before = 0;
			continue;
		}
		if (pts.type == PT_ENTRY_EMPTY) {
			i = NS(verify_run)(item, i + 1, n, 0, 0) - 1;
		} else if (NS(verify_contig_lg2)(&pts)) {
			before = 0;
		} else if (!before) {
			before = pts.entry & PT_VERIFY_BITS;
		} else {
			/*
			 * Two neighbours that are right tell by how much each
			 * of those that follow has to differ from the last.
			 */
			u64 now = pts.entry & PT_VERIFY_BITS;

			i = NS(verify_run)(item, i + 1, n, 2 * now - before,
					   now - before) - 1;
			before = 0;
		}
	}
	return 0;
}

static int NS(verify_tables)(struct pt_verify *v, unsigned int level,
			     struct pt_table_p *table0,
			     struct pt_table_p *table1, unsigned int n,
			     pt_vaddr_t va);

/* Both have a table, and one item of it differs at least by its bits. */
static int NS(verify_items)(struct pt_verify *v, struct pt_state *a,
			    struct pt_state *b, pt_vaddr_t va)
{
	struct pt_iommu_translation leaf = {};
	struct pt_verify_leaf want = {};
	struct pt_state *table, *other;
	unsigned int side;
	int ret;

	ret = NS(verify_load)(v, 0, a);
	if (!ret)
		ret = NS(verify_load)(v, 1, b);
	if (ret)
		return ret;

	if (a->type == PT_ENTRY_TABLE && b->type == PT_ENTRY_TABLE)
		return NS(verify_tables)(v, a->level - 1, a->table_lower,
					 b->table_lower,
					 1U << pt_num_items_lg2(a), va);

	if (a->type != PT_ENTRY_TABLE && b->type != PT_ENTRY_TABLE) {
		if (a->type != b->type)
			goto differ;
		if (a->type == PT_ENTRY_EMPTY)
			return 0;
		if (NS(verify_oa)(a) != NS(verify_oa)(b) ||
		    NS(verify_leaf_bits)(a) != NS(verify_leaf_bits)(b))
			goto differ;
		if (pt_entry_num_contig_lg2(a) != pt_entry_num_contig_lg2(b))
			NS(verify_size_differs)(v, va);
		return 0;
	}

	side = a->type == PT_ENTRY_TABLE ? 0 : 1;
	table = side ? b : a;
	other = side ? a : b;
	want.type = other->type;
	if (other->type == PT_ENTRY_OA) {
		want.oa = NS(verify_oa)(other);
		want.bits = NS(verify_leaf_bits)(other);
	}
	NS(verify_describe)(other, &leaf);
	ret = NS(verify_uniform)(v, side, table->level - 1, table->table_lower,
				 1U << pt_num_items_lg2(table), va, &want,
				 &leaf);
	if (!ret && other->type == PT_ENTRY_OA)
		NS(verify_size_differs)(v, va);
	return ret;

differ:
	NS(verify_describe)(b, &leaf);
	return NS(verify_differs)(v, 0, a, va, &leaf);
}

/* The first item from @i on in which two tables differ, or @n. */
static __always_inline unsigned int
NS(verify_next)(const u64 *a, const u64 *b, unsigned int i, unsigned int n)
{
	/* Eight at a time: a branch for each would cost more than the rest. */
	for (; i + 8 <= n; i += 8) {
		u64 differ = 0;
		unsigned int j;

		for (j = i; j < i + 8; j++)
			differ |= a[j] ^ b[j];
		if (differ & PT_VERIFY_BITS)
			break;
	}
	for (; i < n; i++)
		if ((READ_ONCE(a[i]) ^ READ_ONCE(b[i])) & PT_VERIFY_BITS)
			break;
	return i;
}

static int NS(verify_tables)(struct pt_verify *v, unsigned int level,
			     struct pt_table_p *table0,
			     struct pt_table_p *table1, unsigned int n,
			     pt_vaddr_t va)
{
	struct pt_state a = pt_init(&v->range[0], level, table0);
	struct pt_state b = pt_init(&v->range[1], level, table1);
	unsigned int isz_lg2 = pt_table_item_lg2sz(&a);
	const u64 *wa = pt_cur_table(&a, u64);
	const u64 *wb = pt_cur_table(&b, u64);
	unsigned int i;
	int ret;

	cond_resched();
	for (i = NS(verify_next)(wa, wb, 0, n); i < n;
	     i = NS(verify_next)(wa, wb, i + 1, n)) {
		a.index = i;
		b.index = i;
		ret = NS(verify_items)(v, &a, &b,
				       va + log2_mul((pt_vaddr_t)i, isz_lg2));
		if (ret)
			return ret;
	}
	return 0;
}

static unsigned int NS(verify_top_items)(struct pt_range *range)
{
	struct pt_state pts = pt_init(range, range->top_level, NULL);

	return log2_to_int(range->max_vasz_lg2 - pt_table_item_lg2sz(&pts));
}

/* Nothing is translated by the items of @table from @first on. */
static int NS(verify_rest_empty)(struct pt_verify *v, unsigned int side,
				 unsigned int level, struct pt_table_p *table,
				 unsigned int first, unsigned int n)
{
	struct pt_state pts = pt_init(&v->range[side], level, table);
	const struct pt_verify_leaf nothing = { .type = PT_ENTRY_EMPTY };
	const struct pt_iommu_translation none = {};
	pt_vaddr_t va;
	int ret;

	for (pts.index = first; pts.index < n; pts.index++) {
		va = log2_mul((pt_vaddr_t)pts.index, pt_table_item_lg2sz(&pts));
		ret = NS(verify_load)(v, side, &pts);
		if (ret)
			return ret;
		if (pts.type == PT_ENTRY_OA) {
			ret = NS(verify_differs)(v, side, &pts, va, &none);
			if (ret)
				return ret;
			continue;
		}
		if (pts.type == PT_ENTRY_EMPTY)
			continue;
		ret = NS(verify_uniform)(v, side, level - 1, pts.table_lower,
					 1U << pt_num_items_lg2(&pts), va,
					 &nothing, &none);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The table of side @tall has more levels than the other's topmost one: of it
 * only what its first item leads to has a peer.
 */
static int NS(verify_top)(struct pt_verify *v, unsigned int tall,
			  unsigned int level, struct pt_table_p *table,
			  unsigned int n)
{
	struct pt_state pts = pt_init(&v->range[tall], level, table);
	struct pt_range *low = &v->range[!tall];
	unsigned int low_n = NS(verify_top_items)(low);
	struct pt_iommu_translation leaf = {};
	struct pt_verify_leaf want = {};
	pt_vaddr_t low_end;
	int ret;

	if (level == low->top_level) {
		ret = NS(verify_tables)(v, level,
					tall ? low->top_table : table,
					tall ? table : low->top_table,
					min(n, low_n), 0);
		if (!ret && n > low_n)
			ret = NS(verify_rest_empty)(v, tall, level, table,
						    low_n, n);
		if (!ret && low_n > n)
			ret = NS(verify_rest_empty)(v, !tall, level,
						    low->top_table, n, low_n);
		return ret;
	}

	ret = NS(verify_load)(v, tall, &pts);
	if (ret)
		return ret;
	if (pts.type == PT_ENTRY_TABLE) {
		ret = NS(verify_top)(v, tall, level - 1, pts.table_lower,
				     1U << pt_num_items_lg2(&pts));
	} else {
		want.type = pts.type;
		if (pts.type == PT_ENTRY_OA) {
			want.oa = NS(verify_oa)(&pts);
			want.bits = NS(verify_leaf_bits)(&pts);
			NS(verify_size_differs)(v, 0);
		}
		NS(verify_describe)(&pts, &leaf);
		ret = NS(verify_uniform)(v, !tall, low->top_level,
					 low->top_table, low_n, 0, &want,
					 &leaf);
		low_end = log2_to_int(low->max_vasz_lg2);
		if (!ret && leaf.present && leaf.lg2sz > low->max_vasz_lg2) {
			/* The leaf goes on where the other table has ended. */
			leaf.oa += low_end;
			v->diff->side[tall] = leaf;
			v->diff->iova = low_end;
			return PT_VERIFY_DIFFERS;
		}
	}
	if (ret)
		return ret;
	return NS(verify_rest_empty)(v, tall, level, table, 1, n);
}

/**
 * verify() - Compare two page tables
 * @table0: One table
 * @table1: The other; of the same format
 * @window: Where @table0 may translate what @table1 does not
 * @diff: Filled in with the first difference, and with whether leaf sizes
 *	differ up to there
 *
 * The tables may have different depths, features and ranges of IOVA.
 *
 * Context: May sleep. Nobody maps into or unmaps from either table.
 * Return: 0 if they translate the same; 1 if not; -EUCLEAN if an item refers to
 * a page that is no table, or is of a reserved encoding.
 */
static int NS(verify)(struct pt_iommu *table0, struct pt_iommu *table1,
		      struct pt_iommu_window window,
		      struct pt_iommu_difference *diff)
{
	struct pt_verify v = { .diff = diff };
	struct pt_range *top;
	unsigned int tall;
	int ret;

	/* Not in the initializer, whose padding gcc 12 clears over the rest. */
	v.range[0] = pt_all_range(common_from_iommu(table0));
	v.range[1] = pt_all_range(common_from_iommu(table1));
	v.window = window;
	v.untrusted[0] = NS(verify_untrusted)(table0);
	v.untrusted[1] = NS(verify_untrusted)(table1);
	memset(diff, 0, sizeof(*diff));

	tall = v.range[1].top_level > v.range[0].top_level;
	top = &v.range[tall];
	ret = NS(verify_top)(&v, tall, top->top_level, top->top_table,
			     NS(verify_top_items)(top));

	/* The walk counts from 0; the upper half of such a table is at the end. */
	if (pt_feature(top->common, PT_FEAT_SIGN_EXTEND)) {
		diff->iova = sign_extend64(diff->iova, top->max_vasz_lg2 - 1);
		diff->size_iova = sign_extend64(diff->size_iova,
						top->max_vasz_lg2 - 1);
	}
	return ret;
}

#define PT_IOMMU_VERIFY_OPS .verify = NS(verify),
#else
#define PT_IOMMU_VERIFY_OPS
#endif

#endif
